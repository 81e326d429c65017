import type { Instant, Seconds } from '#ground/base/clock.ts'
import { timed } from '#ground/base/metrics.ts'
import { bool, captured, durationSeconds, int, text } from '#ground/fields/kit.ts'
import { compareUtf8 } from '#ground/text/compare.ts'
import type { Json } from '#ground/text/json.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import type { Call } from '#backend/call.ts'
import { pagingFields } from '#backend/listing.ts'
import { empty, type Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { checkEnded, endBelow, endOne } from './lease-ends.ts'
import { row, type SystemRow, type SystemState } from './state.ts'
import { findTokenLease, isTokenLeaseId, tokenLeasesBelow } from './token-leases.ts'

const idFields = {
  lease_id: text({ description: 'The lease.' }),
  url_lease_id: text({ description: 'The lease, in the path; `lease_id` counts before it.', from: 'path' }),
} as const
type IdInput = { readonly lease_id: string; readonly url_lease_id: string }

function idOf({ lease_id: id, url_lease_id: fromPath }: IdInput): string {
  const found = id === '' ? fromPath : id
  if (found === '') throw fault('request.invalid', 'lease_id must be specified')
  return found.replace(/^\/+/, '')
}

type Facts = {
  readonly id: string
  readonly issuedAt: Instant
  readonly expiresAt: Instant
  readonly renewedAt: Instant | null
  readonly renewable: boolean
  readonly error: string | null
}

function described(facts: Facts, now: Instant): Reply {
  const time = (at: Instant | null): Json => (at === null ? null : formatRfc3339Nano(at))
  return {
    kind: 'data',
    data: {
      id: facts.id,
      issue_time: time(facts.issuedAt),
      expire_time: time(facts.expiresAt),
      last_renewal: time(facts.renewedAt),
      renewable: facts.renewable && facts.error === null,
      ttl: Math.max(0, Math.ceil((facts.expiresAt - now) / 1000)),
      ...(facts.error !== null && { revoke_error: facts.error }),
    },
  }
}

async function lookup(call: Call<{ lease_id: string }>, state: SystemState): Promise<Reply> {
  const { leases, tokens } = state.house()
  const id = idOf({ lease_id: call.input.lease_id, url_lease_id: '' })
  const lease = await leases.times(id)
  if (lease !== null) return described(lease, call.now())
  const token = await findTokenLease(tokens, id)
  if (token === null) throw fault('request.invalid', 'invalid lease')
  const { createdAt, expiresAt, renewedAt, renewable } = token.entry
  return described({ id, issuedAt: createdAt, expiresAt: expiresAt!, renewedAt, renewable, error: null }, call.now())
}

const namesMax = 100_000
const pageSize = 1_000
/** Leases that one call of a revocation in parts takes at most. */
const batchMax = 10_000

/** One level below a prefix, engines' leases and tokens together. */
async function list(
  { input, signal }: Call<{ prefix: string; after: string; limit: number }>,
  state: SystemState,
): Promise<Reply> {
  const { leases, tokens } = state.house()
  const prefix = input.prefix === '' || input.prefix.endsWith('/') ? input.prefix : `${input.prefix}/`
  const names = new Set<string>()
  for (let after: string | undefined; names.size < namesMax; ) {
    const page = await leases.list(prefix, { ...(after !== undefined && { after }), limit: pageSize })
    for (const name of page.names) names.add(name)
    if (!page.more) break
    after = page.names.at(-1)
    signal.throwIfAborted()
  }
  for await (const { id } of tokenLeasesBelow(tokens, prefix)) {
    signal.throwIfAborted()
    const rest = id.slice(prefix.length)
    const slash = rest.indexOf('/')
    names.add(slash < 0 ? rest : rest.slice(0, slash + 1))
    if (names.size >= namesMax) break
  }
  const most = input.limit > 0 ? input.limit : namesMax
  const keys = [...names].sort(compareUtf8).filter(name => input.after === '' || compareUtf8(name, input.after) > 0)
  return { kind: 'list', keys: keys.slice(0, most) }
}

async function renew(call: Call<IdInput & { increment: Seconds }>, state: SystemState): Promise<Reply> {
  const id = idOf(call.input)
  if (isTokenLeaseId(id)) throw fault('request.invalid', 'tokens cannot be renewed through this endpoint')
  const { entry, warnings } = await state.house().leases.renew(id, call.input.increment, call.signal)
  const { renewable, ttl } = entry
  return { kind: 'renewed', leaseId: id, renewable, ttl, data: null, ...(warnings.length > 0 && { warnings }) }
}

/** Done in the background, durably: it goes on whatever happens to this request. */
const accepted: Reply = { kind: 'raw', status: 202, contentType: 'application/json', body: '' }

async function revoke(call: Call<IdInput & { sync: boolean }>, state: SystemState): Promise<Reply> {
  await endOne(state.house(), idOf(call.input), call.input.sync, call.signal)
  return call.input.sync ? empty : accepted
}

type BelowInput = { readonly prefix: string; readonly sync: boolean; readonly batch: number; readonly after: string }

const revokeBelow =
  (isForced: boolean) =>
  async ({ input, signal }: Call<BelowInput>, state: SystemState): Promise<Reply> => {
    if (input.prefix === '') throw fault('request.invalid', 'a prefix must be specified')
    if (input.batch < 0) throw fault('request.invalid', '"batch" must be a number above 0')
    const isSync = input.sync || isForced
    const batch = input.batch === 0 ? null : { most: Math.min(input.batch, batchMax), after: input.after }
    const { clock } = state.world
    const house = state.house()
    const meter = house.leases.meters[isForced ? 'revokeForce' : 'revokePrefix']
    const done = await timed(clock, meter, () =>
      endBelow(house, input.prefix, { isForced, isSync, batch, clock, signal }),
    )
    if (batch !== null) {
      const { ended, failed, first, next } = done
      const error = first === null ? null : `${first.id}: ${first.error}`
      return { kind: 'data', data: { ended, failed, error, next } }
    }
    checkEnded(done)
    return isSync ? empty : accepted
  }

const listedDefault = 10_000

type Irrevocable = { readonly lease_id: string; readonly mount_id: string; readonly error: string }

async function* irrevocable(state: SystemState): AsyncGenerator<Irrevocable> {
  const { leases } = state.house()
  for (let after: string | undefined; ; ) {
    const ids = await leases.irrevocable(after, pageSize)
    for (const id of ids) {
      const entry = await leases.get(id)
      if (entry?.error != null) yield { lease_id: id, mount_id: entry.mount, error: entry.error }
    }
    if (ids.length < pageSize) return
    after = ids.at(-1)
  }
}

const typeField = text({ description: 'irrevocable: those that ended and could not be revoked.' })
const childField = bool({ description: 'Those of child namespaces, too.' })

function checkType(type: string): void {
  if (type !== 'irrevocable') throw fault('request.invalid', `invalid lease type "${type}": must be "irrevocable"`)
}

async function count({ input }: Call<{ type: string }>, state: SystemState): Promise<Reply> {
  checkType(input.type)
  const counts: Record<string, number> = {}
  let all = 0
  for await (const { mount_id: mount } of irrevocable(state)) {
    counts[mount] = (counts[mount] ?? 0) + 1
    all++
  }
  return { kind: 'data', data: { lease_count: all, counts } }
}

/** Most that `limit` may be; `none` is this. */
const listedMax = 100_000

function limitOf(text: string): number {
  if (text === '') return listedDefault
  if (text === 'none') return listedMax
  const asked = Number(text)
  if (Number.isInteger(asked) && asked > 0) return Math.min(asked, listedMax)
  throw fault('request.invalid', `limit "${text}" must be a number above 0, or none`)
}

async function listIrrevocable({ input }: Call<{ type: string; limit: string }>, state: SystemState): Promise<Reply> {
  checkType(input.type)
  const most = limitOf(input.limit)
  const leases: Irrevocable[] = []
  for await (const lease of irrevocable(state)) {
    if (leases.length === most) {
      const warnings = [`there are more than ${most} irrevocable leases, and the list is cut; ask with another limit`]
      return { kind: 'data', data: { lease_count: leases.length, leases }, warnings }
    }
    leases.push(lease)
  }
  return { kind: 'data', data: { lease_count: leases.length, leases } }
}

function tidy(_call: Call, state: SystemState): Reply {
  const { leases, tokens } = state.house()
  const isNew = leases.tidy(async token => (await tokens.entry(token)) !== null)
  const text = isNew
    ? "Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs."
    : 'Tidy operation already in progress.'
  return { kind: 'data', data: null, status: 202, warnings: [text] }
}

const idRow = (path: string, verb: 'renew' | 'revoke'): SystemRow =>
  verb === 'renew'
    ? row({
        path,
        fields: { ...idFields, increment: durationSeconds({ description: 'Asked for, from now on; 0 = as before.' }) },
        operations: { update: { access: 'policy', summary: 'Renew a lease.', handler: renew } },
        help: { synopsis: 'Renew a lease.', description: 'How long it then lives is up to its mount and engine.' },
      })
    : row({
        path,
        fields: { ...idFields, sync: bool({ description: 'Answer once it is gone.', fallback: true }) },
        operations: { update: { access: 'policy', summary: 'Revoke a lease.', handler: revoke } },
        help: { synopsis: 'Revoke a lease.', description: 'An unknown one is revoked already.' },
      })

const prefixRow = (path: string, isForced: boolean): SystemRow =>
  row({
    path,
    fields: {
      prefix: captured('Path that the leases lie below, or one lease.'),
      sync: bool({ description: 'Answer once all are gone.', fallback: true }),
      batch: int({ description: 'Ours: end about so many and say how far it is; 0 = all.' }),
      after: text({ description: 'Ours, with batch: "next" of the call before.' }),
    },
    operations: {
      update: {
        access: 'sudo',
        summary: isForced ? 'Forget leases, revoked or not.' : 'Revoke all leases below a path.',
        handler: revokeBelow(isForced),
      },
    },
    help: {
      synopsis: isForced ? 'Revoke leases, and forget those that can not be.' : 'Revoke all leases below a path.',
      description: 'A call that is broken off leaves the rest as it was: call again, and it goes on.',
    },
  })

/** `sys/leases`, and the older names beside it. @source server-core 2.10 */
export const leaseRows: readonly SystemRow[] = [
  row({
    path: 'leases',
    fields: {
      type: typeField,
      include_child_namespaces: childField,
      limit: text({ description: 'At most; none = all.' }),
    },
    operations: { read: { access: 'sudo', summary: 'Leases that can not be revoked.', handler: listIrrevocable } },
    help: { synopsis: 'Leases that can not be revoked.', description: 'With the words of the system that refused.' },
  }),
  row({
    path: 'leases/count',
    fields: { type: typeField, include_child_namespaces: childField },
    operations: { read: { access: 'policy', summary: 'How many, by mount.', handler: count } },
    help: { synopsis: 'How many leases can not be revoked, by mount.', description: '' },
  }),
  row({
    path: 'leases/lookup',
    fields: {
      lease_id: idFields.lease_id,
      prefix: text({ description: 'Nothing here.', from: 'path' }),
      ...pagingFields,
    },
    operations: {
      update: { access: 'policy', summary: 'What a lease is.', handler: lookup },
      list: { access: 'sudo', summary: 'Leases, one level at a time.', handler: list },
    },
    help: { synopsis: 'What a lease is, or which there are.', description: '' },
  }),
  row({
    path: 'leases/lookup/*prefix',
    fields: { prefix: captured('Path that the leases lie below.'), ...pagingFields },
    operations: { list: { access: 'sudo', summary: 'Leases below a path, one level.', handler: list } },
    help: { synopsis: 'Leases below a path.', description: '' },
  }),
  row({
    path: 'leases/tidy',
    fields: {},
    operations: { update: { access: 'sudo', summary: 'Look for leases that nothing stands behind.', handler: tidy } },
    help: { synopsis: 'Look for leases that nothing stands behind.', description: 'Those whose token is gone end.' },
  }),
  prefixRow('leases/revoke-prefix/*prefix', false),
  prefixRow('leases/revoke-force/*prefix', true),
  prefixRow('revoke-prefix/*prefix', false),
  prefixRow('revoke-force/*prefix', true),
  ...['leases/renew', 'leases/renew/*url_lease_id', 'renew', 'renew/*url_lease_id'].map(path => idRow(path, 'renew')),
  ...['leases/revoke', 'leases/revoke/*url_lease_id', 'revoke', 'revoke/*url_lease_id'].map(path =>
    idRow(path, 'revoke'),
  ),
]

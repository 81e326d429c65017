import type { Maybe } from '#ground/base/brand.ts'
import { type Seconds, seconds } from '#ground/base/clock.ts'
import { bool, durationSeconds, int, optionalText, shown, stringList, stringMap, text } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import type { Call } from '#backend/call.ts'
import { type Engine, type Row, rowOf, type TokenKey } from '#backend/engine.ts'
import { empty, type Reply } from '#backend/reply.ts'
import type { TokenEntry } from '#core/tokens/entry.ts'
import type { LiveToken } from '#core/tokens/live.ts'
import { normalPolicies } from '#core/tokens/register.ts'
import type { Renewals } from '#core/tokens/renewal.ts'
import { authBlock, lookupData } from '#core/tokens/render.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import { fault } from '#protocol/fault.ts'
import { builtinVersion } from '#protocol/version.ts'

/** What `auth/token/` works on. */
export type TokenState = {
  readonly tokens: Tokens
  readonly renewals: Renewals
  policyExists(name: string): Promise<boolean>
  identityPolicies(entityId: string): Promise<readonly string[]>
  /** The caller's token, which a call doesn't carry; null without one. */
  callerOf(call: Call): LiveToken | null
}

const row = rowOf<TokenState>()
const tokenField = text({ description: 'The token.', isSecret: true })
const accessorField = text({ description: 'The accessor of the token.' })
const incrementField = durationSeconds({ description: 'How long the token should live from now; the mount bounds it.' })

const createFields = {
  id: optionalText({ description: 'The token itself, instead of a random one; root or sudo only.', isSecret: true }),
  policies: stringList({ description: 'Policies of the token; without any, those of the caller.' }),
  meta: stringMap({ description: 'Metadata shown in audit and lookups.' }),
  no_parent: bool({ description: 'Make an orphan; root or sudo only.' }),
  no_default_policy: bool({ description: 'Leave the default policy out.' }),
  renewable: bool({ description: 'May the token be renewed?', fallback: true }),
  ttl: text({ description: 'How long it lives, like "1h".' }),
  lease: text({ description: 'Old name of ttl.', isDeprecated: true }),
  type: text({ description: 'service; batch is not supported.' }),
  explicit_max_ttl: text({ description: 'An end that no renewal passes.' }),
  display_name: text({ description: 'Shown in audit and lookups.', fallback: 'token' }),
  num_uses: int({ description: 'Requests the token is good for; 0 = without limit.' }),
  period: text({ description: 'A periodic token: each renewal gives this long again; root or sudo only.' }),
  entity_alias: text({ description: 'Only together with a token role.' }),
}

type CreateInput = Input<typeof createFields>

function positive(value: string, name: string): Seconds {
  if (value === '') return seconds(0)
  const parsed = durationSeconds({ description: name })
  let ttl: Seconds
  try {
    ttl = parsed.parse(value)
  } catch (error) {
    if (value.trim().startsWith('-')) throw fault('request.invalid', `${name} must be positive`)
    throw fault('request.invalid', `the ${name} "${value}" is no duration: ${(error as Error).message}`)
  }
  return ttl
}

/** @source openbao vault/token_store.go handleCreateCommon: the order of the checks is that of server-core 3.2 */
async function create(call: Call<CreateInput>, state: TokenState, isOrphanPath: boolean): Promise<Reply> {
  const { input } = call
  const parent = state.callerOf(call)
  if (parent === null) throw fault('request.invalid', 'parent token lookup failed: no parent found')
  if (parent.entry.numUses !== 0) {
    throw fault('request.invalid', 'restricted use token cannot generate child tokens')
  }
  const hasSudo = call.caller?.isRoot === true || (await call.may(`${call.mountPath}${call.path}`, 'sudo')).allowed
  checkType(input)
  if (input.num_uses < 0) throw fault('request.invalid', 'number of uses cannot be negative')
  if (input.entity_alias !== '')
    throw fault('request.invalid', "'entity_alias' is only allowed in combination with token role")
  if (input.id !== undefined) checkId(input.id, hasSudo)
  const policies = choosePolicies(input, parent.entry, hasSudo)
  const isOrphan = isOrphanPath || input.no_parent
  if (input.no_parent && !isOrphanPath && !hasSudo) {
    throw fault('request.invalid', 'root or sudo privileges required to create orphan token')
  }
  const period = positive(input.period, 'period')
  if (period > 0 && !hasSudo)
    throw fault('request.invalid', 'root or sudo privileges required to create periodic token')
  const ttl = positive(input.ttl !== '' ? input.ttl : input.lease, 'ttl')
  const explicitMaxTtl = positive(input.explicit_max_ttl, 'explicit_max_ttl')
  if (
    policies.includes('root') &&
    parent.entry.expiresAt !== null &&
    ttl === 0 &&
    period === 0 &&
    explicitMaxTtl === 0
  ) {
    throw fault('request.invalid', 'expiring root tokens cannot create non-expiring root tokens')
  }
  if (input.id !== undefined && (await state.tokens.entry(state.tokens.key(input.id))) !== null) {
    throw fault('request.invalid', 'cannot create a token with a duplicate ID')
  }
  const warnings = await unknownPolicies(policies, state)
  return {
    kind: 'token',
    token: {
      id: input.id ?? null,
      policies,
      metadata: Object.keys(input.meta).length === 0 ? null : input.meta,
      displayName: `token-${input.display_name}`
        .replace(/^token-token$/, 'token')
        .replace(/[^a-zA-Z0-9-]/g, '-')
        .replace(/-$/, ''),
      path: `${call.mountPath}create${isOrphanPath ? '-orphan' : ''}`,
      isOrphan,
      renewable: input.renewable,
      ttl,
      explicitMaxTtl,
      period,
      numUses: input.num_uses,
    },
    ...(warnings.length > 0 && { warnings }),
  }
}

function checkType(input: CreateInput): void {
  if (input.type === '' || input.type === 'service') return
  if (input.type !== 'batch') throw fault('request.invalid', "invalid 'token_type' value")
  throw fault('request.invalid', 'batch tokens are not supported: leave "type" out or set it to "service"')
}

function checkId(id: string, hasSudo: boolean): void {
  if (!hasSudo) throw fault('request.invalid', 'root or sudo privileges required to specify token id')
  if (id.startsWith('hvs.')) throw fault('request.invalid', "custom token ID cannot have the 'hvs.' prefix")
  if (id.startsWith('s.')) throw fault('request.invalid', "custom token ID cannot have the 's.' prefix")
  if (id.includes('.')) throw fault('request.invalid', "custom token ID cannot have a '.' in the value")
  if (id.trim() !== id || id === '')
    throw fault('request.invalid', 'a token ID is not empty and has no blanks around it')
}

/** @source server-core 3.4 */
function choosePolicies(input: CreateInput, parent: TokenEntry, hasSudo: boolean): readonly string[] {
  const isParentRoot = parent.policies.includes('root')
  let policies: readonly string[]
  if (input.policies.length === 0) policies = parent.policies
  else {
    const asked = normalPolicies(input.policies)
    if (asked.includes('response-wrapping')) throw fault('request.invalid', 'cannot assign policy "response-wrapping"')
    if (!hasSudo && !isParentRoot && !asked.every(name => parent.policies.includes(name))) {
      throw fault('request.invalid', 'child policies must be subset of parent')
    }
    const addsDefault = hasSudo || isParentRoot || parent.policies.includes('default')
    policies = addsDefault && !input.no_default_policy ? normalPolicies([...asked, 'default']) : asked
  }
  if (policies.includes('root') && !isParentRoot) {
    throw fault('request.invalid', 'root tokens may not be created without parent token being root')
  }
  return input.no_default_policy ? policies.filter(name => name !== 'default') : policies
}

async function unknownPolicies(policies: readonly string[], state: TokenState): Promise<string[]> {
  const warnings: string[] = []
  for (const name of policies) {
    if (name !== 'root' && !(await state.policyExists(name))) warnings.push(`Policy "${name}" does not exist`)
  }
  return warnings
}

function lookup(call: Call, state: TokenState, token: string): Maybe<Reply> {
  const live = state.tokens.find(token)
  return live instanceof Promise ? live.then(one => described(call, one)) : described(call, live)
}

function described(call: Call, live: LiveToken | null): Reply {
  if (live === null) throw fault('permission.bare', 'bad token')
  return { kind: 'data', data: lookupData(live.audited.token, live.entry, live.caller.identityPolicies, call.now()) }
}

/** The caller's copy is from before this request took its use; what is shown counts it: -1 is a token's last. */
async function lookupCounted(call: Call, state: TokenState, live: LiveToken): Promise<Reply> {
  const entry = await state.tokens.entry(live.key)
  return described(call, entry === null ? null : { ...live, entry })
}

function lookupSelf(call: Call, state: TokenState): Maybe<Reply> {
  const live = state.callerOf(call)
  return live === null || live.entry.numUses === 0 ? described(call, live) : lookupCounted(call, state, live)
}

async function found(accessor: string, state: TokenState): Promise<{ key: TokenKey; entry: TokenEntry }> {
  if (accessor === '') throw fault('request.invalid', '1 error occurred:\n\t* missing accessor\n\n')
  const token = await state.tokens.byAccessor(accessor)
  if (token === null) throw fault('request.invalid', '1 error occurred:\n\t* invalid accessor\n\n')
  return token
}

async function renew(call: Call, state: TokenState, key: TokenKey, token: string, increment: Seconds): Promise<Reply> {
  const renewed = await state.renewals.renew(key, increment, call)
  if (renewed === null) return empty
  const auth = authBlock(token, renewed.entry, await state.identityPolicies(renewed.entry.entityId), renewed.ttl)
  return { kind: 'auth', auth, ...(renewed.warnings.length > 0 && { warnings: renewed.warnings }) }
}

const createHelp = {
  synopsis: 'Make a token.',
  description: 'The new token is a child of the one that asks, and ends with it, unless it is made an orphan.',
}

export const tokenRows: readonly Row<TokenState>[] = [
  row({
    path: 'create',
    fields: createFields,
    operations: {
      update: {
        access: 'policy',
        leases: true,
        summary: 'Create a token.',
        handler: (call, state) => create(call, state, false),
      },
    },
    help: createHelp,
  }),
  row({
    path: 'create-orphan',
    fields: createFields,
    operations: {
      update: {
        access: 'policy',
        leases: true,
        summary: 'Create an orphan token.',
        handler: (call, state) => create(call, state, true),
      },
    },
    help: createHelp,
  }),
  row({
    path: 'lookup',
    fields: { token: tokenField },
    operations: {
      read: { access: 'policy', summary: 'Look up the calling token.', handler: lookupSelf },
      update: {
        access: 'policy',
        summary: 'Look up a token.',
        reply: { id: shown.text('The token.'), ttl: shown.int('Seconds left; 0 never ends.') },
        handler: (call, state) =>
          call.input.token === '' ? lookupSelf(call, state) : lookup(call, state, call.input.token),
      },
    },
    help: {
      synopsis: 'Show what is known of a token.',
      description: 'Without a token in the body: of the one that asks.',
    },
  }),
  row({
    path: 'lookup-self',
    fields: { token: tokenField },
    operations: {
      read: { access: 'policy', summary: 'Look up the calling token.', handler: lookupSelf },
      update: { access: 'policy', summary: 'Look up the calling token.', handler: lookupSelf },
    },
    help: { synopsis: 'Show what is known of the calling token.', description: 'A token in the body is ignored.' },
  }),
  row({
    path: 'lookup-accessor',
    fields: { accessor: accessorField },
    operations: {
      update: {
        access: 'policy',
        summary: 'Look up a token by its accessor.',
        async handler(call, state) {
          const { entry } = await found(call.input.accessor, state)
          return { kind: 'data', data: lookupData('', entry, await state.identityPolicies(entry.entityId), call.now()) }
        },
      },
    },
    help: {
      synopsis: 'Show what is known of a token, by its accessor.',
      description: 'The token itself is not shown.',
    },
  }),
  row({
    path: 'renew',
    fields: { token: tokenField, increment: incrementField },
    operations: {
      update: {
        access: 'policy',
        summary: 'Renew a token.',
        handler(call, state) {
          if (call.input.token === '') throw fault('request.invalid', 'missing token ID')
          return renew(call, state, state.tokens.key(call.input.token), call.input.token, call.input.increment)
        },
      },
    },
    help: {
      synopsis: 'Extend the life of a token.',
      description: 'The increment counts from now; the maximum TTL bounds it.',
    },
  }),
  row({
    path: 'renew-self',
    fields: { token: tokenField, increment: incrementField },
    operations: {
      update: {
        access: 'policy',
        summary: 'Renew the calling token.',
        async handler(call, state) {
          const caller = state.callerOf(call)
          if (caller === null) throw fault('request.invalid', 'token not found')
          return renew(call, state, caller.key, caller.audited.token, call.input.increment)
        },
      },
    },
    help: {
      synopsis: 'Extend the life of the calling token.',
      description: 'The increment counts from now; the maximum TTL bounds it.',
    },
  }),
  row({
    path: 'renew-accessor',
    fields: { accessor: accessorField, increment: incrementField },
    operations: {
      update: {
        access: 'policy',
        summary: 'Renew a token by its accessor.',
        async handler(call, state) {
          const { key } = await found(call.input.accessor, state)
          return renew(call, state, key, '', call.input.increment)
        },
      },
    },
    help: { synopsis: 'Extend the life of a token, by its accessor.', description: 'The token itself is not shown.' },
  }),
  row({
    path: 'revoke',
    fields: { token: tokenField },
    operations: {
      update: {
        access: 'policy',
        summary: 'Revoke a token and its children.',
        async handler(call, state) {
          if (call.input.token === '') throw fault('request.invalid', 'missing token ID')
          await state.tokens.revoke(state.tokens.key(call.input.token))
          return empty
        },
      },
    },
    help: { synopsis: 'End a token and all that it made.', description: 'A token that is unknown is ended already.' },
  }),
  row({
    path: 'revoke-self',
    fields: {},
    operations: {
      update: {
        access: 'policy',
        summary: 'Revoke the calling token and its children.',
        async handler(call, state) {
          const caller = state.callerOf(call)
          if (caller !== null) await state.tokens.revoke(caller.key)
          return empty
        },
      },
    },
    help: { synopsis: 'End the calling token and all that it made.', description: '' },
  }),
  row({
    path: 'revoke-accessor',
    fields: { accessor: accessorField },
    operations: {
      update: {
        access: 'policy',
        summary: 'Revoke a token by its accessor.',
        async handler(call, state) {
          if (call.input.accessor === '') throw fault('request.invalid', '1 error occurred:\n\t* missing accessor\n\n')
          const token = await state.tokens.byAccessor(call.input.accessor)
          if (token === null) return { kind: 'empty', warnings: ['No token found with this accessor'] }
          await state.tokens.revoke(token.key)
          return empty
        },
      },
    },
    help: { synopsis: 'End a token and all that it made, by its accessor.', description: '' },
  }),
  row({
    path: 'revoke-orphan',
    fields: { token: tokenField },
    operations: {
      update: {
        access: 'sudo',
        summary: 'Revoke a token; its children become orphans.',
        async handler(call, state) {
          if (call.input.token === '') throw fault('request.invalid', 'missing token ID')
          const isEnded = await state.tokens.revokeOrphaning(state.tokens.key(call.input.token))
          if (!isEnded) throw fault('request.invalid', 'token to revoke not found')
          return empty
        },
      },
    },
    help: { synopsis: 'End a token but not what it made.', description: 'Its children live on as orphans.' },
  }),
  row({
    path: 'accessors',
    fields: {
      after: text({ description: 'List after this accessor.', from: 'query' }),
      limit: int({ description: 'At most so many; 0 = all.', from: 'query' }),
    },
    operations: {
      list: {
        access: 'sudo',
        summary: 'List the accessors of all tokens.',
        async handler(call, state) {
          return { kind: 'list', keys: await allAccessors(state.tokens, call.input) }
        },
      },
    },
    help: { synopsis: 'List the accessors of all tokens.', description: 'Needs sudo: who has an accessor can revoke.' },
  }),
]

const accessorsMax = 100_000

async function allAccessors(
  tokens: Tokens,
  { after: first, limit }: { after: string; limit: number },
): Promise<readonly string[]> {
  const keys: string[] = []
  const max = limit > 0 ? Math.min(limit, accessorsMax) : accessorsMax
  for (;;) {
    const after = keys.at(-1) ?? (first === '' ? undefined : first)
    const page = await tokens.accessors({
      ...(after !== undefined && { after }),
      limit: Math.min(1_000, max - keys.length),
    })
    keys.push(...page.keys)
    if (!page.more || keys.length >= max) return keys
  }
}

/** The built-in method at `auth/token/`. */
export function tokenEngine(state: TokenState): Engine<TokenState> {
  return {
    type: 'token',
    kind: 'auth',
    version: builtinVersion,
    description: 'token based credentials',
    codecs: [],
    rows: tokenRows,
    open: () => state,
  }
}

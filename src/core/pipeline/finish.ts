import type { Maybe } from '#ground/base/brand.ts'
import { type Seconds, seconds } from '#ground/base/clock.ts'
import { type Json, renderJson } from '#ground/text/json.ts'
import type { Reply } from '#backend/reply.ts'
import { makeLive } from '#core/tokens/live.ts'
import { type Registered, registerLogin, registerToken } from '#core/tokens/register.ts'
import { authBlock } from '#core/tokens/render.ts'
import { bounded } from '#core/leases/ttl.ts'
import { fault } from '#protocol/fault.ts'
import { answerHeaders, listData, renderData, renderEnvelope } from './answer.ts'
import { type Ending, type Finished, nothingAudited } from './finished.ts'
import { unwrapped, wrappedAs } from './wrap.ts'

/** From a handler's reply to the answer: registers logins and tokens, adds warnings, renders. */
export function finish(ending: Ending, reply: Reply): Maybe<Finished> {
  switch (reply.kind) {
    case 'login':
      return registered(ending, reply)
    case 'token':
      return registered(ending, reply)
    case 'empty':
      return reply.warnings?.length || (ending.operation === 'read' && !reply.warnings)
        ? emptyWithWarnings(ending, reply)
        : {
            answer: { status: 204, headers: answerHeaders(ending.id, reply.headers), body: null },
            audited: nothingAudited,
          }
    case 'missing':
      return notFound(ending, reply)
    case 'list':
      return listed(ending, reply)
    case 'data':
      return shown(ending, reply)
    case 'auth':
      return enveloped(ending, reply, { data: null, status: 200, topLevel: null, auth: reply.auth })
    case 'lease':
      return leased(ending, reply)
    case 'renewed': {
      const { data, leaseId, renewable, ttl } = reply
      return enveloped(ending, reply, { data, status: 200, topLevel: null, lease: { leaseId, renewable, ttl } })
    }
    case 'unwrapped':
      return unwrapped(ending.id, reply)
    case 'rewrapped':
      return wrappedAs(ending.id, reply.info, nothingAudited)
    case 'bare':
      return {
        answer: {
          status: reply.status,
          headers: answerHeaders(ending.id, reply.headers),
          body: `${renderJson(reply.body)}\n`,
        },
        audited: { ...nothingAudited, data: reply.audited ?? reply.body },
      }
    case 'raw':
    case 'stream':
    case 'upgrade':
      return passedOn(ending, reply)
    default:
      return reply satisfies never
  }
}

function shown(ending: Ending, reply: Extract<Reply, { kind: 'data' }>): Finished {
  const content = { data: reply.data, status: reply.status ?? 200, topLevel: reply.topLevel ? reply.data : null }
  if (reply.ttl === undefined || ending.house === null) return enveloped(ending, reply, content)
  const { ttl, warnings } = bounded(reply.ttl, ending.house.mounts.effectiveTtls(ending.mount.entry.config))
  if (warnings.length === 0) return enveloped(ending, reply, { ...content, ttl })
  return enveloped(ending, { ...reply, warnings: [...(reply.warnings ?? []), ...warnings] }, { ...content, ttl })
}

function notFound(ending: Ending, reply: Reply): Finished {
  return {
    answer: { status: 404, headers: answerHeaders(ending.id, reply.headers), body: '{"errors":[]}\n' },
    audited: nothingAudited,
  }
}

function emptyWithWarnings(ending: Ending, reply: Reply): Finished {
  return reply.warnings?.length
    ? enveloped(ending, reply, { data: null, status: 200, topLevel: null })
    : notFound(ending, reply)
}

function listed(ending: Ending, reply: Extract<Reply, { kind: 'list' }>): Finished {
  if (reply.keys.length === 0 && !reply.scan && !reply.warnings?.length) return notFound(ending, reply)
  const data = listData(reply)
  return enveloped(ending, reply, { data, status: 200, topLevel: reply.topLevel ? data : null })
}

function passedOn(ending: Ending, reply: Extract<Reply, { kind: 'raw' | 'stream' | 'upgrade' }>): Finished {
  const audited = { ...nothingAudited, data: reply.audited ?? null }
  if (reply.kind === 'upgrade') {
    return {
      answer: { status: 101, headers: reply.headers, upgrade: (socket, head) => reply.run(socket, head) },
      audited,
    }
  }
  const headers = answerHeaders(ending.id, reply.headers).map(([name, value]) =>
    name === 'Content-Type' ? ([name, reply.contentType] as const) : ([name, value] as const),
  )
  return { answer: { status: reply.kind === 'raw' ? reply.status : 200, headers, body: reply.body }, audited }
}

type Lease = { readonly leaseId: string; readonly renewable: boolean; readonly ttl: Seconds }
type Content = { data: Json | null; status: number; topLevel: Json | null; auth?: Json; ttl?: Seconds; lease?: Lease }
const noLease: Lease = { leaseId: '', renewable: false, ttl: seconds(0) }

function enveloped(ending: Ending, reply: Reply, content: Content): Finished {
  const warnings = allWarnings(ending, reply.warnings)
  const { leaseId, renewable, ttl } = content.lease ?? noLease
  const body = renderEnvelope({
    id: ending.id,
    leaseId,
    renewable,
    leaseDuration: content.ttl ?? ttl,
    data: renderData(content.data, reply.memo),
    warnings,
    auth: content.auth === undefined ? 'null' : renderJson(content.auth),
    mountType: ending.mount.entry.type,
    topLevel: content.topLevel,
  })
  return {
    answer: { status: content.status, headers: answerHeaders(ending.id, reply.headers), body },
    audited: { ...nothingAudited, leaseId, data: reply.audited ?? content.data, warnings, memo: reply.memo ?? null },
  }
}

// Only a reply with a body can carry them: a write that answers 204 stays 204.
function allWarnings(ending: Ending, own: readonly string[] | undefined): readonly string[] {
  const quota = ending.charged?.warning ?? null
  if (ending.unknown.length === 0 && ending.replaced.length === 0 && quota === null) return own ?? []
  const more: string[] = [...(own ?? [])]
  if (quota !== null) more.push(quota)
  if (ending.unknown.length > 0)
    more.push(`Endpoint ignored these unrecognized parameters: [${ending.unknown.join(' ')}]`)
  if (ending.replaced.length > 0) {
    more.push(
      `Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [${ending.replaced.join(' ')}]`,
    )
  }
  return more
}

async function leased(ending: Ending, reply: Extract<Reply, { kind: 'lease' }>): Promise<Finished> {
  const { house, live, mount } = ending
  if (house === null || live === null) throw fault('server.sealed', 'Vault is sealed')
  const { entry, warnings } = await house.leases.register({
    path: ending.path,
    mount,
    secret: reply,
    owner: await house.tokens.leaseOwner(live),
    role: ending.role,
  })
  ending.charged?.keep()
  if (ending.isLastUse) {
    // The token ends when the answer is made, and the lease with it. @source openbao vault/request_handling.go
    throw fault(
      'request.invalid',
      'Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.',
    )
  }
  const done = enveloped(
    ending,
    { ...reply, warnings: [...(reply.warnings ?? []), ...warnings] },
    {
      data: reply.data,
      status: 200,
      topLevel: null,
      lease: { leaseId: entry.id, renewable: entry.renewable, ttl: entry.ttl },
    },
  )
  return { ...done, undo: () => house.leases.expire(entry.id) }
}

async function registered(ending: Ending, reply: Extract<Reply, { kind: 'login' | 'token' }>): Promise<Finished> {
  const house = ending.house
  if (house === null) throw fault('server.sealed', 'Vault is sealed')
  const { entry } = ending.mount
  const ttls = house.mounts.effectiveTtls(entry.config)
  const began = house.meters.now()
  let made: Registered
  if (reply.kind === 'login') {
    const mount = { ...ttls, path: ending.mount.path, accessor: entry.accessor, tokenType: entry.config.tokenType }
    made = await registerLogin(house, reply.login, mount, { path: ending.path, now: ending.now, role: ending.role })
  } else {
    const mount = { ...ttls, accessor: entry.accessor }
    made = await registerToken(house, reply.token, ending.live, mount, { now: ending.now })
  }
  // A batch token takes no place in lease counts: it is kept nowhere.
  if (made.entry.type !== 'batch') ending.charged?.keep()
  ending.charged?.keep()
  house.meters.registered.add(house.meters.now() - began)
  const { creationTtl: ttl, type } = made.entry
  house.meters.created({ method: entry.type, mountPoint: ending.mount.path, ttl, type: type ?? 'service' })
  const token = made.token.reveal('the answer of a login or token creation')
  const auth = authBlock(token, made.entry, made.identityPolicies, made.entry.creationTtl)
  const warnings = [...(reply.warnings ?? []), ...made.warnings]
  const done = enveloped(ending, { ...reply, warnings }, { data: null, status: 200, topLevel: null, auth })
  const { identityPolicies } = made
  const policies = [...new Set([...made.entry.policies, ...identityPolicies])].sort()
  const plain = makeLive(token, made.key, made.entry, null).audited
  const audited = { ...done.audited!, auth: { ...plain, policies, identityPolicies } }
  return { answer: done.answer, audited, undo: () => house.tokens.revoke(made.key) }
}

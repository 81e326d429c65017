import type { Maybe } from '#ground/base/brand.ts'
import { type Seconds, seconds } from '#ground/base/clock.ts'
import type { Headers, HttpResponse } from '#ground/http/message.ts'
import { DurationError, parseDurationSeconds } from '#ground/text/duration.ts'
import { isJsonObject, type Json, type JsonObject, renderJson } from '#ground/text/json.ts'
import { JsonError, type JsonLimits, parseJson } from '#ground/text/json-parse.ts'
import type { WrapAsk } from '#backend/call.ts'
import type { Action } from '#backend/engine.ts'
import type { Reply } from '#backend/reply.ts'
import type { AuditedReply } from '#core/audit/subject.ts'
import type { AuditedToken } from '#core/tokens/audited.ts'
import type { LiveToken } from '#core/tokens/live.ts'
import type { WrappedAnswer } from '#core/tokens/wrapped.ts'
import { invalidWrapping } from '#core/tokens/wrapping.ts'
import { type AuthBlock, parseEnvelope, type WrapInfo } from '#protocol/envelope.ts'
import { type Fault, fault } from '#protocol/fault.ts'
import { headerNames } from '#protocol/headers.ts'
import { textOf } from '#protocol/members.ts'
import type { Operation } from '#protocol/verdict.ts'
import { StoreError } from '#stores/store.ts'
import { answerHeaders, renderEnvelope } from './answer.ts'
import type { House } from './deps.ts'
import { type Ending, type Finished, nothingAudited } from './finished.ts'

/**
 * `X-Vault-Wrap-TTL` and `X-Vault-Wrap-Format`; null when no wrapping is asked for, or there is none: help, and what
 * needs no token, since nobody shall fill the store by it.
 * @throws Fault @source openbao http/handler.go requestWrapInfo
 */
export function readWrapAsk(
  headers: Headers,
  action: Pick<Action<unknown>, 'access' | 'wrappable'> | null,
  operation: Operation,
): WrapAsk | null {
  if (operation === 'help' || action?.wrappable === false || action?.access === 'unauthenticated') return null
  const sent = headers.get(headerNames.wrapTtl)
  if (sent === undefined || sent === '') return null
  const ttl = wrapSeconds(sent)
  if (ttl < 0) throw unreadable('requested wrap ttl cannot be negative')
  if (ttl === 0) return null
  // Less than a second would read as none to whoever asks what is left of it.
  if (ttl < 1) throw unreadable('requested wrap ttl must be at least a second')
  return { ttlSeconds: seconds(ttl), format: headers.get(headerNames.wrapFormat) === 'jwt' ? 'jwt' : 'token' }
}

function wrapSeconds(sent: string): number {
  try {
    return parseDurationSeconds(sent)
  } catch (error) {
    if (error instanceof DurationError) throw unreadable(error.message)
    throw error
  }
}

const unreadable = (why: string): Fault => fault('request.invalid', `error parsing X-Vault-Wrap-TTL header: ${why}`)

/** The wrapping token that a request names beside its own token; null when it names none, or its own. */
export function namedToken(values: JsonObject, own: string): Json {
  const named = Object.hasOwn(values, 'token') ? values['token']! : null
  return named === own ? null : named
}

/** The wrapping token that a client sent as its own. @throws Fault for all others */
export async function findWrapping({ tokens, wrappings }: House, token: string): Promise<LiveToken> {
  const live = await tokens.find(await wrappings.meant(token))
  if (!live?.entry.wraps) throw invalidWrapping(live !== null)
  return live
}

/** Puts the finished answer away, where request or engine ask for it and there is something; else it stays as it is. */
export function wrapUp(ending: Ending, reply: Reply, finished: Finished): Maybe<Finished> {
  if (ending.wrap === null && reply.wrap === undefined) return finished
  const ttl = shorter(ending.wrap?.ttlSeconds ?? seconds(0), reply.wrap?.ttlSeconds ?? seconds(0))
  if (ttl === 0 || ending.house === null) return finished
  switch (reply.kind) {
    case 'missing':
    case 'rewrapped':
    case 'upgrade':
      return finished
    case 'empty':
    case 'list':
      return finished.answer.status === 200 ? putAway(ending, reply, finished, ttl) : finished
    case 'stream':
      throw fault('request.invalid', 'this answer is a stream and can not be wrapped: leave out X-Vault-Wrap-TTL')
    case 'auth':
    case 'bare':
    case 'data':
    case 'lease':
    case 'login':
    case 'raw':
    case 'renewed':
    case 'token':
    case 'unwrapped':
      return putAway(ending, reply, finished, ttl)
    default:
      return reply satisfies never
  }
}

const shorter = (a: Seconds, b: Seconds): Seconds => (a === 0 || (b !== 0 && b < a) ? b : a)

async function putAway(ending: Ending, reply: Reply, finished: Finished, ttl: Seconds): Promise<Finished> {
  const audited = finished.audited ?? nothingAudited
  const isSigned = ending.wrap?.format === 'jwt' && reply.kind !== 'unwrapped' && reply.wrap?.format !== 'token'
  try {
    const info = await ending.house!.wrappings.keep(answerOf(finished.answer as HttpResponse), {
      ttl,
      path: ending.path,
      mountAccessor: ending.mount.entry.accessor,
      wrappedAccessor: reply.wrap?.accessor ?? accessorOf(reply, audited),
      format: isSigned ? 'jwt' : 'token',
    })
    return wrappedAs(ending.id, info, audited)
  } catch (error) {
    // What nobody was told of must not live on. A store that fails altogether takes this with it; then its TTL ends it.
    await finished.undo?.().catch(() => undefined)
    if (!(error instanceof StoreError) || error.code !== 'too-large') throw error
    throw fault('request.invalid', 'the answer is too large to be wrapped', { cause: error })
  }
}

function answerOf({ status, headers, body }: HttpResponse): WrappedAnswer {
  const contentType = headers.find(([name]) => name === 'Content-Type')![1]
  if (typeof body === 'string') return { status, contentType, body }
  return { status, contentType, body: Buffer.from(body as Uint8Array).toString('base64'), isBase64: true }
}

function accessorOf(reply: Reply, audited: AuditedReply): string {
  if (reply.kind === 'auth') return textOf(isJsonObject(reply.auth) ? reply.auth : null, 'accessor')
  return audited.auth?.accessor ?? ''
}

/** What the client gets in the place of an answer that was put away. */
export function wrappedAs(id: string, info: WrapInfo, audited: AuditedReply): Finished {
  const body = renderEnvelope({
    id: '',
    leaseId: '',
    renewable: false,
    leaseDuration: 0,
    data: 'null',
    warnings: [],
    auth: 'null',
    mountType: '',
    topLevel: null,
    wrapInfo: renderJson({
      token: info.token.reveal('the answer to who asked for wrapping'),
      accessor: info.accessor,
      ttl: info.ttl,
      creation_time: info.creationTime,
      creation_path: info.creationPath,
      ...(info.wrappedAccessor !== '' && { wrapped_accessor: info.wrappedAccessor }),
    }),
  })
  return { answer: { status: 200, headers: answerHeaders(id), body }, audited: { ...audited, wrapInfo: info } }
}

/** An answer that was wrapped goes out as it was; the audit sees into it. */
export function unwrapped(id: string, reply: Extract<Reply, { kind: 'unwrapped' }>): Finished {
  const { status, contentType, body } = reply
  const headers = answerHeaders(id, [['Content-Type', contentType]])
  const answer: HttpResponse = { status, headers, body: body.length === 0 ? null : body }
  const envelope = typeof body === 'string' ? parseEnvelope(treeOf(body)) : null
  if (envelope === null) return { answer, audited: nothingAudited }
  const { data, warnings, leaseId, auth } = envelope
  return {
    answer,
    audited: { ...nothingAudited, data, warnings, leaseId, auth: auth === null ? null : auditedAuth(auth) },
  }
}

// It was rendered by this server, out of what was bounded when it came.
const limits: JsonLimits = {
  depthMax: 1_000,
  stringBytesMax: Infinity,
  objectEntriesMax: Infinity,
  arrayElementsMax: Infinity,
  tokensMax: Infinity,
}

function treeOf(body: string): Json {
  try {
    return parseJson(body, { limits })
  } catch (error) {
    if (error instanceof JsonError) return null
    throw error
  }
}

const auditedAuth = (auth: AuthBlock): AuditedToken => ({
  token: auth.clientToken.reveal('hashed for the audit'),
  accessor: auth.accessor,
  displayName: '',
  policies: auth.policies ?? [],
  tokenPolicies: auth.tokenPolicies ?? [],
  identityPolicies: auth.identityPolicies ?? [],
  metadata: auth.metadata,
  numUses: auth.numUses,
  entityId: auth.entityId,
  type: auth.tokenType,
  ttl: auth.leaseDuration,
  issueTime: '',
})

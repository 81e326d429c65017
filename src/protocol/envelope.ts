import { Secret } from '#ground/base/secret.ts'
import { isJsonObject, type Json, type JsonObject, renderJson, renderJsonString } from '#ground/text/json.ts'
import { isTrue, objectOf, own, textMapOf, textOf, textsOf, wholeOf } from './members.ts'

/** What a login, a token's creation or its renewal gives. Lists are null where the server left them out. */
export type AuthBlock = {
  readonly clientToken: Secret
  readonly accessor: string
  readonly policies: readonly string[] | null
  readonly tokenPolicies: readonly string[] | null
  readonly identityPolicies: readonly string[] | null
  readonly metadata: Readonly<Record<string, string>> | null
  /** Seconds; 0 never expires. */
  readonly leaseDuration: number
  readonly renewable: boolean
  readonly entityId: string
  readonly tokenType: string
  readonly orphan: boolean
  readonly numUses: number
  readonly mfaRequirement: JsonObject | null
}

/** A response that was put away; whoever has the token may fetch it once. */
export type WrapInfo = {
  readonly token: Secret
  readonly accessor: string
  /** Seconds. */
  readonly ttl: number
  /** RFC 3339 as sent. */
  readonly creationTime: string
  readonly creationPath: string
  /** Of the token inside, when it is a login; empty otherwise. */
  readonly wrappedAccessor: string
}

/** A successful answer; `data` is the server's tree, untouched. */
export type Envelope = {
  readonly requestId: string
  readonly leaseId: string
  readonly renewable: boolean
  /** Seconds. */
  readonly leaseDuration: number
  readonly data: JsonObject | null
  readonly warnings: readonly string[]
  readonly auth: AuthBlock | null
  readonly wrapInfo: WrapInfo | null
  /** `kv`, `system`, …; empty from servers that don't send it. */
  readonly mountType: string
}

const envelopeKeys = ['request_id', 'lease_id', 'lease_duration', 'renewable', 'data', 'warnings', 'auth', 'wrap_info']

/**
 * Reads a body as the Go client does: one that fills no member of the envelope is taken whole as `data`.
 * @returns null for what says nothing: no object, or `errors` alone.
 * @source openbao api/secret.go ParseSecret
 */
export function parseEnvelope(body: Json): Envelope | null {
  if (!isJsonObject(body)) return null
  const isEnvelope = envelopeKeys.some(key => isFilled(own(body, key)))
  if (!isEnvelope) {
    if (Object.keys(body).every(key => key === 'errors')) return null
    return { ...emptyEnvelope, data: envelopeKeys.every(key => Object.hasOwn(body, key)) ? null : body }
  }
  const auth = objectOf(body, 'auth')
  const wrap = objectOf(body, 'wrap_info')
  return {
    requestId: textOf(body, 'request_id'),
    leaseId: textOf(body, 'lease_id'),
    renewable: isTrue(body, 'renewable'),
    leaseDuration: wholeOf(body, 'lease_duration'),
    data: objectOf(body, 'data'),
    warnings: textsOf(body, 'warnings') ?? [],
    auth: auth && parseAuth(auth),
    wrapInfo: wrap && parseWrapInfo(wrap),
    mountType: textOf(body, 'mount_type'),
  }
}

/** An answer that says nothing. */
export const emptyEnvelope: Envelope = {
  requestId: '',
  leaseId: '',
  renewable: false,
  leaseDuration: 0,
  data: null,
  warnings: [],
  auth: null,
  wrapInfo: null,
  mountType: '',
}

function parseAuth(auth: JsonObject): AuthBlock {
  return {
    clientToken: new Secret(textOf(auth, 'client_token')),
    accessor: textOf(auth, 'accessor'),
    policies: textsOf(auth, 'policies'),
    tokenPolicies: textsOf(auth, 'token_policies'),
    identityPolicies: textsOf(auth, 'identity_policies'),
    metadata: textMapOf(auth, 'metadata'),
    leaseDuration: wholeOf(auth, 'lease_duration'),
    renewable: isTrue(auth, 'renewable'),
    entityId: textOf(auth, 'entity_id'),
    tokenType: textOf(auth, 'token_type'),
    orphan: isTrue(auth, 'orphan'),
    numUses: wholeOf(auth, 'num_uses'),
    mfaRequirement: objectOf(auth, 'mfa_requirement'),
  }
}

function parseWrapInfo(wrap: JsonObject): WrapInfo {
  return {
    token: new Secret(textOf(wrap, 'token')),
    accessor: textOf(wrap, 'accessor'),
    ttl: wholeOf(wrap, 'ttl'),
    creationTime: textOf(wrap, 'creation_time'),
    creationPath: textOf(wrap, 'creation_path'),
    wrappedAccessor: textOf(wrap, 'wrapped_accessor'),
  }
}

/** What goes into an answer's body; what is left out is written as the envelope's empty value. */
export type EnvelopeParts = {
  readonly requestId: string
  readonly leaseId?: string
  readonly renewable?: boolean
  readonly leaseDuration?: number
  /** May be `RawJson`: then its text goes out as it is. */
  readonly data?: Json
  readonly wrapInfo?: Json
  readonly warnings?: readonly string[] | null
  readonly auth?: Json
  readonly mountType?: string
  /** Keys repeated beside the envelope's own, which win (server-core 1.6). */
  readonly topLevel?: JsonObject
}

/** The body's text: members in the order of the original, a line feed at the end. */
export function renderEnvelope(parts: EnvelopeParts): string {
  const warnings = parts.warnings && parts.warnings.length > 0 ? renderJson(parts.warnings) : 'null'
  let out = `{"request_id":${renderJsonString(parts.requestId)},"lease_id":${renderJsonString(parts.leaseId ?? '')}`
  out += `,"renewable":${parts.renewable === true},"lease_duration":${parts.leaseDuration ?? 0}`
  out += `,"data":${renderJson(parts.data ?? null)},"wrap_info":${renderJson(parts.wrapInfo ?? null)}`
  out += `,"warnings":${warnings},"auth":${renderJson(parts.auth ?? null)}`
  out += `,"mount_type":${renderJsonString(parts.mountType ?? '')}`
  for (const [key, value] of Object.entries(parts.topLevel ?? {})) {
    if (!reserved.has(key)) out += `,${renderJsonString(key)}:${renderJson(value)}`
  }
  return `${out}}\n`
}

const reserved: ReadonlySet<string> = new Set([...envelopeKeys, 'mount_type'])

/** `{"errors":[…]}`, with `data` where a failure carries some. */
export function renderErrors(errors: readonly string[], data?: Json): string {
  const tail = data === undefined ? '' : `,"data":${renderJson(data)}`
  return `{"errors":${renderJson(errors)}${tail}}\n`
}

// Go compares the decoded struct with its zero value, so an empty list or map counts as filled, an empty text doesn't.
function isFilled(value: Json | undefined): boolean {
  return value !== undefined && value !== null && value !== '' && value !== 0 && value !== false
}

import { Secret } from '#ground/base/secret.ts'
import {
  isJsonObject,
  type Json,
  type JsonObject,
  NumberLiteral,
  renderJson,
  renderJsonString,
} from '#ground/text/json.ts'

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
    return { ...blank, data: envelopeKeys.every(key => Object.hasOwn(body, key)) ? null : body }
  }
  const auth = own(body, 'auth')
  const wrap = own(body, 'wrap_info')
  const data = own(body, 'data')
  return {
    requestId: text(body, 'request_id'),
    leaseId: text(body, 'lease_id'),
    renewable: own(body, 'renewable') === true,
    leaseDuration: whole(body, 'lease_duration'),
    data: isJsonObject(data) ? data : null,
    warnings: texts(body, 'warnings') ?? [],
    auth: isJsonObject(auth) ? parseAuth(auth) : null,
    wrapInfo: isJsonObject(wrap) ? parseWrapInfo(wrap) : null,
    mountType: text(body, 'mount_type'),
  }
}

const blank: Envelope = {
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
  const metadata = own(auth, 'metadata')
  const mfa = own(auth, 'mfa_requirement')
  return {
    clientToken: new Secret(text(auth, 'client_token')),
    accessor: text(auth, 'accessor'),
    policies: texts(auth, 'policies'),
    tokenPolicies: texts(auth, 'token_policies'),
    identityPolicies: texts(auth, 'identity_policies'),
    metadata: isJsonObject(metadata)
      ? Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, String(value)]))
      : null,
    leaseDuration: whole(auth, 'lease_duration'),
    renewable: own(auth, 'renewable') === true,
    entityId: text(auth, 'entity_id'),
    tokenType: text(auth, 'token_type'),
    orphan: own(auth, 'orphan') === true,
    numUses: whole(auth, 'num_uses'),
    mfaRequirement: isJsonObject(mfa) ? mfa : null,
  }
}

function parseWrapInfo(wrap: JsonObject): WrapInfo {
  return {
    token: new Secret(text(wrap, 'token')),
    accessor: text(wrap, 'accessor'),
    ttl: whole(wrap, 'ttl'),
    creationTime: text(wrap, 'creation_time'),
    creationPath: text(wrap, 'creation_path'),
    wrappedAccessor: text(wrap, 'wrapped_accessor'),
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

/** A member of an object by its own name: `constructor` and `__proto__` are no members unless sent. */
export function own(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

// Go compares the decoded struct with its zero value, so an empty list or map counts as filled, an empty text doesn't.
function isFilled(value: Json | undefined): boolean {
  return value !== undefined && value !== null && value !== '' && value !== 0 && value !== false
}

function text(object: JsonObject, key: string): string {
  const value = own(object, key)
  return typeof value === 'string' ? value : ''
}

function whole(object: JsonObject, key: string): number {
  const value = own(object, key)
  if (typeof value === 'number') return Math.trunc(value)
  return value instanceof NumberLiteral ? Math.trunc(Number(value.text)) : 0
}

function texts(object: JsonObject, key: string): readonly string[] | null {
  const value = own(object, key)
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : null
}

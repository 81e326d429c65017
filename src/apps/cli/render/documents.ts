import { isJsonObject, type Json, type JsonObject, NumberLiteral, RawJson, renderJson } from '#ground/text/json.ts'
import { sortedKeys } from '#ground/text/compare.ts'
import type { AuthBlock, Envelope, WrapInfo } from '#protocol/envelope.ts'

// Go prints structs in the order of their fields and maps sorted; these objects are structs.
const structs = new WeakSet<object>()

/** An object whose keys print in the order written. */
export function struct(value: JsonObject): JsonObject {
  structs.add(value)
  return value
}

/** JSON as Go's MarshalIndent writes it with two blanks. */
export function indentedJson(value: Json, indent = ''): string {
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]'
    return `[\n${value.map(item => inner + indentedJson(item as Json, inner)).join(',\n')}\n${indent}]`
  }
  if (!isJsonObject(value)) return renderJson(value)
  const keys = keysOf(value)
  if (keys.length === 0) return '{}'
  const members = keys.map(key => `${inner}${renderJson(key)}: ${indentedJson(value[key] ?? null, inner)}`)
  return `{\n${members.join(',\n')}\n${indent}}`
}

function keysOf(value: JsonObject): string[] {
  return structs.has(value) ? Object.keys(value) : sortedKeys(value)
}

/** YAML as the original prints it: keys sorted everywhere, lists not moved in, no line feed at the end. */
export async function yamlText(value: Json): Promise<string> {
  // A library of 29 ms, for this format only.
  const { stringify } = await import('yaml')
  const text = stringify(plain(value), { lineWidth: 0, indentSeq: false, compat: 'yaml-1.1' })
  return text.trim()
}

function plain(value: Json): unknown {
  if (Array.isArray(value)) return value.map(item => plain(item as Json))
  if (value instanceof NumberLiteral) return Number(value.text)
  if (value instanceof RawJson) return JSON.parse(value.text)
  if (!isJsonObject(value)) return value
  return new Map(sortedKeys(value).map(key => [key, plain(value[key] ?? null)]))
}

/** An answer as `-format=json` shows it: the fields of the Go client's Secret, in its order. */
export function envelopeDocument(envelope: Envelope): JsonObject {
  return struct({
    request_id: envelope.requestId,
    lease_id: envelope.leaseId,
    lease_duration: envelope.leaseDuration,
    renewable: envelope.renewable,
    data: envelope.data,
    warnings: envelope.warnings.length > 0 ? envelope.warnings : null,
    ...(envelope.auth && { auth: authDocument(envelope.auth) }),
    ...(envelope.wrapInfo && { wrap_info: wrapDocument(envelope.wrapInfo) }),
    ...(envelope.mountType !== '' && { mount_type: envelope.mountType }),
  })
}

function authDocument(auth: AuthBlock): JsonObject {
  return struct({
    client_token: auth.clientToken.reveal('asked for on the command line'),
    accessor: auth.accessor,
    policies: auth.policies,
    token_policies: auth.tokenPolicies,
    identity_policies: auth.identityPolicies,
    metadata: auth.metadata,
    orphan: auth.orphan,
    entity_id: auth.entityId,
    lease_duration: auth.leaseDuration,
    renewable: auth.renewable,
    mfa_requirement: auth.mfaRequirement,
  })
}

function wrapDocument(wrap: WrapInfo): JsonObject {
  return struct({
    token: wrap.token.reveal('asked for on the command line'),
    accessor: wrap.accessor,
    ttl: wrap.ttl,
    creation_time: wrap.creationTime,
    creation_path: wrap.creationPath,
    wrapped_accessor: wrap.wrappedAccessor,
  })
}

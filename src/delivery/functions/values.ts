import { isJsonObject, type Json, NumberLiteral, RawJson } from '#ground/text/json.ts'
import { parseJson } from '#ground/text/json-parse.ts'
import { JsonNumber, Struct, TypedList, TypedMap, type Value } from '#ground/template/value.ts'
import type { Envelope } from '#protocol/envelope.ts'

/** A server's JSON as a template sees it: numbers are json.Number, as consul-template's decoder leaves them. */
export function valueOf(json: Json): Value {
  if (typeof json === 'number') return new JsonNumber(String(json))
  if (json instanceof NumberLiteral) return new JsonNumber(json.text)
  if (json instanceof RawJson) return valueOf(parseJson(json.text))
  if (Array.isArray(json)) return json.map(item => valueOf(item as Json))
  if (isJsonObject(json)) return new Map(Object.entries(json).map(([key, item]) => [key, valueOf(item)]))
  return json as Value
}

const strings = (list: readonly string[] | null): Value => new TypedList('string', list ?? [])
const texts = (map: Readonly<Record<string, string>> | null): Value =>
  new TypedMap('string', 'string', new Map(Object.entries(map ?? {})))

/**
 * What `secret` gives: a pointer to consul-template's Secret.
 * @source consul-template dependency/vault_common.go
 */
export function secretValue(envelope: Envelope): Value {
  const { auth, wrapInfo } = envelope
  return new Struct('dependency.Secret', [
    ['RequestID', envelope.requestId],
    ['LeaseID', envelope.leaseId],
    ['LeaseDuration', BigInt(envelope.leaseDuration)],
    ['Renewable', envelope.renewable],
    ['Data', envelope.data === null ? new Map() : valueOf(envelope.data)],
    ['Warnings', strings(envelope.warnings)],
    ['Auth', auth === null ? nilPointer('dependency.SecretAuth', authFields) : authValue(auth)],
    ['WrapInfo', wrapInfo === null ? nilPointer('dependency.SecretWrapInfo', wrapFields) : wrapValue(wrapInfo)],
  ])
}

const authFields = ['ClientToken', 'Accessor', 'Policies', 'Metadata', 'LeaseDuration', 'Renewable'] as const
const wrapFields = ['Token', 'TTL', 'CreationTime', 'WrappedAccessor'] as const

const nilPointer = (type: string, fields: readonly string[]): Value =>
  new Struct(
    type,
    fields.map(name => [name, undefined] as const),
    { isNil: true },
  )

function authValue(auth: NonNullable<Envelope['auth']>): Value {
  return new Struct('dependency.SecretAuth', [
    ['ClientToken', auth.clientToken.reveal('a template that asks for .Auth.ClientToken')],
    ['Accessor', auth.accessor],
    ['Policies', strings(auth.policies)],
    ['Metadata', texts(auth.metadata)],
    ['LeaseDuration', BigInt(auth.leaseDuration)],
    ['Renewable', auth.renewable],
  ])
}

function wrapValue(wrap: NonNullable<Envelope['wrapInfo']>): Value {
  return new Struct('dependency.SecretWrapInfo', [
    ['Token', wrap.token.reveal('a template that asks for .WrapInfo.Token')],
    ['TTL', BigInt(wrap.ttl)],
    ['CreationTime', wrap.creationTime],
    ['WrappedAccessor', wrap.wrappedAccessor],
  ])
}

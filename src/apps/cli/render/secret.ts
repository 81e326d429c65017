import { sortedKeys } from '#ground/text/compare.ts'
import type { Json, JsonObject } from '#ground/text/json.ts'
import { goQuote } from '#ground/text/quote.ts'
import type { AuthBlock, Envelope, WrapInfo } from '#protocol/envelope.ts'
import { objectOf, own, textOf } from '#protocol/members.ts'
import { type Row, table } from './columns.ts'
import { cellOf, humanDuration } from './value.ts'

const headers = ['Key', 'Value']

/** A table of an object's members, sorted; empty for an empty object. */
export function objectTable(data: JsonObject): string {
  const rows = dataRows(data)
  return rows.length === 0 ? '' : table(headers, rows)
}

function dataRows(data: JsonObject): Row[] {
  return sortedKeys(data).map(key => [key, cellOf(key, data[key] ?? null)])
}

/** An answer as a table; empty when it holds nothing to show. */
export function envelopeTable(envelope: Envelope): string {
  const rows = [
    ...leaseRows(envelope),
    ...(envelope.auth ? authRows(envelope.auth) : []),
    ...(envelope.wrapInfo ? wrapRows(envelope.wrapInfo) : []),
    ...dataRows(envelope.data ?? {}),
  ]
  return rows.length === 0 ? '' : table(headers, rows)
}

function leaseRows({ leaseId, leaseDuration, renewable }: Envelope): Row[] {
  if (leaseDuration <= 0) return []
  // A KV v1 value has no lease; its duration is a hint when to look again.
  if (leaseId === '') return [['refresh_interval', humanDuration(leaseDuration)]]
  return [
    ['lease_id', leaseId],
    ['lease_duration', humanDuration(leaseDuration)],
    ['lease_renewable', String(renewable)],
  ]
}

function authRows(auth: AuthBlock): Row[] {
  if (auth.mfaRequirement) return mfaRows(auth.mfaRequirement)
  return [
    ['token', auth.clientToken.reveal('asked for on the command line')],
    ['token_accessor', auth.accessor],
    ['token_duration', auth.leaseDuration === 0 ? '∞' : humanDuration(auth.leaseDuration)],
    ['token_renewable', String(auth.renewable)],
    ['token_policies', quotedList(auth.tokenPolicies)],
    ['identity_policies', quotedList(auth.identityPolicies)],
    ['policies', quotedList(auth.policies)],
    // A map, whose order is chance in the original; sorted here.
    ...sortedKeys(auth.metadata ?? {}).map(key => [`token_meta_${key}`, auth.metadata?.[key] ?? '']),
  ]
}

function mfaRows(requirement: JsonObject): Row[] {
  const constraints = objectOf(requirement, 'mfa_constraints') ?? {}
  const rows: Row[] = [['mfa_request_id', textOf(requirement, 'mfa_request_id')]]
  for (const name of sortedKeys(constraints)) {
    const any: Json | undefined = own(objectOf(constraints, name), 'any')
    for (const method of Array.isArray(any) ? (any as JsonObject[]) : []) {
      const prefix = `mfa_constraint_${name}_${textOf(method, 'type')}`
      rows.push([`${prefix}_id`, textOf(method, 'id')])
      rows.push([`${prefix}_uses_passcode`, String(own(method, 'uses_passcode') === true)])
      if (textOf(method, 'name') !== '') rows.push([`${prefix}_name`, textOf(method, 'name')])
    }
  }
  return rows
}

function wrapRows(wrap: WrapInfo): Row[] {
  return [
    ['wrapping_token:', wrap.token.reveal('asked for on the command line')],
    ['wrapping_accessor:', wrap.accessor],
    ['wrapping_token_ttl:', humanDuration(wrap.ttl)],
    ['wrapping_token_creation_time:', goTime(wrap.creationTime)],
    ['wrapping_token_creation_path:', wrap.creationPath],
    ...(wrap.wrappedAccessor === '' ? [] : [['wrapped_accessor:', wrap.wrappedAccessor]]),
  ]
}

// Go's Time.String: `2026-01-01 00:00:00.5 +0000 UTC`.
function goTime(rfc3339: string): string {
  const match = /^(\d{4}-\d\d-\d\d)T([\d:.]+)(Z|[+-]\d\d:\d\d)$/.exec(rfc3339)
  if (!match) return rfc3339
  const zone = match[3] === 'Z' ? '+0000 UTC' : `${match[3]?.replace(':', '')} ${match[3]?.replace(':', '')}`
  return `${match[1]} ${match[2]} ${zone}`
}

function quotedList(values: readonly string[] | null): string {
  return `[${(values ?? []).map(goQuote).join(' ')}]`
}

/** One field of an answer, or undefined. Fields of a login or a wrapping come first. */
export function fieldOf(envelope: Envelope, field: string): Json | undefined {
  const special = envelope.auth
    ? authField(envelope.auth, field)
    : envelope.wrapInfo
      ? wrapField(envelope.wrapInfo, field)
      : plainField(envelope, field)
  return special === undefined ? own(envelope.data, field) : special
}

function authField(auth: AuthBlock, field: string): Json | undefined {
  const fields: Record<string, Json> = {
    token: auth.clientToken.reveal('asked for on the command line'),
    token_accessor: auth.accessor,
    token_duration: auth.leaseDuration,
    token_renewable: auth.renewable,
    token_policies: auth.tokenPolicies ?? [],
    identity_policies: auth.identityPolicies ?? [],
    policies: auth.policies ?? [],
  }
  return own(fields, field)
}

function wrapField(wrap: WrapInfo, field: string): Json | undefined {
  const fields: Record<string, Json> = {
    wrapping_token: wrap.token.reveal('asked for on the command line'),
    wrapping_accessor: wrap.accessor,
    wrapping_token_ttl: wrap.ttl,
    wrapping_token_creation_time: wrap.creationTime,
    wrapping_token_creation_path: wrap.creationPath,
    wrapped_accessor: wrap.wrappedAccessor,
  }
  return own(fields, field)
}

function plainField(envelope: Envelope, field: string): Json | undefined {
  const fields: Record<string, Json> = {
    lease_duration: envelope.leaseDuration,
    lease_id: envelope.leaseId,
    request_id: envelope.requestId,
    renewable: envelope.renewable,
    refresh_interval: envelope.leaseDuration,
    data: own(envelope.data, 'data') ?? envelope.data,
  }
  return own(fields, field)
}

import { matchGlob } from '#ground/text/glob.ts'
import { isJsonObject, type Json, type JsonObject, NumberLiteral, renderJson } from '#ground/text/json.ts'
import type { JwtRole } from './role-entry.ts'

/** Why claims don't do: what the client is told, and what those may know who ask. */
export class ClaimError extends Error {
  override readonly name = 'ClaimError'
}

const refuse = (text: string): never => {
  throw new ClaimError(text)
}

/** Seconds. @source hashicorp/cap jwt package, the defaults of jwt.Expected */
const leewayDefault = 150
const skewDefault = 60

const ownMember = (object: JsonObject, key: string): Json | undefined =>
  Object.hasOwn(object, key) ? object[key] : undefined

/** A claim by name, or by JSON pointer (RFC 6901) when it begins with a slash; undefined where there is none. */
export function claimOf(claims: JsonObject, name: string): Json | undefined {
  return name.startsWith('/') ? pointed(claims, name) : (ownMember(claims, name) ?? undefined)
}

function pointed(claims: JsonObject, pointer: string): Json | undefined {
  let value: Json | undefined = claims
  for (const part of pointer.slice(1).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (Array.isArray(value))
      value = /^(0|[1-9]\d{0,5})$/.test(key) ? (value as readonly Json[])[Number(key)] : undefined
    else value = isJsonObject(value) ? ownMember(value, key) : undefined
  }
  return value ?? undefined
}

/** Seconds since 1970; 0 = not there. */
function timeOf(claims: JsonObject, name: string): number {
  const value = ownMember(claims, name)
  if (value === undefined || value === null) return 0
  const number = value instanceof NumberLiteral ? Number(value.text) : value
  if (typeof number !== 'number' || !Number.isFinite(number)) return refuse(`claim ${name} is no number`)
  return Math.trunc(number)
}

export function audiencesOf(claims: JsonObject): readonly string[] {
  const value = ownMember(claims, 'aud')
  if (value === undefined || value === null) return []
  const list = Array.isArray(value) ? (value as readonly Json[]) : [value]
  return list.map(one => (typeof one === 'string' ? one : refuse('invalid audience (aud) claim: it is no text')))
}

export type Expected = Pick<
  JwtRole,
  'audiences' | 'subject' | 'expirationLeeway' | 'notBeforeLeeway' | 'clockSkewLeeway'
> & { readonly issuer: string }

/**
 * Issuer, subject, audience and times, in this order.
 * @throws ClaimError
 * @source hashicorp/cap jwt/jwt.go
 */
export function checkRegistered(claims: JsonObject, expected: Expected, nowMs: number): void {
  const times = lifeOf(claims, expected)
  if (expected.issuer !== '' && ownMember(claims, 'iss') !== expected.issuer) refuse('invalid issuer (iss) claim')
  if (expected.subject !== '' && ownMember(claims, 'sub') !== expected.subject) refuse('invalid subject (sub) claim')
  const audiences = audiencesOf(claims)
  if (expected.audiences.length > 0 && !expected.audiences.some(one => audiences.includes(one))) {
    refuse('invalid audience (aud) claim: audience claim does not match any expected audience')
  }
  const now = nowMs / 1000
  const skew = leeway(expected.clockSkewLeeway, skewDefault)
  if (now + skew < times.notBefore) refuse('invalid not before (nbf) claim: token not yet valid')
  if (now - skew > times.expires) refuse('invalid expiration time (exp) claim: token is expired')
  if (now + skew < times.issued) refuse('invalid issued at (iat) claim: token issued in the future')
}

const leeway = (asked: number, usual: number): number => (asked === 0 ? usual : Math.max(0, asked))

/** A time that isn't there follows from the others. */
function lifeOf(claims: JsonObject, expected: Expected): { issued: number; notBefore: number; expires: number } {
  const [issued, notBefore, expires] = [timeOf(claims, 'iat'), timeOf(claims, 'nbf'), timeOf(claims, 'exp')]
  if (issued === 0 && notBefore === 0 && expires === 0) {
    refuse('no issued at (iat), not before (nbf), or expiration time (exp) claims in token')
  }
  const end = expires === 0 ? Math.max(issued, notBefore) + leeway(expected.expirationLeeway, leewayDefault) : expires
  const begin =
    notBefore !== 0 ? notBefore : issued !== 0 ? issued : end - leeway(expected.notBeforeLeeway, leewayDefault)
  return { issued, notBefore: begin, expires: end }
}

/** Texts and booleans as they are, numbers without their fraction; undefined for anything else. */
function scalarOf(value: Json): string | number | boolean | undefined {
  if (typeof value === 'string' || typeof value === 'boolean') return value
  const number = value instanceof NumberLiteral ? Number(value.text) : value
  return typeof number === 'number' ? Math.trunc(number) : undefined
}

/** @throws ClaimError when one of the role's bound claims isn't met. */
export function checkBound(claims: JsonObject, role: Pick<JwtRole, 'claims' | 'claimsType'>): void {
  for (const [name, wanted] of Object.entries(role.claims ?? {})) {
    const value = claimOf(claims, name)
    if (value === undefined) refuse(`claim "${name}" is missing`)
    if (isJsonObject(value)) refuse(`received claim is not a string or list: ${name}`)
    const have = listOf(value!)
    const want = listOf(wanted)
    if (!have.some(one => want.some(other => fits(one, other, role.claimsType)))) {
      refuse(`claim "${name}" does not match any associated bound claim values`)
    }
  }
}

const listOf = (value: Json): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : [value])

function fits(value: Json, wanted: Json, type: JwtRole['claimsType']): boolean {
  if (type === 'glob') return typeof value === 'string' && typeof wanted === 'string' && matchGlob(wanted, value)
  const scalar = scalarOf(value)
  return scalar !== undefined && scalar === scalarOf(wanted)
}

export type Person = {
  readonly name: string
  readonly metadata: Readonly<Record<string, string>>
  readonly groups: readonly string[]
}

/** Who the claims name. @throws ClaimError @source hv vault-plugin-auth-jwt backend.go createIdentity */
export function personOf(claims: JsonObject, role: JwtRole): Person {
  const { userClaim } = role
  const user = role.isUserClaimPointer ? claimOf(claims, userClaim) : (ownMember(claims, userClaim) ?? undefined)
  if (user === undefined) refuse(`claim "${userClaim}" not found in token`)
  if (typeof user !== 'string') refuse(`claim "${userClaim}" could not be converted to string`)
  const metadata: Record<string, string> = Object.create(null)
  for (const [claim, target] of Object.entries(role.mappings ?? {})) {
    const value = claimOf(claims, claim)
    if (value === undefined) continue
    metadata[target] = typeof value === 'string' ? value : refuse(`error converting claim '${claim}' to string`)
  }
  return { name: user as string, metadata, groups: groupsOf(claims, role.groupsClaim) }
}

function groupsOf(claims: JsonObject, name: string): readonly string[] {
  if (name === '') return []
  const value = claimOf(claims, name)
  if (value === undefined) return refuse(`"${name}" claim not found in token`)
  if (isJsonObject(value)) return refuse(`"${name}" claim could not be converted to string list`)
  const groups = listOf(value).map(one =>
    typeof one === 'string' ? one : refuse(`value ${renderJson(one)} in groups claim could not be parsed as string`),
  )
  return [...new Set(groups)].filter(group => group !== '')
}

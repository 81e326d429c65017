import { constants, type KeyObject, verify } from 'node:crypto'
import { isJsonObject, type Json, type JsonObject, NumberLiteral } from '#ground/text/json.ts'
import { JsonError, parseJson } from '#ground/text/json-parse.ts'

/** A service account's token taken apart; nothing in it is true until the API server says so. */
export type AccountToken = {
  readonly algorithm: string
  readonly issuer: string
  readonly audiences: readonly string[]
  /** Seconds since 1970; null = not there. */
  readonly expiresAt: number | null
  readonly notBefore: number | null
  readonly issuedAt: number | null
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** Of a token that lives in a Secret; empty for projected ones. */
  readonly secretName: string
  readonly signed: string
  readonly signature: Buffer
}

/** Why a token can't be one; never quotes it. */
export class TokenProblem extends Error {
  override readonly name = 'TokenProblem'
}

// RFC 7518 section 3.1; what the API server signs with, and what can be verified. No `none`, no HMAC: a public key must
// never serve as a shared secret (CVE class "unverified claims").
const algorithms: Readonly<Record<string, { hash: string; type: 'rsa' | 'ec'; pss?: true }>> = {
  RS256: { hash: 'sha256', type: 'rsa' },
  RS384: { hash: 'sha384', type: 'rsa' },
  RS512: { hash: 'sha512', type: 'rsa' },
  PS256: { hash: 'sha256', type: 'rsa', pss: true },
  PS384: { hash: 'sha384', type: 'rsa', pss: true },
  PS512: { hash: 'sha512', type: 'rsa', pss: true },
  ES256: { hash: 'sha256', type: 'ec' },
  ES384: { hash: 'sha384', type: 'ec' },
  ES512: { hash: 'sha512', type: 'ec' },
}

/** Tokens of service accounts have about 1 kB. */
const tokenMax = 64 * 1024

/**
 * Reads the claims of a legacy or projected token (RFC 7519; `kubernetes.io` private claims).
 * @throws TokenProblem
 */
export function parseAccountToken(jwt: string): AccountToken {
  if (jwt.length > tokenMax) throw new TokenProblem('the token is too long')
  const parts = jwt.split('.', 4)
  if (parts.length !== 3) throw new TokenProblem('the token is no JWT: it has not three parts')
  const header = readPart(parts[0]!, 'header')
  const algorithm = header['alg']
  if (typeof algorithm !== 'string' || !Object.hasOwn(algorithms, algorithm)) {
    throw new TokenProblem('the token is signed with an algorithm that is not taken')
  }
  const claims = readPart(parts[1]!, 'claims')
  return {
    algorithm,
    issuer: word(claims['iss']),
    audiences: audiencesOf(claims['aud']),
    expiresAt: time(claims, 'exp'),
    notBefore: time(claims, 'nbf'),
    issuedAt: time(claims, 'iat'),
    ...identityOf(claims),
    signed: `${parts[0]}.${parts[1]}`,
    signature: Buffer.from(parts[2]!, 'base64url'),
  }
}

function readPart(part: string, what: string): JsonObject {
  if (!/^[A-Za-z0-9_-]+$/.test(part)) throw new TokenProblem(`the ${what} of the token is not base64url`)
  let value: Json
  try {
    value = parseJson(Buffer.from(part, 'base64url').toString('utf8'))
  } catch (error) {
    if (error instanceof JsonError) throw new TokenProblem(`the ${what} of the token is not JSON`)
    throw error
  }
  if (!isJsonObject(value)) throw new TokenProblem(`the ${what} of the token is no JSON object`)
  return value
}

const own = (object: JsonObject, key: string): Json | undefined =>
  Object.hasOwn(object, key) ? object[key] : undefined
const word = (value: Json | undefined): string => (typeof value === 'string' ? value : '')

function time(claims: JsonObject, name: string): number | null {
  const value = own(claims, name)
  if (value === undefined || value === null) return null
  const number = value instanceof NumberLiteral ? Number(value.text) : value
  if (typeof number !== 'number' || !Number.isFinite(number)) {
    throw new TokenProblem(`the claim ${name} is not a number`)
  }
  return number
}

function audiencesOf(value: Json | undefined): readonly string[] {
  if (value === undefined || value === null) return []
  if (typeof value === 'string') return [value]
  if (Array.isArray(value) && value.every(item => typeof item === 'string')) return value as readonly string[]
  throw new TokenProblem('the claim aud is neither a string nor a list of strings')
}

type Identity = Pick<AccountToken, 'namespace' | 'name' | 'uid' | 'secretName'>

function identityOf(claims: JsonObject): Identity {
  const projected = own(claims, 'kubernetes.io')
  if (isJsonObject(projected)) {
    const account = own(projected, 'serviceaccount')
    const known = isJsonObject(account) ? account : {}
    return {
      namespace: word(own(projected, 'namespace')),
      name: word(own(known, 'name')),
      uid: word(own(known, 'uid')),
      secretName: '',
    }
  }
  const prefix = 'kubernetes.io/serviceaccount/'
  return {
    namespace: word(own(claims, `${prefix}namespace`)),
    name: word(own(claims, `${prefix}service-account.name`)),
    uid: word(own(claims, `${prefix}service-account.uid`)),
    secretName: word(own(claims, `${prefix}secret.name`)),
  }
}

/** Does any of the keys verify the signature? */
export function isSignedBy(token: AccountToken, keys: readonly KeyObject[]): boolean {
  const algorithm = Object.hasOwn(algorithms, token.algorithm) ? algorithms[token.algorithm] : undefined
  if (algorithm === undefined) return false
  return keys.some(key => {
    if (key.asymmetricKeyType !== algorithm.type) return false
    const options = {
      key,
      ...(algorithm.type === 'ec' && { dsaEncoding: 'ieee-p1363' as const }),
      ...(algorithm.pss && { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }),
    }
    return verify(algorithm.hash, Buffer.from(token.signed), options, token.signature)
  })
}

import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { compactVerify, errors } from 'jose'
import { isJsonObject, type Json, type JsonObject } from '#ground/text/json.ts'
import { JsonError, parseJson } from '#ground/text/json-parse.ts'

/** Why a token, or a key, is none; never quotes it. */
export class JwsError extends Error {
  override readonly name = 'JwsError'
}

/** A public key that signatures are verified with. */
export type VerifyKey = {
  /** null: it has no name, and is tried for every token. */
  readonly id: string | null
  /** null: any that its type allows. */
  readonly algorithm: string | null
  readonly key: KeyObject
}

/** RFC 7518 section 3.1 without `none` and HMAC: a public key must never serve as a shared secret. */
export const signatureAlgorithms: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
]

/** ID tokens with many groups have some kB. */
const tokenMax = 64 * 1024
/** Keys of a set that are read, and that are tried for a token which names none. */
const keysMax = 100

/** @throws JwsError when it is neither a public key nor a certificate in PEM */
export function readPublicKey(pem: string): VerifyKey {
  try {
    const key = pem.includes('CERTIFICATE') ? new X509Certificate(pem).publicKey : createPublicKey(pem)
    return { id: null, algorithm: null, key }
  } catch {
    throw new JwsError('neither a public key nor a certificate in PEM')
  }
}

/**
 * The keys of a set (RFC 7517) that verify signatures; what can't be read, or is for something else, is left out.
 * @throws JwsError when it is no set
 */
export function readKeySet(text: string): readonly VerifyKey[] {
  const set = readObject(text, 'the key set')
  const keys = Object.hasOwn(set, 'keys') ? set['keys'] : undefined
  if (!Array.isArray(keys)) throw new JwsError('the key set has no list of keys')
  return (keys as readonly Json[]).slice(0, keysMax).flatMap(one => keyOf(one) ?? [])
}

function keyOf(jwk: Json): VerifyKey | null {
  if (!isJsonObject(jwk)) return null
  const { kty, kid, use, alg } = jwk
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return null
  if (use !== undefined && use !== 'sig') return null
  try {
    // Only the public members: a set that was published with its private keys still verifies.
    const members = ['kty', 'n', 'e', 'crv', 'x', 'y'].flatMap(name =>
      typeof jwk[name] === 'string' ? [[name, jwk[name]] as const] : [],
    )
    const key = createPublicKey({ key: Object.fromEntries(members), format: 'jwk' })
    return { id: typeof kid === 'string' ? kid : null, algorithm: typeof alg === 'string' ? alg : null, key }
  } catch {
    return null
  }
}

export type JwsHeader = { readonly algorithm: string; readonly keyId: string | null }

/** What the header says of algorithm and key; its other members (`jwk`, `jku`, `x5u`) aren't looked at. @throws JwsError */
export function readJwsHeader(jws: string): JwsHeader {
  if (jws.length > tokenMax) throw new JwsError('the token is too long')
  const parts = jws.split('.', 4)
  if (parts.length !== 3) throw new JwsError('the token must have three parts')
  const header = readObject(Buffer.from(parts[0]!, 'base64url').toString('utf8'), 'the header of the token')
  const { alg, kid } = header
  // RFC 7797 must not be used for JWTs, and no other extension is known.
  if (Object.hasOwn(header, 'crit')) throw new JwsError('the token has a critical extension that is not known')
  if (typeof alg !== 'string') throw new JwsError('the header of the token names no algorithm')
  return { algorithm: alg, keyId: typeof kid === 'string' ? kid : null }
}

/**
 * The claims of a token that one of the keys signed.
 * @throws JwsError
 */
export async function verifyJws(
  jws: string,
  keys: readonly VerifyKey[],
  algorithms: readonly string[],
): Promise<JsonObject> {
  const { algorithm, keyId } = readJwsHeader(jws)
  if (!algorithms.includes(algorithm) || !signatureAlgorithms.includes(algorithm)) {
    throw new JwsError('the token is signed with an algorithm that is not taken')
  }
  const fitting = keys.filter(
    key =>
      (keyId === null || key.id === null || key.id === keyId) &&
      (key.algorithm === null || key.algorithm === algorithm) &&
      typesOf(algorithm).includes(key.key.asymmetricKeyType ?? ''),
  )
  for (const { key } of fitting.slice(0, keysMax)) {
    try {
      const { payload } = await compactVerify(jws, key, { algorithms: [algorithm] })
      return readObject(Buffer.from(payload).toString('utf8'), 'the payload of the token')
    } catch (error) {
      // A key of another curve, or a small one, is a TypeError there.
      if (!(error instanceof errors.JOSEError || error instanceof TypeError)) throw error
    }
  }
  throw new JwsError('no known key successfully validated the token signature')
}

function typesOf(algorithm: string): readonly string[] {
  if (algorithm === 'EdDSA') return ['ed25519']
  if (algorithm.startsWith('ES')) return ['ec']
  return algorithm.startsWith('PS') ? ['rsa', 'rsa-pss'] : ['rsa']
}

function readObject(text: string, what: string): JsonObject {
  let value: Json
  try {
    value = parseJson(text)
  } catch (error) {
    if (error instanceof JsonError) throw new JwsError(`${what} is not JSON`)
    throw error
  }
  if (!isJsonObject(value)) throw new JwsError(`${what} is no JSON object`)
  return value
}

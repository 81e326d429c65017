import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { isJsonObject, type JsonObject, renderJson } from '#ground/text/json.ts'
import { JsonError, parseJson } from '#ground/text/json-parse.ts'

/** A key on P-521, whose signatures JWTs call ES512. */
export type Es512Key = {
  /** PKCS #8 in PEM form: what is kept. */
  readonly pem: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** The point of the public key, as decimal numbers. */
  readonly x: string
  readonly y: string
}

/** @throws Error when the text is no such key */
export function readEs512Key(pem: string): Es512Key {
  const privateKey = createPrivateKey(pem)
  const publicKey = createPublicKey(privateKey)
  const { x, y, crv } = publicKey.export({ format: 'jwk' })
  if (crv !== 'P-521' || x === undefined || y === undefined) throw new Error('the key is not on P-521')
  return { pem, privateKey, publicKey, x: decimal(x), y: decimal(y) }
}

/** PKCS #8 in PEM form. */
export const newEs512Key = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey.export({ format: 'pem', type: 'pkcs8' }) as string

const decimal = (base64url: string): string =>
  BigInt(`0x${Buffer.from(base64url, 'base64url').toString('hex')}`).toString()
const encoded = (text: string): string => Buffer.from(text).toString('base64url')
const header = encoded('{"alg":"ES512","typ":"JWT"}')
const textMax = 8_192

/** A compact JWT. */
export function signEs512(claims: JsonObject, key: Es512Key): string {
  const signed = `${header}.${encoded(renderJson(claims))}`
  const signature = sign('sha512', Buffer.from(signed), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

/** The claims of a compact JWT that this key signed; null for anything else. Its times are the caller's to judge. */
export function openEs512(text: string, key: Es512Key): JsonObject | null {
  const [head = '', body = '', signature = '', ...more] = text.length > textMax ? [] : text.split('.')
  // Its own header is the only one that it takes: no other algorithm can be talked into.
  if (head !== header || more.length > 0) return null
  const bytes = Buffer.from(signature, 'base64url')
  if (!verify('sha512', Buffer.from(`${head}.${body}`), { key: key.publicKey, dsaEncoding: 'ieee-p1363' }, bytes))
    return null
  try {
    const claims = parseJson(Buffer.from(body, 'base64url').toString('utf8'))
    return isJsonObject(claims) ? claims : null
  } catch (error) {
    if (error instanceof JsonError) return null
    throw error
  }
}

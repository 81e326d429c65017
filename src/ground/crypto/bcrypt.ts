import { encodeBase64, hashSync } from 'bcryptjs'
import type { Bytes } from '#ground/base/brand.ts'
import { equalTexts } from './constant-time.ts'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
// Version, cost and 22 characters of salt; the 31 that follow are the digest.
const headLength = 29

/**
 * A password's hash; bytes of it after the 72nd don't count. Holds the thread for 2^cost rounds (cost 10: 50 to 100 ms): only for compute workers.
 * @param salt 16 fresh bytes.
 * @returns the usual text form, `$2b$10$…`, 60 characters.
 */
export function bcryptHash(password: Bytes, salt: Bytes, cost: number): string {
  const head = `$2b$${String(cost).padStart(2, '0')}$${encodeBase64(salt, salt.length)}`
  return hashSync(decoder.decode(password), head)
}

/** As `bcryptHash`, compared in constant time. @throws Error when `hash` is none */
export function bcryptMatches(password: Bytes, hash: string): boolean {
  const made = hashSync(decoder.decode(password), hash.slice(0, headLength))
  // By the digest alone: of the salt's last character four bits don't count, and not everyone leaves them at zero.
  return equalTexts(made.slice(headLength), hash.slice(headLength))
}

import type { Bytes } from '#ground/base/brand.ts'
import type { Entropy } from '#ground/base/entropy.ts'
import type { AeadKey } from '#ground/crypto/aead.ts'

// An entry in the store: 4 bytes term (big-endian), 1 byte version of the layout, 12 bytes nonce, ciphertext, 16 bytes
// tag. Term, version and storage key are authenticated, so that an entry can be neither moved nor passed off as sealed
// under another term. The layout is that of openbao vault/barrier, version 2; what is authenticated is more.
const layoutVersion = 2
const headerBytes = 5
const keyUnitsMax = 2048

/** What sealing adds to an entry, bytes. */
export const entryOverhead = headerBytes + 12 + 16

// Sealing is synchronous, so one scratch serves all calls: the cipher has taken the bytes before the next one.
const scratch = Buffer.alloc(headerBytes + 3 * keyUnitsMax)
scratch[4] = layoutVersion

function associatedWith(term: number, key: string): Bytes {
  // A longer key would be cut, and two keys with one beginning could be exchanged.
  if (key.length > keyUnitsMax) throw new RangeError(`storage key longer than ${keyUnitsMax}`)
  scratch.writeUInt32BE(term, 0)
  return scratch.subarray(0, headerBytes + scratch.write(key, headerBytes, 'utf8'))
}

export function sealEntry(entropy: Entropy, aead: AeadKey, term: number, key: string, plain: Bytes): Bytes {
  const sealed = aead.seal(entropy, plain, associatedWith(term, key), headerBytes)
  sealed.writeUInt32BE(term, 0)
  sealed[4] = layoutVersion
  return sealed
}

/** @returns null when it has no form that is known. */
export function termOf(sealed: Bytes): number | null {
  if (sealed.length < entryOverhead || sealed[4] !== layoutVersion) return null
  return ((sealed[0]! << 24) | (sealed[1]! << 16) | (sealed[2]! << 8) | sealed[3]!) >>> 0
}

/** @throws AeadError */
export function openEntry(aead: AeadKey, term: number, key: string, sealed: Bytes): Bytes {
  return aead.open(sealed, associatedWith(term, key), headerBytes)
}

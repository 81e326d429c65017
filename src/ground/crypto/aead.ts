import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { assert } from '#ground/base/assert.ts'
import type { Bytes } from '#ground/base/brand.ts'
import type { Entropy } from '#ground/base/entropy.ts'

const nonceBytes = 12
const tagBytes = 16

/** What sealing adds to the plain text, in bytes: nonce and tag. */
export const aeadOverhead = nonceBytes + tagBytes

/** The bytes were changed, moved to other associated data, or sealed by another key. */
export class AeadError extends Error {
  override readonly name = 'AeadError'

  constructor() {
    super('message authentication failed')
  }
}

/**
 * AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces: at most 2^32 messages a key, which the holder counts.
 * Sealed form: 12 bytes nonce, ciphertext, 16 bytes tag.
 */
export interface AeadKey {
  /** @param headroom bytes left free (zero) before the sealed form, for a header of the caller's. */
  seal(entropy: Entropy, plain: Bytes, associated: Bytes, headroom?: number): Buffer
  /**
   * @param from where the sealed form begins.
   * @throws AeadError
   */
  open(sealed: Bytes, associated: Bytes, from?: number): Buffer
}

class AesGcmKey implements AeadKey {
  // A KeyObject, not bytes: 4 to 5 times as fast on Node 24, and OpenSSL wipes it when it goes.
  readonly #key: KeyObject

  constructor(key: KeyObject) {
    this.#key = key
  }

  seal(entropy: Entropy, plain: Bytes, associated: Bytes, headroom = 0): Buffer {
    const nonce = entropy.bytes(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce)
    cipher.setAAD(associated)
    const ciphertext = cipher.update(plain)
    cipher.final()
    const out = Buffer.allocUnsafe(headroom + nonceBytes + ciphertext.length + tagBytes)
    out.fill(0, 0, headroom)
    out.set(nonce, headroom)
    out.set(ciphertext, headroom + nonceBytes)
    out.set(cipher.getAuthTag(), out.length - tagBytes)
    return out
  }

  open(sealed: Bytes, associated: Bytes, from = 0): Buffer {
    const end = sealed.length - tagBytes
    if (end < from + nonceBytes) throw new AeadError()
    const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(from, from + nonceBytes), {
      authTagLength: tagBytes,
    })
    decipher.setAuthTag(sealed.subarray(end))
    decipher.setAAD(associated)
    const plain = decipher.update(sealed.subarray(from + nonceBytes, end))
    try {
      decipher.final()
    } catch {
      plain.fill(0)
      throw new AeadError()
    }
    return plain
  }
}

/** @param raw 32 bytes; the caller may wipe them afterwards. */
export function createAeadKey(raw: Bytes): AeadKey {
  assert(raw.length === 32, 'an AES-256 key has 32 bytes')
  return new AesGcmKey(createSecretKey(raw))
}

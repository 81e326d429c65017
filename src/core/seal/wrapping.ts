import type { Bytes } from '#ground/base/brand.ts'
import type { Entropy } from '#ground/base/entropy.ts'
import { AeadError, createAeadKey } from '#ground/crypto/aead.ts'
import { SealError } from './seal.ts'

// What the wrapped key is for, so that it can't be taken for anything else that the same key sealed.
const purpose = Buffer.from('coffer root key v1')

export function wrapWith(key: Bytes, rootKey: Bytes, entropy: Entropy): Bytes {
  return createAeadKey(key).seal(entropy, rootKey, purpose)
}

/** @throws SealError `wrong-key` */
export function unwrapWith(key: Bytes, wrapped: Bytes): Bytes {
  // A joined key has whatever length its shares had.
  if (key.length !== 32) throw new SealError('wrong-key', 'the key does not open the root key of this storage')
  try {
    return createAeadKey(key).open(wrapped, purpose)
  } catch (error) {
    if (error instanceof AeadError)
      throw new SealError('wrong-key', 'the key does not open the root key of this storage', { cause: error })
    throw error
  }
}

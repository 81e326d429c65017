import { assertKey, keyBytesMax } from './keys.ts'
import { type StoreBatch, StoreError, type StoreKey, type StoreLimits } from './store.ts'

/**
 * Why a batch can't be taken, or null. Told by count and size only: a key may name a secret.
 * @throws AssertionError for a malformed key
 */
export function batchRefusal(batch: StoreBatch, limits: StoreLimits): StoreError | null {
  if (batch.length > limits.batchOperationsMax) {
    return tooLarge(`a batch of ${batch.length} operations; at most ${limits.batchOperationsMax}`)
  }
  let total = 0
  for (const { key, value } of batch) {
    assertKey(key)
    const keyBytes = Buffer.byteLength(key)
    if (keyBytes > keyBytesMax) return tooLarge(`a key of ${keyBytes} bytes; at most ${keyBytesMax}`)
    if (value !== null && value.length > limits.valueBytesMax) {
      return tooLarge(`a value of ${value.length} bytes; at most ${limits.valueBytesMax}`)
    }
    total += keyBytes + (value?.length ?? 0)
  }
  if (total > limits.batchBytesMax) return tooLarge(`a batch of ${total} bytes; at most ${limits.batchBytesMax}`)
  return null
}

function tooLarge(what: string): StoreError {
  return new StoreError('too-large', `the store doesn't take ${what}`)
}

/**
 * Keys cut into batches of deletions within `limits`.
 * @param limits hold at least one key of 2,048 bytes a batch.
 */
export function* deletions(keys: Iterable<StoreKey>, limits: StoreLimits): Generator<StoreBatch> {
  let batch: { key: StoreKey; value: null }[] = []
  let total = 0
  for (const key of keys) {
    const keyBytes = Buffer.byteLength(key)
    if (batch.length === limits.batchOperationsMax || (batch.length > 0 && total + keyBytes > limits.batchBytesMax)) {
      yield batch
      batch = []
      total = 0
    }
    batch.push({ key, value: null })
    total += keyBytes
  }
  if (batch.length > 0) yield batch
}

import type { Bytes } from '#ground/base/brand.ts'
import type { StoreBatch, StoreKey } from '#stores/store.ts'

// An operation: key bytes (u32), value bytes (u32, or this for a deletion), key, value. Little-endian.
const deletion = 0xffff_ffff
const headBytes = 8

const initialBytes = 64 * 1024

/** Operations of many batches in one buffer that can be handed to another thread without copying. */
export class Packer {
  #buffer: Buffer<ArrayBuffer>
  #used = 0

  /** @param spare memory that came back from the other thread */
  constructor(spare?: ArrayBuffer) {
    this.#buffer = spare ? Buffer.from(spare) : Buffer.allocUnsafeSlow(initialBytes)
  }

  /** Bytes in use. */
  get length(): number {
    return this.#used
  }

  /** The memory; the packer is spent once it is transferred. */
  get memory(): ArrayBuffer {
    return this.#buffer.buffer
  }

  add(batch: StoreBatch): void {
    for (const { key, value } of batch) {
      // A unit of UTF-16 makes three bytes of UTF-8 at most.
      this.#reserve(headBytes + key.length * 3 + (value?.length ?? 0))
      const keyBytes = this.#buffer.write(key, this.#used + headBytes, 'utf8')
      this.#buffer.writeUInt32LE(keyBytes, this.#used)
      this.#buffer.writeUInt32LE(value?.length ?? deletion, this.#used + 4)
      this.#used += headBytes + keyBytes
      if (value === null) continue
      this.#buffer.set(value, this.#used)
      this.#used += value.length
    }
  }

  #reserve(bytes: number): void {
    const needed = this.#used + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#used)
    this.#buffer = larger
  }
}

/** Calls back for each operation, in order. The value is a view of `memory`. */
export function unpack(memory: ArrayBuffer, length: number, each: (key: StoreKey, value: Bytes | null) => void): void {
  const buffer = Buffer.from(memory, 0, length)
  for (let at = 0; at < length; ) {
    const keyBytes = buffer.readUInt32LE(at)
    const valueBytes = buffer.readUInt32LE(at + 4)
    const valueAt = at + headBytes + keyBytes
    const key = buffer.toString('utf8', at + headBytes, valueAt)
    at = valueBytes === deletion ? valueAt : valueAt + valueBytes
    each(key, valueBytes === deletion ? null : buffer.subarray(valueAt, at))
  }
}

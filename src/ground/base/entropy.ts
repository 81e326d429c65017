import { createHash, randomFillSync } from 'node:crypto'

/** Chance as a value that is handed in. Real randomness is the operating system's; tests use a seed. */
export interface Entropy {
  /** Fresh bytes that the caller owns. @param length 0 to 65,536. */
  bytes(length: number): Uint8Array
  /** A whole number from 0 to `bound` - 1, without bias. @param bound 1 to 2^32. */
  below(bound: number): number
  /** A number from 0 (included) to 1 (excluded). */
  fraction(): number
  /** A version 4 UUID, lower case (RFC 9562 section 5.4). */
  uuid(): string
  /** Letters and digits, as Vault's tokens and lease ids use them. */
  base62(length: number): string
}

const base62Alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

abstract class PooledEntropy implements Entropy {
  // A pool: a system call for each 12-byte nonce costs half as much as the cipher work it serves.
  readonly #pool = Buffer.alloc(8192)
  #used = this.#pool.length

  protected abstract fill(target: Uint8Array): void

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length)
    if (length > this.#pool.length) {
      this.fill(out)
      return out
    }
    out.set(this.#take(length))
    return out
  }

  #take(length: number): Uint8Array {
    if (this.#used + length > this.#pool.length) {
      this.fill(this.#pool)
      this.#used = 0
    }
    const start = this.#used
    this.#used += length
    const taken = Uint8Array.prototype.slice.call(this.#pool, start, this.#used)
    this.#pool.fill(0, start, this.#used)
    return taken
  }

  below(bound: number): number {
    const limit = Math.floor(2 ** 32 / bound) * bound
    for (;;) {
      const b = this.#take(4)
      const value = (b[0]! | (b[1]! << 8) | (b[2]! << 16) | (b[3]! << 24)) >>> 0
      if (value < limit) return value % bound
    }
  }

  fraction(): number {
    return this.below(2 ** 32) / 2 ** 32
  }

  uuid(): string {
    const b = this.#take(16)
    b[6] = (b[6]! & 0x0f) | 0x40
    b[8] = (b[8]! & 0x3f) | 0x80
    const hex = Buffer.from(b).toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }

  base62(length: number): string {
    let out = ''
    while (out.length < length) {
      for (const byte of this.#take(length - out.length)) {
        // 248 is the largest multiple of 62 in a byte: what lies above would favour the first letters.
        if (byte < 248) out += base62Alphabet[byte % 62]
      }
    }
    return out
  }
}

class SystemEntropy extends PooledEntropy {
  protected fill(target: Uint8Array): void {
    randomFillSync(target)
  }
}

class SeededEntropy extends PooledEntropy {
  #counter = 0
  readonly #seed: number

  constructor(seed: number) {
    super()
    this.#seed = seed
  }

  protected fill(target: Uint8Array): void {
    for (let offset = 0; offset < target.length; offset += 32) {
      const block = createHash('sha256')
        .update(`${this.#seed}:${this.#counter++}`)
        .digest()
      target.set(block.subarray(0, Math.min(32, target.length - offset)), offset)
    }
  }
}

export const systemEntropy: Entropy = new SystemEntropy()

/** The same seed gives the same chance, in the same order. Never for anything real. */
export function seededEntropy(seed: number): Entropy {
  return new SeededEntropy(seed)
}

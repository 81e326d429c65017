import type { Bytes } from '#ground/base/brand.ts'
import type { Entropy } from '#ground/base/entropy.ts'
import { equalBytes } from '#ground/crypto/constant-time.ts'
import { joinShares, splitSecret } from '#ground/crypto/shamir.ts'
import { type Seal, type SealConfig, SealError } from './seal.ts'
import { unwrapWith, wrapWith } from './wrapping.ts'

/** The seal whose key is split among people, for as long as the key is in memory. */
export function shamirSeal(unsealKey: Bytes, entropy: Entropy): Seal {
  return {
    type: 'shamir',
    wrap: rootKey => wrapWith(unsealKey, rootKey, entropy),
    unwrap: wrapped => unwrapWith(unsealKey, wrapped),
  }
}

/**
 * Why a split can't be; null when it can. @source openbao vault/seal.go SealConfig.Validate
 */
export function splitProblem(shares: number, threshold: number): string | null {
  if (shares < 1) return 'shares must be at least one'
  if (threshold < 1) return 'threshold must be at least one'
  if (shares > 1 && threshold === 1) return 'threshold must be greater than one for multiple shares'
  if (shares > 255) return 'shares must be less than 256'
  if (threshold > 255) return 'threshold must be less than 256'
  if (threshold > shares) return 'threshold cannot be larger than shares'
  return null
}

export async function splitKey(key: Bytes, config: { shares: number; threshold: number }): Promise<readonly Bytes[]> {
  return splitSecret(key, config.shares, config.threshold)
}

/** Shares given so far, one by one, by whoever has them. */
export class UnsealProgress {
  readonly #entropy: Entropy
  #shares: Bytes[] = []
  #nonce = ''

  constructor(entropy: Entropy) {
    this.#entropy = entropy
  }

  get progress(): number {
    return this.#shares.length
  }

  get nonce(): string {
    return this.#nonce
  }

  reset(): void {
    for (const share of this.#shares) share.fill(0)
    this.#shares = []
    this.#nonce = ''
  }

  /**
   * Takes a share; one that was given already changes nothing.
   * @returns the joined key once there are enough; then the shares are forgotten, right or wrong. Only what it unwraps
   *   can show whether it is the right one.
   * @throws SealError `wrong-key` when the shares can't belong together.
   */
  async add(share: Bytes, config: Pick<SealConfig, 'threshold'>): Promise<Bytes | null> {
    if (this.#shares.some(known => equalBytes(known, share))) return null
    if (this.#shares.length === 0) this.#nonce = this.#entropy.uuid()
    this.#shares.push(Uint8Array.from(share))
    if (this.#shares.length < config.threshold) return null
    try {
      return await joinShares(this.#shares)
    } catch (error) {
      throw new SealError('wrong-key', 'unseal failed, invalid key', { cause: error })
    } finally {
      this.reset()
    }
  }
}

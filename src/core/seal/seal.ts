import type { Bytes } from '#ground/base/brand.ts'

/**
 * What protects the root key while the server is down. It sees nothing but the root key, and gives back what it got.
 */
export interface Seal {
  readonly type: 'shamir' | 'static'
  /** Form of its own; names the key that was used where there may be several. */
  wrap(rootKey: Bytes): Bytes
  /** @throws SealError `wrong-key`. */
  unwrap(wrapped: Bytes): Bytes
}

/** A seal that has its key without people: the server unseals by itself. */
export interface AutoSeal extends Seal {
  /** False: the key was rotated, and the root key should be wrapped anew. */
  isCurrent(wrapped: Bytes): boolean
}

/**
 * What the message says is the answer to the caller, in Vault's words where it has some.
 * - `wrong-key`: the key doesn't open what is there: it belongs to another server, or it was changed.
 * - `bad-key`: a configured key isn't 32 bytes, or can't be read; a share's text is none.
 * - `damaged`: what the storage says of its seal can't be read.
 * - `invalid-config`: shares, threshold or the configured seal can't be.
 * - `already-initialised`, `not-initialised`, `unsealed`: asked for in the wrong state.
 */
export class SealError extends Error {
  override readonly name = 'SealError'
  readonly code:
    | 'wrong-key'
    | 'bad-key'
    | 'damaged'
    | 'invalid-config'
    | 'already-initialised'
    | 'not-initialised'
    | 'unsealed'

  constructor(code: SealError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** Kept in plain text at `core/seal-config`: what a sealed server must know of its seal. @source openbao vault/seal.go SealConfig */
export type SealConfig = {
  readonly type: Seal['type']
  /** Shares of the unseal key; 1 of 1 for seals that unseal by themselves. */
  readonly shares: number
  readonly threshold: number
  /** Shares of the recovery key; 0 = none. */
  readonly recoveryShares: number
  readonly recoveryThreshold: number
}

export const sealConfigKey = 'core/seal-config'
/** The root key, wrapped by the seal. */
export const wrappedRootKey = 'core/hsm/barrier-unseal-keys'

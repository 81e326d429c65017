import { hash } from 'node:crypto'
import type { Bytes } from '#ground/base/brand.ts'
import { equalBytes } from '#ground/crypto/constant-time.ts'

/** Sealed by the barrier: what recognises the recovery key, which is kept nowhere, as it opens nothing. */
export const recoveryKeyDigest = 'core/recovery-key'

export function recoveryDigest(recoveryKey: Bytes): Bytes {
  return hash('sha256', recoveryKey, 'buffer')
}

/** Is it the key that authorises root tokens and rekeying of a server that unseals by itself? */
export function isRecoveryKey(joined: Bytes, digest: Bytes): boolean {
  return equalBytes(recoveryDigest(joined), digest)
}

import type { Bytes } from '#ground/base/brand.ts'
import type { World } from '#ground/base/world.ts'
import { recoveryDigest, recoveryKeyDigest } from '#core/seal/recovery.ts'
import { type AutoSeal, type SealConfig, sealConfigKey, SealError, wrappedRootKey } from '#core/seal/seal.ts'
import { encodeSealConfig } from '#core/seal/seal-config.ts'
import { shamirSeal, splitKey, splitProblem } from '#core/seal/shamir.ts'
import type { Fence, Store, StoreBatch, StoreOperation } from '#stores/store.ts'
import { type Barrier, createBarrier } from './barrier.ts'

export type Shares = { readonly shares: number; readonly threshold: number }

export type InitialiseRequest = {
  /** As `sys/init` got them; null when the fields weren't sent. */
  readonly secret: Shares | null
  readonly recovery: Shares | null
  /** How many PGP keys came for the shares of each, null for none: encrypting is the caller's. */
  readonly pgpKeys?: number | null
  readonly recoveryPgpKeys?: number | null
  /** What else belongs to a new server, in the same commit. */
  readonly furnish?: (barrier: Barrier) => Promise<StoreBatch>
}

/** Handed out once and kept nowhere; `shareTexts` gives the forms of the answer. */
export type Initialised = {
  readonly barrier: Barrier
  /** Shares of the unseal key; empty when the server unseals by itself. */
  readonly keys: readonly Bytes[]
  /** Shares of the recovery key; null with Shamir, empty when none were asked for. */
  readonly recoveryKeys: readonly Bytes[] | null
}

export type InitialiseOptions = {
  readonly store: Store
  readonly world: Pick<World, 'clock' | 'entropy' | 'log'>
  /** Null: Shamir. */
  readonly autoSeal: AutoSeal | null
}

/**
 * Makes root key, unseal or recovery key, and barrier. The barrier is open afterwards; with Shamir the caller closes it.
 * @throws SealError `already-initialised`, `invalid-config`
 */
export async function initialise(
  { store, world, autoSeal }: InitialiseOptions,
  fence: Fence,
  request: InitialiseRequest,
): Promise<Initialised> {
  if ((await store.get(sealConfigKey)) !== null) {
    throw new SealError('already-initialised', 'Vault is already initialized')
  }
  const config = autoSeal ? autoConfig(autoSeal, request) : shamirConfig(request)
  const rootKey = world.entropy.bytes(32)
  const unsealKey = world.entropy.bytes(32)
  const recoveryKey = config.recoveryShares > 0 ? world.entropy.bytes(32) : null
  try {
    const wrapped = (autoSeal ?? shamirSeal(unsealKey, world.entropy)).wrap(rootKey)
    const keys = autoSeal ? [] : await splitKey(unsealKey, config)
    const recovery = { shares: config.recoveryShares, threshold: config.recoveryThreshold }
    const recoveryKeys = recoveryKey ? await splitKey(recoveryKey, recovery) : []
    const plain = [
      { key: sealConfigKey, value: encodeSealConfig(config) },
      { key: wrappedRootKey, value: wrapped },
    ]
    const barrier = await createBarrier(store, fence, world, rootKey, plain, async made => [
      ...recoveryOperations(made, recoveryKey),
      ...((await request.furnish?.(made)) ?? []),
    ])
    return { barrier, keys, recoveryKeys: autoSeal ? recoveryKeys : null }
  } finally {
    for (const key of [rootKey, unsealKey, recoveryKey]) key?.fill(0)
  }
}

function recoveryOperations(barrier: Barrier, recoveryKey: Bytes | null): StoreOperation[] {
  if (!recoveryKey) return []
  return [{ key: recoveryKeyDigest, value: barrier.seal(recoveryKeyDigest, recoveryDigest(recoveryKey)) }]
}

function shamirConfig(request: InitialiseRequest): SealConfig {
  refuse(request.recovery, 'recovery_shares,recovery_threshold', 'shamir')
  const { shares, threshold } = request.secret ?? { shares: 0, threshold: 0 }
  check({ shares, threshold }, request.pgpKeys)
  return { type: 'shamir', shares, threshold, recoveryShares: 0, recoveryThreshold: 0 }
}

function autoConfig(seal: AutoSeal, request: InitialiseRequest): SealConfig {
  refuse(request.secret, 'secret_shares,secret_threshold', seal.type)
  const recovery = request.recovery ?? { shares: 0, threshold: 0 }
  // None at all may be wanted: then nobody can make a root token or rekey.
  if (recovery.shares !== 0 || recovery.threshold !== 0) check(recovery, request.recoveryPgpKeys)
  const { shares: recoveryShares, threshold: recoveryThreshold } = recovery
  return { type: seal.type, shares: 1, threshold: 1, recoveryShares, recoveryThreshold }
}

// Parameters of the other family are not ignored: somebody would miss the shares that they count on.
function refuse(sent: Shares | null, parameters: string, type: string): void {
  if (sent && (sent.shares !== 0 || sent.threshold !== 0)) {
    throw new SealError('invalid-config', `parameters ${parameters} not applicable to seal type ${type}`)
  }
}

function check({ shares, threshold }: Shares, pgpKeys: number | null = null): void {
  const problem = splitProblem(shares, threshold) ?? pgpProblem(shares, pgpKeys ?? 0)
  if (problem) throw new SealError('invalid-config', `invalid seal configuration: ${problem}`)
}

function pgpProblem(shares: number, pgpKeys: number): string | null {
  if (pgpKeys === 0 || pgpKeys === shares) return null
  return 'count mismatch between number of provided PGP keys and number of shares'
}

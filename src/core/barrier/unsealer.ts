import type { Bytes } from '#ground/base/brand.ts'
import { Gate } from '#ground/base/queue.ts'
import { joinShares } from '#ground/crypto/shamir.ts'
import { isRecoveryKey, recoveryKeyDigest } from '#core/seal/recovery.ts'
import { type AutoSeal, type SealConfig, sealConfigKey, SealError, wrappedRootKey } from '#core/seal/seal.ts'
import { decodeSealConfig } from '#core/seal/seal-config.ts'
import { shamirSeal, UnsealProgress } from '#core/seal/shamir.ts'
import { parseShare } from '#core/seal/unseal-key.ts'
import type { Fence } from '#stores/store.ts'
import { type Barrier, openBarrier } from './barrier.ts'
import { type Initialised, type InitialiseOptions, type InitialiseRequest, initialise } from './initialise.ts'

/** What `sys/seal-status` shows of the seal, under our names. */
export type SealStatus = {
  /** `shamir`, or the seal by which the server unseals itself. */
  readonly type: string
  readonly isInitialised: boolean
  readonly isSealed: boolean
  /** `t` and `n`: of the unseal key, or of the recovery key where there is one; both 0 before initialising. */
  readonly threshold: number
  readonly shares: number
  readonly progress: number
  readonly nonce: string
  readonly hasRecoverySeal: boolean
}

/** Brings the barrier from locked to open and back, by people's shares or by a seal of its own. One a process. */
export class Unsealer {
  readonly #options: InitialiseOptions
  readonly #given: UnsealProgress
  // One step at a time: two last shares at once, or two initialisations, would race.
  readonly #steps = new Gate(1)
  #barrier: Barrier | null = null

  constructor(options: InitialiseOptions) {
    this.#options = options
    this.#given = new UnsealProgress(options.world.entropy)
  }

  /** Null while sealed. */
  get barrier(): Barrier | null {
    return this.#barrier
  }

  async status(): Promise<SealStatus> {
    const { autoSeal } = this.#options
    const config = await this.#config()
    return {
      type: config?.type ?? autoSeal?.type ?? 'shamir',
      isInitialised: config !== null,
      isSealed: this.#barrier === null,
      threshold: (autoSeal ? config?.recoveryThreshold : config?.threshold) ?? 0,
      shares: (autoSeal ? config?.recoveryShares : config?.shares) ?? 0,
      progress: this.#given.progress,
      nonce: this.#given.nonce,
      hasRecoverySeal: autoSeal !== null,
    }
  }

  /** As `initialise`; the barrier stays open here, too. */
  initialise(fence: Fence, request: InitialiseRequest): Promise<Initialised> {
    return this.#steps.run(async () => {
      const made = await initialise(this.#options, fence, request)
      this.#barrier = made.barrier
      return made
    })
  }

  /**
   * Takes a share of the unseal key; the threshold-th opens the barrier. Changes nothing while it is open.
   * @param text hex or base64.
   * @throws SealError `bad-key`, `wrong-key` (what was given is forgotten), `not-initialised`, `invalid-config`
   */
  submit(text: string): Promise<SealStatus> {
    return this.#steps.run(async () => {
      if (this.#barrier) return this.status()
      const config = await this.#initialised()
      if (this.#options.autoSeal) {
        throw new SealError('wrong-key', `recovery keys can't unseal: this server unseals by its seal "${config.type}"`)
      }
      const unsealKey = await this.#given.add(parseShare(text), config)
      if (unsealKey) await this.#unsealWith(unsealKey)
      return this.status()
    })
  }

  /** Forgets the shares given so far. @throws SealError `unsealed`, `not-initialised` */
  reset(): Promise<SealStatus> {
    return this.#steps.run(async () => {
      if (this.#barrier) throw new SealError('unsealed', 'vault is unsealed')
      await this.#initialised()
      this.#given.reset()
      return this.status()
    })
  }

  /**
   * Opens the barrier by the configured seal; nothing to do while it is open.
   * @returns whether the root key should be wrapped anew (`rewrap`), since the seal's key was rotated.
   * @throws SealError `wrong-key`, `not-initialised`, `damaged`, `invalid-config`
   */
  unsealByItself(): Promise<{ readonly isStale: boolean }> {
    return this.#steps.run(async () => {
      const seal = this.#autoSeal()
      await this.#initialised()
      const wrapped = await this.#wrapped()
      if (!this.#barrier) await this.#open(seal.unwrap(wrapped))
      return { isStale: !seal.isCurrent(wrapped) }
    })
  }

  /** Wraps the root key by the seal's current key; for the active node. */
  rewrap(fence: Fence): Promise<void> {
    return this.#steps.run(async () => {
      const seal = this.#autoSeal()
      const rootKey = seal.unwrap(await this.#wrapped())
      try {
        await this.#options.store.commit([{ key: wrappedRootKey, value: seal.wrap(rootKey) }], fence)
      } finally {
        rootKey.fill(0)
      }
      this.#options.world.log.info('root key wrapped by the current key of the seal', { seal: seal.type })
    })
  }

  /** Drops the keys from memory, and shares given. */
  seal(): void {
    this.#barrier?.close()
    this.#barrier = null
    this.#given.reset()
  }

  /**
   * Do these shares make the key that authorises root tokens and rekeying: the unseal key, or the recovery key of a
   * server that unseals by itself? Wipes them.
   */
  async authorises(shares: readonly Bytes[]): Promise<boolean> {
    let joined: Bytes
    try {
      joined = await joinShares(shares)
    } catch {
      return false
    } finally {
      for (const share of shares) share.fill(0)
    }
    try {
      return this.#options.autoSeal ? await this.#isRecoveryKey(joined) : await this.#isUnsealKey(joined)
    } finally {
      joined.fill(0)
    }
  }

  async #isRecoveryKey(joined: Bytes): Promise<boolean> {
    const stored = await this.#options.store.get(recoveryKeyDigest)
    return (
      stored !== null && this.#barrier !== null && isRecoveryKey(joined, this.#barrier.open(recoveryKeyDigest, stored))
    )
  }

  async #isUnsealKey(joined: Bytes): Promise<boolean> {
    const wrapped = await this.#wrapped()
    try {
      shamirSeal(joined, this.#options.world.entropy).unwrap(wrapped).fill(0)
      return true
    } catch (error) {
      if (error instanceof SealError) return false
      throw error
    }
  }

  async #unsealWith(unsealKey: Bytes): Promise<void> {
    const wrapped = await this.#wrapped()
    let rootKey: Bytes
    try {
      rootKey = shamirSeal(unsealKey, this.#options.world.entropy).unwrap(wrapped)
    } catch (error) {
      if (!(error instanceof SealError)) throw error
      throw new SealError('wrong-key', 'unseal failed, invalid key', { cause: error })
    } finally {
      unsealKey.fill(0)
    }
    await this.#open(rootKey)
  }

  async #open(rootKey: Bytes): Promise<void> {
    try {
      this.#barrier = await openBarrier(this.#options.store, this.#options.world, rootKey)
    } finally {
      rootKey.fill(0)
    }
  }

  async #config(): Promise<SealConfig | null> {
    const stored = await this.#options.store.get(sealConfigKey)
    return stored && decodeSealConfig(stored)
  }

  async #initialised(): Promise<SealConfig> {
    const config = await this.#config()
    if (!config) throw new SealError('not-initialised', 'Vault is not initialized')
    const configured = this.#options.autoSeal?.type ?? 'shamir'
    if (config.type === configured) return config
    const message = `the storage is sealed by "${config.type}", the configuration says "${configured}": seal migration is not there yet`
    throw new SealError('invalid-config', message)
  }

  async #wrapped(): Promise<Bytes> {
    const stored = await this.#options.store.get(wrappedRootKey)
    if (!stored) throw new SealError('damaged', `${wrappedRootKey} is missing from the storage`)
    return stored
  }

  #autoSeal(): AutoSeal {
    if (!this.#options.autoSeal) throw new SealError('invalid-config', 'no seal is configured that unseals by itself')
    return this.#options.autoSeal
  }
}

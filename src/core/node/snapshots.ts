import type { Bytes } from '#ground/base/brand.ts'
import type { World } from '#ground/base/world.ts'
import { type Barrier, formatVersion } from '#core/barrier/barrier.ts'
import type { Snapshots } from '#core/builtin/system/state.ts'
import { readSnapshot, SnapshotError, writeSnapshot } from '#core/storage/snapshot.ts'
import { fault } from '#protocol/fault.ts'
import { programVersion } from '#protocol/version.ts'
import type { Store } from '#stores/store.ts'

export type NodeSnapshotsOptions = {
  readonly store: Store
  readonly world: World
  /** null while sealed. */
  readonly barrier: () => Barrier | null
  /** Puts the staged content in place and begins anew with it; called after the answer. */
  readonly reload: () => Promise<void>
}

/** Snapshots of this node's store. */
export class NodeSnapshots implements Snapshots {
  readonly #options: NodeSnapshotsOptions
  #isRestoring = false

  constructor(options: NodeSnapshotsOptions) {
    this.#options = options
  }

  async take(): Promise<AsyncIterable<Bytes>> {
    const { store, world } = this.#options
    const facts = {
      id: world.entropy.uuid(),
      at: world.clock.now(),
      format: formatVersion,
      storageType: store.type,
      programVersion,
    }
    return writeSnapshot(await store.copy(), facts, this.#barrier())
  }

  async restore(archive: AsyncIterable<Bytes>, { isForced }: { isForced: boolean }): Promise<void> {
    if (this.#isRestoring) throw fault('request.invalid', 'another snapshot is being restored')
    this.#isRestoring = true
    const { store, world, reload } = this.#options
    try {
      const barrier = isForced ? null : this.#barrier()
      await store.stage(readSnapshot(archive, { format: formatVersion, barrier }))
    } catch (error) {
      this.#isRestoring = false
      if (error instanceof SnapshotError) throw fault('request.invalid', error.message)
      throw error
    }
    world.log.warn('a snapshot takes the place of the store')
    // The answer leaves by the old content's audit; what holds that content ends after it.
    setImmediate(() => {
      void reload().finally(() => {
        this.#isRestoring = false
      })
    })
  }

  #barrier(): Barrier {
    const barrier = this.#options.barrier()
    if (barrier === null) throw fault('server.sealed', 'Vault is sealed')
    return barrier
  }
}

import { Metrics } from '#ground/base/metrics.ts'
import { simWorld } from '#ground/base/world.ts'
import type { VirtualClock } from '#ground/base/clock.ts'
import { compareUtf8 } from '#ground/text/compare.ts'
import { type FaultPlan, type FaultyStore, faultyStore } from '#stores/faulty/faulty.ts'
import { openLaggingStore } from '#stores/lagging/lagging.ts'
import { MemoryMedium, openMemoryStore } from '#stores/memory/memory.ts'
import type { Store, StoreLimits } from '#stores/store.ts'
import { Keeper, type KeeperOptions } from './keeper.ts'
import { keysOfParts, partsFolder, type Split } from './parts.ts'

/** Small, so that values are cut and batches are full soon: a part has 960 bytes. */
export const smallLimits: StoreLimits = { valueBytesMax: 2_048, batchOperationsMax: 8, batchBytesMax: 4_096 }

export type KeeperLab = {
  readonly keeper: Keeper
  readonly store: Store
  readonly clock: VirtualClock
  readonly medium: MemoryMedium
  readonly failures: unknown[]
  /** Moves the clock on until the work is done; 10,000 ms at most. */
  readonly settle: <T>(work: Promise<T>) => Promise<T>
}

export type KeeperLabOptions = {
  readonly seed?: number
  readonly medium?: MemoryMedium
  /** `memory` answers reads at once, `lagging` later, and some later than others. */
  readonly kind: 'memory' | 'lagging'
  readonly fault?: FaultPlan
  readonly limits?: StoreLimits
  readonly keeper?: Partial<KeeperOptions>
}

/** A keeper over a store in memory, in clear: what is tested here is order, not the barrier. */
export function openKeeperLab(options: KeeperLabOptions): KeeperLab {
  const world = simWorld({ seed: options.seed ?? 1 })
  const medium = options.medium ?? new MemoryMedium()
  const limits = options.limits ?? smallLimits
  const inner =
    options.kind === 'memory' ? openMemoryStore({ medium, limits }) : openLaggingStore({ world, medium, limits })
  const store: Store | FaultyStore = options.fault === undefined ? inner : faultyStore(inner, options.fault)
  const failures: unknown[] = []
  const keeper = new Keeper({
    store,
    barrier: { seal: (_key, plain) => plain, open: (_key, sealed) => sealed },
    fence: { term: medium.term },
    world,
    metrics: new Metrics(world.clock),
    cacheBytes: 100_000,
    beforeCommit: () => undefined,
    onFailed: error => failures.push(error),
    ...options.keeper,
  })
  const settle = async <T>(work: Promise<T>): Promise<T> => {
    const progress = { isDone: false }
    const done = (): void => {
      progress.isDone = true
    }
    work.then(done, done)
    for (let ms = 0; !progress.isDone && ms < 10_000; ms++) await world.clock.advance(1)
    return work
  }
  return { keeper, store, clock: world.clock, medium, failures, settle }
}

/** Keys of all parts on the medium. */
export function partsOn(medium: MemoryMedium): string[] {
  const keys: string[] = []
  for (const key of medium.from(partsFolder)) {
    if (!key.startsWith(partsFolder)) break
    keys.push(key)
  }
  return keys
}

/** Keys of all parts that entries on the medium name. */
export function partsNamed(medium: MemoryMedium): string[] {
  const keys: string[] = []
  for (const key of medium.from('')) {
    const value = medium.get(key)!
    if (key.startsWith(partsFolder) || value[0] !== 1) continue
    keys.push(...keysOfParts(key, JSON.parse(Buffer.from(value.subarray(1)).toString()) as Split))
  }
  return keys.sort(compareUtf8)
}

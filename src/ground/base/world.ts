import { type Clock, systemClock, type VirtualClock, virtualClock } from './clock.ts'
import { type Entropy, seededEntropy, systemEntropy } from './entropy.ts'
import { type Log, silentLog } from './log.ts'

/**
 * What a part needs of the outside, made once by the app and handed down; a part takes the slice it needs
 * (`Pick<World, 'clock'>`). `signal` is aborted when the whole program ends: whatever waits takes it.
 */
export type World = {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  readonly signal: AbortSignal
}

export function systemWorld(log: Log, signal: AbortSignal): World {
  return { clock: systemClock, entropy: systemEntropy, log, signal }
}

/** A world under virtual time and seeded chance, for tests and `test/sim`. */
export function simWorld(options: {
  seed: number
  log?: Log
  signal?: AbortSignal
  /** Wall time of the beginning, ms. */
  start?: number
}): World & { readonly clock: VirtualClock } {
  return {
    clock: virtualClock(options.start),
    entropy: seededEntropy(options.seed),
    log: options.log ?? silentLog,
    signal: options.signal ?? new AbortController().signal,
  }
}

import type { Clock } from './clock.ts'
import type { Entropy } from './entropy.ts'

export type RetryOptions = {
  /** How often `work` is called at most, the first time included. */
  attemptsMax: number
  /** The wait after the first failure, ms; it doubles after each further one. */
  waitMs: number
  /** The longest wait, ms. */
  waitMsMax: number
  /** Share of each wait that is left to chance, 0 to 1; default 0.25. */
  jitter?: number
  signal?: AbortSignal
  /** Which failures are worth another try; default: all. */
  isRetryable?: (error: unknown) => boolean
  onRetry?: (error: unknown, waitMs: number, attempt: number) => void
}

/**
 * The wait before try `attempt + 1`, ms, without chance.
 * @param attempt how many tries have failed, from 1.
 */
export function backoffMs(options: Pick<RetryOptions, 'waitMs' | 'waitMsMax'>, attempt: number): number {
  return Math.min(options.waitMs * 2 ** Math.min(attempt - 1, 52), options.waitMsMax)
}

/**
 * Calls `work` until it succeeds, at most `attemptsMax` times.
 * @throws the last failure, one that isn't retryable, or the signal's reason.
 */
export async function retry<T>(
  world: { clock: Clock; entropy: Entropy },
  options: RetryOptions,
  work: (attempt: number) => Promise<T>,
): Promise<T> {
  const jitter = options.jitter ?? 0.25
  for (let attempt = 1; ; attempt++) {
    options.signal?.throwIfAborted()
    try {
      return await work(attempt)
    } catch (error) {
      if (attempt >= options.attemptsMax || options.isRetryable?.(error) === false) throw error
      const waitMs = backoffMs(options, attempt) * (1 - jitter * world.entropy.fraction())
      options.onRetry?.(error, waitMs, attempt)
      await world.clock.sleep(waitMs, options.signal)
    }
  }
}

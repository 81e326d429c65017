import type { World } from '#ground/base/world.ts'
import type { ApiClient } from './api.ts'
import { ConnectError, isSealed } from './api-error.ts'

type Waiter = { sawAway: boolean; readonly wake: () => void }

/** Waits up to this long are cheaper than asking, ms. */
const probeMs = 10_000
/** One that is away for long is asked less often. */
const longProbeMs = 30_000
const shortProbes = 12

/** Does the failure say that the server as a whole can't answer now? */
export const isAway = (error: unknown): boolean => error instanceof ConnectError || isSealed(error)

/**
 * Waits that end early when a server that was away (no answer, sealed, only failures) is back. A long back-off spares a
 * server that refuses; one that was away would be asked minutes after it could have answered. All who wait share one
 * question to `sys/health` each ten seconds or so, after two minutes each thirty.
 */
export class ServerReturn {
  readonly #world: Pick<World, 'clock' | 'entropy'>
  readonly #client: ApiClient
  readonly #waiters = new Set<Waiter>()
  /** Aborted when nobody waits. */
  #idle = new AbortController()
  #isAsking = false

  /** @param client any client of the server; its token isn't sent. */
  constructor(world: Pick<World, 'clock' | 'entropy'>, client: ApiClient) {
    this.#world = world
    this.#client = client.with({ token: null, maxRetries: 0, wrapTtlSeconds: 0, timeoutMs: probeMs })
  }

  /**
   * Sleeps after a failure. Never throws.
   * @param error the failure; it may say already that the server is away.
   * @param signal ends the wait too.
   */
  async wait(ms: number, error: unknown, signal: AbortSignal): Promise<void> {
    const early = new AbortController()
    const waiter = { sawAway: isAway(error), wake: () => early.abort() }
    if (ms > probeMs) {
      this.#waiters.add(waiter)
      if (!this.#isAsking) void this.#ask()
    }
    await this.#sleep(ms, AbortSignal.any([signal, early.signal]))
    this.#waiters.delete(waiter)
    if (this.#waiters.size === 0) this.#idle.abort()
  }

  async #ask(): Promise<void> {
    this.#isAsking = true
    for (let asked = 1; this.#waiters.size > 0; asked++) {
      this.#idle = new AbortController()
      const isGone = await this.#isAway(this.#idle.signal)
      for (const waiter of this.#waiters) {
        if (isGone) waiter.sawAway = true
        else if (waiter.sawAway) waiter.wake()
      }
      const restMs = asked > shortProbes ? longProbeMs : probeMs
      await this.#sleep(restMs * (0.75 + 0.5 * this.#world.entropy.fraction()), this.#idle.signal)
    }
    this.#isAsking = false
  }

  async #isAway(signal: AbortSignal): Promise<boolean> {
    try {
      const query = { standbyok: true, perfstandbyok: true }
      await this.#client.request({ method: 'GET', path: 'sys/health', query, signal })
      return false
    } catch {
      return true
    }
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#world.clock.sleep(ms, signal)
    } catch {
      // Woken.
    }
  }
}

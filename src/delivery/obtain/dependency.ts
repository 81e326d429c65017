import { backoffMs } from '#ground/base/retry.ts'
import type { Seconds } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import { canonicalJson } from '#ground/text/json.ts'
import type { ApiClient } from '#client/api.ts'
import { ApiError, isLeaseGone } from '#client/api-error.ts'
import { renewLease } from '#client/calls/token.ts'
import { keepAlive } from '#client/lifetime.ts'
import { type Query, queryText } from '../functions/query.ts'
import { type Fetched, fetchOnce, readAgainAfter } from './fetch.ts'

export type DependencyOptions = {
  readonly query: Query
  readonly world: World
  /** The client to ask with; read anew at each try, since tokens change. */
  readonly client: () => ApiClient
  readonly staticInterval: Seconds
  /** Further tries after a failure before it counts as failed. */
  readonly retriesMax: number
  readonly onChange: () => void
  readonly onFailed: (error: unknown) => void
  /** The server doesn't know the token: waiting helps nobody. */
  readonly onTokenInvalid: () => void
}

const firstRetryMs = 250
const longestRetryMs = 60_000

/**
 * One thing that is read from a server and kept fresh: by its lease, by time, or because somebody says that it changed.
 * What was read stays while a later read fails.
 */
export class Dependency {
  readonly text: string
  readonly query: Query
  readonly #options: DependencyOptions
  readonly #abort = new AbortController()
  #fetched: Fetched | null = null
  #shape = ''
  #wake: AbortController | null = null
  #failures = 0
  #nextAtMs = 0
  readonly #done: Promise<void>

  constructor(options: DependencyOptions) {
    this.#options = options
    this.query = options.query
    this.text = queryText(options.query)
    this.#done = this.#run()
  }

  /** null while nothing has come yet. */
  get fetched(): Fetched | null {
    return this.#fetched
  }

  /** When it is read again at the latest, ms. */
  get nextAtMs(): number {
    return this.#nextAtMs
  }

  get isLeased(): boolean {
    return (this.#fetched?.envelope.leaseId ?? '') !== ''
  }

  /** Reads again now: it changed, or there is a new token. */
  poke(): void {
    this.#failures = 0
    this.#wake?.abort()
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    this.#wake?.abort()
    await this.#done
  }

  async #run(): Promise<void> {
    const { world, client } = this.#options
    while (!this.#abort.signal.aborted) {
      // Made before the request: a poke while it runs must not be lost.
      this.#wake = new AbortController()
      const wake = AbortSignal.any([this.#wake.signal, this.#abort.signal])
      try {
        const fetched = await fetchOnce(client(), this.query, this.#abort.signal)
        this.#failures = 0
        this.#take(fetched)
        await this.#waitForNext(fetched, wake)
      } catch (error) {
        if (this.#abort.signal.aborted) return
        if (!this.#hasFailed(error)) return
        const waitMs = backoffMs({ waitMs: firstRetryMs, waitMsMax: longestRetryMs }, this.#failures)
        world.log.warn(`${this.text}: ${messageOf(error)} (retry attempt ${this.#failures} after "${waitMs}ms")`)
        await sleep(world, waitMs, wake)
      }
    }
  }

  /** @returns whether to go on. */
  #hasFailed(error: unknown): boolean {
    this.#failures++
    if (error instanceof ApiError && error.status === 403 && error.errors.some(text => text.includes('invalid token'))) {
      this.#options.onTokenInvalid()
    }
    if (this.#failures <= this.#options.retriesMax) return true
    this.#options.onFailed(new Error(`${this.text}: ${messageOf(error)} (exceeded maximum retries)`, { cause: error }))
    return false
  }

  #take(fetched: Fetched): void {
    const shape = `${fetched.envelope.leaseId}\n${fetched.envelope.data === null ? '' : canonicalJson(fetched.envelope.data)}\n${fetched.keys.join('\n')}`
    const isNew = this.#fetched === null || shape !== this.#shape
    this.#shape = shape
    // The old envelope stays when nothing changed: what was derived from it stays valid.
    if (isNew) this.#fetched = fetched
    if (isNew) this.#options.onChange()
  }

  async #waitForNext(fetched: Fetched, wake: AbortSignal): Promise<void> {
    const { world, client, staticInterval } = this.#options
    const { envelope } = fetched
    if (envelope.leaseId !== '' && envelope.renewable) {
      this.#nextAtMs = world.clock.now() + envelope.leaseDuration * 1000
      await keepAlive(world, {
        lifetime: { ttlSeconds: envelope.leaseDuration, isRenewable: true },
        renew: async (increment, signal) => {
          const renewed = await renewLease(client(), envelope.leaseId, increment, { signal })
          this.#nextAtMs = world.clock.now() + renewed.ttlSeconds * 1000
          return renewed
        },
        onError: 'end',
        isGone: isLeaseGone,
        signal: wake,
      })
      return
    }
    const waitMs = readAgainAfter(envelope, staticInterval, world.entropy, world.clock.now()) * 1000
    this.#nextAtMs = world.clock.now() + waitMs
    await sleep(world, waitMs, wake)
  }
}

async function sleep(world: World, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await world.clock.sleep(ms, signal)
  } catch {
    // Woken.
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message.replace(/\s+/g, ' ') : String(error))

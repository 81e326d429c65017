import type { Seconds } from '#ground/base/clock.ts'
import type { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import type { ApiClient } from '#client/api.ts'
import { isTokenGone } from '#client/api-error.ts'
import { revokeSelf } from '#client/calls/token.ts'
import type { Held } from './auth.ts'

/** A server that doesn't answer must not keep a pod from ending, ms. */
const patienceMs = 5_000
/** More than can live at a time: a token's successor comes shortly before its end. */
const keptMax = 4

/** Ends an agent's tokens, and with them all that was leased by them, when the agent ends. */
export class Farewell {
  readonly #world: Pick<World, 'clock' | 'log'>
  readonly #client: ApiClient
  #tokens: readonly Held[] = []

  constructor(world: Pick<World, 'clock' | 'log'>, client: ApiClient) {
    this.#world = world
    this.#client = client
  }

  /** The agent has this token, perhaps beside the one before. */
  met(held: Held): void {
    this.#tokens = [...this.#tokens.filter(one => this.#lives(one)), held].slice(-keptMax)
  }

  /** Those that may still live, the oldest first. */
  get tokens(): readonly Held[] {
    return this.#tokens.filter(one => this.#lives(one))
  }

  /** @param grace so long the secrets still work, for a consumer that ends at the same time. Never throws. */
  async revoke(grace: Seconds): Promise<void> {
    const { clock, log } = this.#world
    const { tokens } = this
    if (tokens.length === 0) return
    await clock.sleep(grace * 1000)
    for (const { token } of tokens) {
      if (isBatch(token)) {
        log.info('a batch token can not be revoked; it ends by itself, and with it what was leased')
        continue
      }
      try {
        await revokeSelf(this.#client.with({ token, maxRetries: 1, timeoutMs: patienceMs }))
        log.info('the token is revoked, and with it what was leased')
      } catch (error) {
        if (!isTokenGone(error)) log.warn('the token could not be revoked; it ends by itself', { error })
      }
    }
  }

  #lives({ expiresAtMs }: Held): boolean {
    return expiresAtMs === null || expiresAtMs > this.#world.clock.now()
  }
}

/** By its beginning, Vault's or OpenBao's: one that was handed over says nothing else of itself. */
const isBatch = (token: Secret): boolean => /^(hvb|b)\./.test(token.reveal('is it a batch token?'))

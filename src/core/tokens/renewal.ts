import { instant, type Seconds, seconds } from '#ground/base/clock.ts'
import { timed } from '#ground/base/metrics.ts'
import type { World } from '#ground/base/world.ts'
import type { Granted, TokenKey } from '#backend/engine.ts'
import type { Mounts } from '#core/mounts/mounts.ts'
import { Fault, fault } from '#protocol/fault.ts'
import type { TokenEntry } from './entry.ts'
import type { TokenMeters } from './meters.ts'
import type { Tokens } from './tokens.ts'
import { calculateTtl } from '#core/leases/ttl.ts'

export type Renewed = { readonly entry: TokenEntry; readonly ttl: Seconds; readonly warnings: readonly string[] }

const none = seconds(0)

/**
 * Renewal of tokens: the auth method that made one is asked again (a role may have changed or gone), then the caps of
 * mount and token apply, from the time of issue. @source openbao vault/expiration.go RenewToken
 */
export class Renewals {
  readonly #tokens: Tokens
  readonly #mounts: Mounts
  readonly #world: Pick<World, 'clock'>
  readonly #meters: TokenMeters

  constructor(tokens: Tokens, mounts: Mounts, world: Pick<World, 'clock'>, meters: TokenMeters) {
    this.#tokens = tokens
    this.#mounts = mounts
    this.#world = world
    this.#meters = meters
  }

  /**
   * @returns null when the method has nothing to extend (its user is gone): 204, and the token runs out.
   * @throws Fault with Vault's texts.
   */
  renew(key: TokenKey, increment: Seconds, signal: AbortSignal): Promise<Renewed | null> {
    return timed(this.#world.clock, this.#meters.renew, () => this.#renew(key, increment, signal))
  }

  async #renew(key: TokenKey, increment: Seconds, signal: AbortSignal): Promise<Renewed | null> {
    const entry = await this.#tokens.entry(key)
    if (entry === null || !this.#tokens.isAlive(entry)) throw fault('request.invalid', 'token not found')
    if (entry.expiresAt === null) throw fault('request.invalid', 'invalid lease ID')
    if (!entry.renewable) throw fault('request.invalid', 'lease is not renewable')
    const granted = await this.#ask(entry, increment, signal)
    if (granted === null) return null
    const mount = this.#mounts.byAccessor(entry.mountAccessor)
    if (mount === null) throw fault('request.invalid', 'lease not found')
    const ttls = this.#mounts.effectiveTtls(mount.entry.config)
    const now = this.#world.clock.now()
    const grant = calculateTtl({
      increment,
      backendTtl: granted.ttl,
      backendMaxTtl: granted.maxTtl,
      period: granted.period ?? entry.period,
      explicitMaxTtl: entry.explicitMaxTtl,
      mountDefaultTtl: ttls.defaultTtl,
      mountMaxTtl: ttls.maxTtl,
      issuedAt: entry.createdAt,
      now,
    })
    if (grant.kind === 'past') throw fault('backend.failed_bare', 'past the max TTL, cannot renew')
    const renewed = await this.#tokens.extend(key, { expiresAt: instant(now + grant.ttl * 1000), ttl: grant.ttl })
    if (renewed === null) throw fault('request.invalid', 'token not found')
    return { entry: renewed, ttl: grant.ttl, warnings: [...(granted.warnings ?? []), ...grant.warnings] }
  }

  async #ask(entry: TokenEntry, increment: Seconds, signal: AbortSignal): Promise<Granted | null> {
    const kept: Granted = { ttl: entry.grantedTtl, maxTtl: none }
    if (entry.login === null) return kept
    const mount = this.#mounts.byAccessor(entry.mountAccessor)
    if (mount?.engine.renewLogin === undefined) return kept
    const held = { login: entry.login, issuedAt: entry.createdAt, increment, signal }
    try {
      const granted = await mount.engine.renewLogin(held, mount.state)
      return granted === 'unchanged' ? kept : granted
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      const { reason, cause } = error
      throw fault('backend.failed_bare', `failed to renew entry: ${error.text}`, {
        ...(reason !== undefined && { reason }),
        ...(cause !== undefined && { cause }),
      })
    }
  }
}

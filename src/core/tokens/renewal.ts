import { instant, type Seconds, seconds } from '#ground/base/clock.ts'
import { timed } from '#ground/base/metrics.ts'
import type { World } from '#ground/base/world.ts'
import type { Call } from '#backend/call.ts'
import { goQuote } from '#ground/text/quote.ts'
import type { Granted, TokenKey } from '#backend/engine.ts'
import type { Identity } from '#core/identity/identity.ts'
import type { Mounts } from '#core/mounts/mounts.ts'
import { Fault, fault } from '#protocol/fault.ts'
import type { TokenEntry } from './entry.ts'
import type { TokenMeters } from './meters.ts'
import type { TokenRoles } from './roles.ts'
import type { Tokens } from './tokens.ts'
import { calculateTtl, least } from '#core/leases/ttl.ts'

export type Renewed = { readonly entry: TokenEntry; readonly ttl: Seconds; readonly warnings: readonly string[] }

/** The request that asks for it. */
export type RenewalCall = Pick<Call, 'peer' | 'signal'>

export type RenewalsOptions = {
  tokens: Tokens
  mounts: Mounts
  identity: Pick<Identity, 'refreshGroups'>
  roles: Pick<TokenRoles, 'get'>
  world: Pick<World, 'clock'>
  meters: TokenMeters
}

type Bounds = { readonly period: Seconds; readonly explicitMaxTtl: Seconds }

const none = seconds(0)

/**
 * Renewal of tokens: the auth method that made one is asked again (a role may have changed or gone), then the caps of
 * mount and token apply, from the time of issue. @source openbao vault/expiration.go RenewToken
 */
export class Renewals {
  readonly #tokens: Tokens
  readonly #mounts: Mounts
  readonly #identity: Pick<Identity, 'refreshGroups'>
  readonly #roles: Pick<TokenRoles, 'get'>
  readonly #world: Pick<World, 'clock'>
  readonly #meters: TokenMeters

  constructor({ tokens, mounts, identity, roles, world, meters }: RenewalsOptions) {
    this.#tokens = tokens
    this.#identity = identity
    this.#roles = roles
    this.#mounts = mounts
    this.#world = world
    this.#meters = meters
  }

  /**
   * @returns null when the method has nothing to extend (its user is gone): 204, and the token runs out.
   * @throws Fault with Vault's texts.
   */
  renew(key: TokenKey, increment: Seconds, by: RenewalCall): Promise<Renewed | null> {
    return timed(this.#world.clock, this.#meters.renew, () => this.#renew(key, increment, by))
  }

  async #renew(key: TokenKey, increment: Seconds, by: RenewalCall): Promise<Renewed | null> {
    const entry = await this.#tokens.entry(key)
    if (entry === null || !this.#tokens.isAlive(entry)) throw fault('request.invalid', 'token not found')
    if (entry.expiresAt === null) throw fault('request.invalid', 'invalid lease ID')
    if (!entry.renewable) throw fault('request.invalid', 'lease is not renewable')
    const bounds = await this.#bounds(entry)
    const granted = await this.#ask(entry, increment, by)
    if (granted === null) return null
    const mount = this.#mounts.byAccessor(entry.mountAccessor)
    if (mount === null) throw fault('request.invalid', 'lease not found')
    const ttls = this.#mounts.effectiveTtls(mount.entry.config)
    const now = this.#world.clock.now()
    const grant = calculateTtl({
      increment,
      backendTtl: granted.ttl,
      backendMaxTtl: granted.maxTtl,
      period: granted.period ?? bounds.period,
      explicitMaxTtl: bounds.explicitMaxTtl,
      mountDefaultTtl: ttls.defaultTtl,
      mountMaxTtl: ttls.maxTtl,
      issuedAt: entry.createdAt,
      now,
    })
    if (grant.kind === 'past') throw fault('backend.failed_bare', 'past the max TTL, cannot renew')
    // Who has left a group of the outside has none of its policies from here on.
    if (granted.groupAliases !== undefined && entry.entityId !== '') {
      await this.#identity.refreshGroups(entry.entityId, entry.mountAccessor, granted.groupAliases)
    }
    const expiresAt = instant(now + grant.ttl * 1000)
    const renewed = await this.#tokens.extend(key, { expiresAt, ttl: grant.ttl, ...bounds })
    if (renewed === null) throw fault('request.invalid', 'token not found')
    return { entry: renewed, ttl: grant.ttl, warnings: [...(granted.warnings ?? []), ...grant.warnings] }
  }

  /** A token role counts as it is now, within what the call asked for. @source openbao vault/token_store.go authRenew */
  async #bounds({ tokenRole, period, explicitMaxTtl }: TokenEntry): Promise<Bounds> {
    if (tokenRole === undefined) return { period, explicitMaxTtl }
    const role = await this.#roles.get(tokenRole.name)
    if (role === null) {
      const text = `failed to renew entry: original token role ${goQuote(tokenRole.name)} could not be found, not renewing`
      throw fault('backend.failed_bare', text)
    }
    const { parameters } = role.token
    return {
      // Whoever may use a role may not ask for a period that it doesn't give.
      period: parameters.period === 0 ? none : least(tokenRole.period, parameters.period),
      explicitMaxTtl: least(tokenRole.explicitMaxTtl, parameters.explicitMaxTtl),
    }
  }

  async #ask(entry: TokenEntry, increment: Seconds, { peer, signal }: RenewalCall): Promise<Granted | null> {
    const kept: Granted = { ttl: entry.grantedTtl, maxTtl: none }
    if (entry.login === null) return kept
    const mount = this.#mounts.byAccessor(entry.mountAccessor)
    if (mount?.engine.renewLogin === undefined) return kept
    const held = { login: entry.login, issuedAt: entry.createdAt, increment, peer, signal }
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

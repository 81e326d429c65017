import type { Instant } from '#ground/base/clock.ts'

/** A lease or token as a forecast sees it; times in seconds. */
export type Sample = {
  readonly mount: string
  readonly role: string | null
  /** The quota that counts it. */
  readonly quota: string | null
  readonly issuedAt: Instant
  /** Granted last. */
  readonly ttl: number
  /** The longest that renewals make of it; null: without end. */
  readonly maxTtl: number | null
}

/** What a mount or a role comes to. Seconds; leases are counts. */
export type Outlook = {
  /** There now. */
  readonly leases: number
  readonly perHour: number
  /** Mean of what was granted. */
  readonly ttl: number
  /** There once as many end as are made, if the rate stays and nobody renews. */
  readonly forecast: number
  /** As `forecast`, if all are renewed as long as they may be; null: they never end. */
  readonly renewed: number | null
}

export type QuotaOutlook = Outlook & {
  /** Seconds until it is used up; null: it won't be. */
  readonly fullIn: number | null
}

/** Seconds over which a rate is taken: the longest that is no longer than the shortest life, so that none is missed. */
const windows = [3600, 900, 300, 60, 10] as const
/** A rate of less than a minute says little. */
const shortestSeconds = 60
/** Roles told apart; further ones count to their mount alone. */
const rolesMax = 10_000

class Group {
  leases = 0
  #ttls = 0
  #maxTtls = 0
  #endless = false
  #shortest = Number.POSITIVE_INFINITY
  #oldest = Number.POSITIVE_INFINITY
  readonly #issued = new Map<number, number>(windows.map(window => [window, 0]))

  add(sample: Sample, now: Instant): void {
    this.leases++
    this.#ttls += sample.ttl
    if (sample.maxTtl === null) this.#endless = true
    else this.#maxTtls += sample.maxTtl
    this.#shortest = Math.min(this.#shortest, sample.ttl)
    this.#oldest = Math.min(this.#oldest, sample.issuedAt)
    const age = (now - sample.issuedAt) / 1000
    for (const window of windows) if (age < window) this.#issued.set(window, this.#issued.get(window)! + 1)
  }

  /** Made per second. Who began a minute ago is measured over a minute. */
  #rate(now: Instant): number {
    const window = windows.find(one => one <= this.#shortest) ?? windows.at(-1)!
    const age = Math.ceil((now - this.#oldest) / 1000)
    return this.#issued.get(window)! / Math.min(window, Math.max(age, shortestSeconds))
  }

  outlook(now: Instant): Outlook {
    const rate = this.#rate(now)
    const ttl = this.#ttls / this.leases
    return {
      leases: this.leases,
      perHour: Math.round(rate * 3600),
      ttl: Math.round(ttl),
      forecast: Math.round(rate * ttl),
      renewed: this.#endless ? null : Math.round((rate * this.#maxTtls) / this.leases),
    }
  }

  /** Seconds until there are `max`, as made and ended now; null: never. */
  fullIn(now: Instant, max: number): number | null {
    const rate = this.#rate(now)
    const ttl = this.#ttls / this.leases
    if (this.leases >= max) return 0
    if (rate * ttl <= max) return null
    // Until the first of today's end none is missing, later as many end as were made a life ago.
    const growth = rate - this.leases / ttl
    return growth <= 0 ? null : Math.round((max - this.leases) / growth)
  }
}

/**
 * What the present rate comes to: as many as are made in the time that one lives (Little's law). Taken from the leases
 * that are there, so that it is the same after a restart; those that were revoked early don't count.
 */
export class Forecast {
  readonly #now: Instant
  readonly #mounts = new Map<string, { all: Group; roles: Map<string, Group> }>()
  readonly #quotas = new Map<string, Group>()
  #roles = 0

  constructor(now: Instant) {
    this.#now = now
  }

  add(sample: Sample): void {
    const { mount, role, quota } = sample
    let found = this.#mounts.get(mount)
    if (found === undefined) {
      found = { all: new Group(), roles: new Map() }
      this.#mounts.set(mount, found)
    }
    found.all.add(sample, this.#now)
    if (role !== null) this.#role(found.roles, role)?.add(sample, this.#now)
    if (quota === null) return
    const group = this.#quotas.get(quota) ?? new Group()
    this.#quotas.set(quota, group)
    group.add(sample, this.#now)
  }

  #role(roles: Map<string, Group>, role: string): Group | null {
    const known = roles.get(role)
    if (known !== undefined) return known
    if (this.#roles >= rolesMax) return null
    this.#roles++
    const group = new Group()
    roles.set(role, group)
    return group
  }

  /** By path of the mount. */
  mounts(): readonly { readonly mount: string; readonly outlook: Outlook; readonly roles: Record<string, Outlook> }[] {
    const sorted = [...this.#mounts].sort(([a], [b]) => (a < b ? -1 : 1))
    return sorted.map(([mount, { all, roles }]) => ({
      mount,
      outlook: all.outlook(this.#now),
      roles: Object.fromEntries([...roles].map(([role, group]) => [role, group.outlook(this.#now)])),
    }))
  }

  /** null: nothing falls under it. */
  quota(name: string, maxLeases: number): QuotaOutlook | null {
    const group = this.#quotas.get(name)
    if (group === undefined) return null
    return { ...group.outlook(this.#now), fullIn: group.fullIn(this.#now, maxLeases) }
  }
}

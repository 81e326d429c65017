import type { Maybe } from '#ground/base/brand.ts'
import type { GaugeValue, Metrics } from '#ground/base/metrics.ts'
import type { World } from '#ground/base/world.ts'
import { goQuote } from '#ground/text/quote.ts'
import type { Counted } from '#core/leases/census.ts'
import type { Keeper } from '#core/storage/keeper.ts'
import { fault } from '#protocol/fault.ts'
import { type Place, type Rule, ruleCodec, ruleFor, rulePath } from './rule.ts'
import { type ReadCounted, Tally } from './tally.ts'

export type LeaseQuotasOptions = {
  keeper: Keeper
  world: Pick<World, 'log'>
  /** Ending in `/`: `root/quota/`. */
  prefix: string
  /** Path of the mount that serves a path; null = none does. */
  mountOf: (path: string) => string | null
  read: ReadCounted
  metrics: Metrics
}

/** Share of a quota from which on answers warn. */
const warnedShare = 0.8
const pageSize = 500
/** Each is looked at for each secret that is made. */
const rulesMax = 1_000
const rulesOfCommit = 100

/** A place that a request took before its engine ran. */
export class Charge implements Disposable {
  readonly #quotas: LeaseQuotas
  readonly place: Place
  readonly warning: string | null
  rule: string | null

  constructor(quotas: LeaseQuotas, place: Place, rule: string, warning: string | null) {
    this.#quotas = quotas
    this.place = place
    this.rule = rule
    this.warning = warning
  }

  /** The lease or token is there, and counted by itself. */
  keep(): void {
    this.#quotas.settle(this, true)
  }

  [Symbol.dispose](): void {
    this.#quotas.settle(this, false)
  }
}

/**
 * Lease-count quotas: how many leases and tokens there may be, by mount, path or role. One rule counts a lease, the most
 * exact one. Without rules nothing is counted, and nothing spent.
 * @source hv docs/enterprise/lease-count-quotas
 */
export class LeaseQuotas {
  readonly #options: LeaseQuotasOptions
  readonly #rules = new Map<string, Rule>()
  readonly #charges = new Set<Charge>()
  /** Places taken by requests whose lease isn't there yet, by rule. */
  readonly #taken = new Map<string, number>()
  /** Leases that are counted while the request that took a place for one hasn't said so yet. */
  readonly #came = new Map<string, number>()
  /** Hand it to leases and tokens. */
  readonly census: Tally

  constructor(options: LeaseQuotasOptions) {
    this.#options = options
    this.census = new Tally(options.read, name => this.#onCome(name))
  }

  get areSet(): boolean {
    return this.#rules.size > 0
  }

  /** Is any rule about a role? Else nobody needs to know those of leases. */
  get areRolesCounted(): boolean {
    return [...this.#rules.values()].some(rule => rule.role !== '')
  }

  /** Reads the rules, and begins to count if there are any; requests that fall under one wait for its count. */
  async load(): Promise<void> {
    const { keeper, prefix } = this.#options
    for (let after: string | undefined; ; ) {
      const paging = { ...(after !== undefined && { after }), limit: pageSize }
      const page = await keeper.list(prefix + ruleCodec.prefix, paging)
      for (const name of page.names) {
        const rule = (await keeper.get(this.#at(name), ruleCodec)) as Rule | null
        if (rule !== null) this.#rules.set(name, rule)
      }
      if (!page.more) break
      after = page.names.at(-1)
    }
    if (this.areSet) void this.#count().catch(() => undefined)
  }

  names(): readonly string[] {
    return [...this.#rules.keys()]
  }

  rules(): readonly Rule[] {
    return [...this.#rules.values()]
  }

  get(name: string): Rule | null {
    return this.#rules.get(name) ?? null
  }

  /** For the metrics, by name: what is used, or what may be. No counts while they are taken. */
  gauges(what: 'counter' | 'max'): readonly GaugeValue[] {
    if (what === 'counter' && !this.census.isReady) return []
    return [...this.#rules.values()].map(({ name, maxLeases }) => ({
      labels: [['name', name]],
      value: what === 'max' ? maxLeases : this.census.of(name),
    }))
  }

  /** How many there are now. */
  async used(name: string): Promise<number> {
    await this.census.ready
    return this.census.of(name)
  }

  /** @throws Fault for a rule about what another one is about. */
  async put(rule: Rule): Promise<void> {
    const { keeper } = this.#options
    for (const other of this.#rules.values()) {
      const isSame = rulePath(other) === rulePath(rule) && other.role === rule.role
      if (isSame && other.name !== rule.name) {
        const text = `quota rule with similar properties exists under the name ${goQuote(other.name)}`
        throw fault('request.invalid', text)
      }
    }
    const before = this.#rules.get(rule.name)
    if (before === undefined && this.#rules.size >= rulesMax) {
      throw fault('request.invalid', `there are ${rulesMax} lease-count quotas already; delete one first`)
    }
    await keeper.commit([{ key: this.#at(rule.name), codec: ruleCodec, entry: rule }])
    this.#rules.set(rule.name, rule)
    const isMoved = before === undefined || rulePath(before) !== rulePath(rule) || before.role !== rule.role
    // A count is right when the answer comes.
    if (isMoved) await this.#count()
  }

  async remove(name: string): Promise<void> {
    if (!this.#rules.has(name)) return
    await this.#options.keeper.commit([{ key: this.#at(name), codec: ruleCodec, entry: null }])
    this.#rules.delete(name)
    // What it counted falls to others; who asks for them waits.
    void this.#count().catch(() => undefined)
  }

  /** A mount is gone, and what was said of it. */
  async endOfMount(path: string): Promise<void> {
    for (const rule of this.#rules.values()) if (rule.mount === path) await this.remove(rule.name)
  }

  /** A mount has another path; what was said of it is said of it there. */
  async rename(from: string, to: string): Promise<void> {
    const { keeper } = this.#options
    const moved = [...this.#rules.values()].filter(rule => rule.mount === from).map(rule => ({ ...rule, mount: to }))
    if (moved.length === 0) return
    for (let at = 0; at < moved.length; at += rulesOfCommit) {
      const some = moved.slice(at, at + rulesOfCommit)
      await keeper.commit(some.map(rule => ({ key: this.#at(rule.name), codec: ruleCodec, entry: rule })))
      for (const rule of some) this.#rules.set(rule.name, rule)
    }
    await this.#count()
  }

  /** Before the server is sealed: a count that is under way ends. */
  close(): void {
    void this.census.begin(null)
  }

  ruleFor(place: Place): Rule | null {
    return ruleFor(this.#rules.values(), place)
  }

  /**
   * Takes a place for what a request is about to make; null: no quota is about it.
   * @param at `isRoot` takes one whether there is one or not.
   * @throws Fault `quota.exceeded`
   */
  charge({ isRoot, ...place }: Place & { readonly isRoot: boolean }): Maybe<Charge | null> {
    if (this.#rules.size === 0) return null
    const rule = this.ruleFor(place)
    if (rule === null) return null
    if (this.census.isReady) return this.#take(rule, place, isRoot)
    // Another rule may be there when the count is done.
    return this.census.ready.then(() => this.charge({ isRoot, ...place }))
  }

  #take(rule: Rule, place: Place, isRoot: boolean): Charge {
    const { name, maxLeases } = rule
    const used = this.census.of(name) + (this.#taken.get(name) ?? 0)
    if (used >= maxLeases && !isRoot) {
      this.#options.metrics.counter('quota.lease_count.violation', [['name', name]]).add()
      throw fault('quota.exceeded', `request path "${place.path}": lease count quota exceeded`, {
        reason: `the lease-count quota ${goQuote(name)} allows ${maxLeases} leases, and there are ${used}`,
      })
    }
    const share = (used + 1) / maxLeases
    const percent = Math.floor(share * 100)
    const warning =
      share < warnedShare
        ? null
        : `lease count quota ${goQuote(name)} is ${percent} % used: ${used + 1} of ${maxLeases} leases`
    const charge = new Charge(this, place, name, warning)
    this.#charges.add(charge)
    this.#shift(this.#taken, name, 1)
    return charge
  }

  /** For `Charge`. */
  settle(charge: Charge, isKept: boolean): void {
    if (!this.#charges.delete(charge) || charge.rule === null) return
    // Its lease took the place already, when it was counted.
    if (isKept && (this.#came.get(charge.rule) ?? 0) > 0) this.#shift(this.#came, charge.rule, -1)
    else this.#shift(this.#taken, charge.rule, -1)
  }

  #onCome(name: string): void {
    if ((this.#taken.get(name) ?? 0) === 0) return
    this.#shift(this.#taken, name, -1)
    this.#shift(this.#came, name, 1)
  }

  #shift(counts: Map<string, number>, name: string, by: number): void {
    const next = (counts.get(name) ?? 0) + by
    if (next > 0) counts.set(name, next)
    else counts.delete(name)
  }

  /** The rules changed: who took a place took it under one of the new ones, and all is counted again. */
  async #count(): Promise<void> {
    this.#taken.clear()
    this.#came.clear()
    for (const charge of this.#charges) {
      charge.rule = this.ruleFor(charge.place)?.name ?? null
      if (charge.rule !== null) this.#shift(this.#taken, charge.rule, 1)
    }
    const sort = (counted: Counted): string | null =>
      counted.isEndless ? null : (this.ruleFor(this.placeOf(counted))?.name ?? null)
    try {
      await this.census.begin(this.areSet ? sort : null)
    } catch (error) {
      this.#options.world.log.error('leases can not be counted; what a quota is about is refused', { error })
      throw error
    }
  }

  placeOf({ path, role }: Pick<Counted, 'path' | 'role'>): Place {
    return { mount: this.#options.mountOf(path), path, role }
  }

  #at(name: string): string {
    return `${this.#options.prefix}${ruleCodec.prefix}${name}`
  }
}

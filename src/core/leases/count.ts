import type { Clock, Instant } from '#ground/base/clock.ts'
import type { Log } from '#ground/base/log.ts'
import type { GaugeValue, Labels } from '#ground/base/metrics.ts'
import { formatGoTime } from '#ground/text/time.ts'
import type { Census, Counted } from './census.ts'
import type { DueIndex } from './due-index.ts'

export type LeaseCountOptions = {
  readonly world: { readonly clock: Clock; readonly log: Log }
  readonly due: Pick<DueIndex, 'scan' | 'key'>
  /** Who else counts them. */
  readonly inner: Census
  /** Ids of leases that can't be revoked, in order. */
  readonly irrevocable: (after: string | undefined, limit: number) => Promise<readonly string[]>
  readonly settings: LeaseCountSettings
}

export type LeaseCountSettings = {
  /** ms between two counts of the whole store; null = none is made, and nothing shown. */
  readonly everyMs: number | null
  /** ms of a bucket of `byExpiration`. */
  readonly bucketMs: number
  readonly bucketsMax: number
  /** Buckets say their namespace. */
  readonly hasNamespaces: boolean
}

type Counts = { leases: number; tokens: number; irrevocable: number }

const pageSize = 250
/** ms between two pages: the count of a million takes half a minute, and nobody waits for more than a page. */
const pauseMs = 5

/**
 * How many leases and tokens there are, for who watches: kept up to date by each that comes and goes, and taken anew from
 * the index of due times now and then. Nothing is held up for it, so that it may be off by some that came in the moment
 * in which their page was read, until the next count.
 */
export class LeaseCount implements Census {
  readonly #options: LeaseCountOptions
  #counts: Counts | null = null
  #expiring: ReadonlyMap<number, number> = new Map()
  /** Of a count under way: what is there up to `position`. */
  #walk: { position: string; counts: Counts } | null = null
  #timer: Disposable | null = null
  #isClosed = false

  constructor(options: LeaseCountOptions) {
    this.#options = options
  }

  async during(counted: Counted, by: 1 | -1, commit: () => Promise<boolean>): Promise<boolean> {
    const isDone = await this.#options.inner.during(counted, by, commit)
    if (!isDone || counted.isEndless) return isDone
    const kind = counted.kind === 'lease' ? 'leases' : 'tokens'
    if (this.#counts !== null) this.#counts[kind] += by
    const walk = this.#walk
    if (walk !== null && counted.due !== undefined && this.#options.due.key(counted.due) <= walk.position)
      walk.counts[kind] += by
    return true
  }

  /** A lease became irrevocable, or one of those went. */
  irrevocable(by: 1 | -1): void {
    if (this.#counts !== null) this.#counts.irrevocable += by
    if (this.#walk !== null) this.#walk.counts.irrevocable += by
  }

  /** null: not counted yet. */
  get now(): Readonly<Counts> | null {
    return this.#counts
  }

  /** As of the last count, by the time at which they end. */
  get byExpiration(): readonly GaugeValue[] {
    const more: Labels = this.#options.settings.hasNamespaces ? [['namespace', 'root']] : []
    return [...this.#expiring].map(([at, value]) => ({ labels: [['expiring', formatGoTime(at)], ...more], value }))
  }

  /** Counts in the background, and again each time the period is over. */
  start(): void {
    const { settings, world } = this.#options
    if (settings.everyMs === null || this.#isClosed) return
    void this.#count()
      .catch(error => {
        if (!this.#isClosed) world.log.warn('leases can not be counted for the metrics; tried again later', { error })
      })
      .finally(() => {
        this.#walk = null
        if (!this.#isClosed) this.#timer = world.clock.after(settings.everyMs!, () => this.start())
      })
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.[Symbol.dispose]()
  }

  async #count(): Promise<void> {
    const { due } = this.#options
    const counts: Counts = { leases: 0, tokens: 0, irrevocable: 0 }
    const walk = { position: '', counts }
    counts.irrevocable = await this.#countIrrevocable()
    this.#walk = walk
    const expiring = new Map<number, number>()
    for (let after: string | undefined; ; ) {
      const page = await due.scan(after, pageSize)
      for (const { lane, at } of page.due) {
        const kind = lane === 'token' ? 'tokens' : lane.startsWith('lease.') ? 'leases' : null
        if (kind === null) continue
        counts[kind]++
        this.#place(expiring, at)
      }
      after = page.last ?? undefined
      if (after !== undefined) walk.position = after
      if (!page.more) break
      await this.#pause()
    }
    this.#counts = counts
    this.#expiring = expiring
  }

  #place(expiring: Map<number, number>, at: Instant): void {
    const { bucketMs, bucketsMax } = this.#options.settings
    if (at >= this.#options.world.clock.now() + bucketMs * bucketsMax) return
    const bucket = Math.round(at / bucketMs) * bucketMs
    if (expiring.has(bucket) || expiring.size < bucketsMax) expiring.set(bucket, (expiring.get(bucket) ?? 0) + 1)
  }

  async #countIrrevocable(): Promise<number> {
    let count = 0
    for (let after: string | undefined; ; ) {
      const ids = await this.#options.irrevocable(after, pageSize)
      count += ids.length
      if (ids.length < pageSize) return count
      after = ids.at(-1)
      await this.#pause()
    }
  }

  async #pause(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#timer = this.#options.world.clock.after(pauseMs, resolve)
    })
    if (this.#isClosed) throw new Error('the count was broken off')
  }
}

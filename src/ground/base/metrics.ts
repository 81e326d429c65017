import type { Clock } from './clock.ts'

/** Labels in the order in which they are shown. */
export type Labels = readonly (readonly [name: string, value: string])[]

/** What was counted in a span of time. */
export type Span = {
  readonly count: number
  readonly sum: number
  /** Of the squares: for the deviation. */
  readonly squares: number
  readonly least: number
  readonly most: number
}

/** A gauge's values, by label. */
export type GaugeValue = { readonly labels: Labels; readonly value: number }

type Common = { readonly name: string; readonly labels: Labels }
export type Series =
  | (Common & { readonly kind: 'gauge'; readonly read: () => readonly GaugeValue[] })
  | (Common & { readonly kind: 'counter'; readonly meter: Counter })
  | (Common & { readonly kind: 'summary'; readonly meter: Summary })

const noLabels: Labels = []
/** Series that are kept; whoever asks for more gets one that is shown nowhere. */
const seriesMaxDefault = 2_000
/** Shorter spans than this say little; ms. */
const spanMsMin = 10_000

/** Counts what happens. Adding is a few additions of numbers: nothing is allocated. */
export class Counter {
  count = 0
  sum = 0
  squares = 0
  least = Number.POSITIVE_INFINITY
  most = Number.NEGATIVE_INFINITY
  /** Before the present span. */
  #earlier = 0
  #earlierCount = 0
  #last: Span | null = null
  /** When something was counted, as far as `turn` has seen. */
  touchedAt = Number.NEGATIVE_INFINITY

  add(value = 1): void {
    this.count++
    this.sum += value
    this.squares += value * value
    if (value < this.least) this.least = value
    if (value > this.most) this.most = value
  }

  /** Since the start. */
  get total(): number {
    return this.#earlier + this.sum
  }

  get totalCount(): number {
    return this.#earlierCount + this.count
  }

  /** The last whole span; before the first, the present one. */
  get span(): Span {
    return this.#last ?? this
  }

  turn(now: number): void {
    const { count, sum, squares, least, most } = this
    if (count > 0) this.touchedAt = now
    this.#last = { count, sum, squares, least, most }
    this.#earlier += sum
    this.#earlierCount += count
    this.count = 0
    this.sum = 0
    this.squares = 0
    this.least = Number.POSITIVE_INFINITY
    this.most = Number.NEGATIVE_INFINITY
  }
}

/** Places for each doubling: a quantile is right to about five in a hundred. */
const perOctave = 8
const octaveMin = -10
const places = 30 * perOctave

/** Counts values and knows their quantiles over this span and the last. */
export class Summary extends Counter {
  #present = new Uint32Array(places)
  #before = new Uint32Array(places)

  override add(value: number): void {
    super.add(value)
    const place = Math.trunc((Math.log2(value) - octaveMin) * perOctave)
    const within = place > 0 ? Math.min(place, places - 1) : 0
    this.#present[within]!++
  }

  override turn(now: number): void {
    super.turn(now)
    const old = this.#before
    this.#before = this.#present
    this.#present = old.fill(0)
  }

  /** NaN where nothing was counted lately. */
  quantile(share: number): number {
    let all = 0
    for (let i = 0; i < places; i++) all += this.#present[i]! + this.#before[i]!
    if (all === 0) return Number.NaN
    let left = Math.max(1, Math.ceil(all * share))
    for (let i = 0; i < places; i++) {
      left -= this.#present[i]! + this.#before[i]!
      if (left <= 0) return 2 ** ((i + 0.5) / perOctave + octaveMin)
    }
    return Number.NaN
  }
}

/** Adds the ms that the work took, however it ended. */
export async function timed<R>(clock: Pick<Clock, 'monotonic'>, meter: Counter, work: () => Promise<R>): Promise<R> {
  const began = clock.monotonic()
  try {
    return await work()
  } finally {
    meter.add(clock.monotonic() - began)
  }
}

/** The name that Prometheus knows a series by. */
export const plainName = (name: string): string => name.replace(/[^A-Za-z0-9_:]/g, '_')

/**
 * What the program counts, by names joined by dots. Whoever counts asks once for a meter and keeps it. Names and labels are
 * bounded in number, and hold nothing that came with a request but paths of mounts and names of rules.
 */
export class Metrics {
  readonly #clock: Pick<Clock, 'now'>
  readonly #seriesMax: number
  readonly #series = new Map<string, Series>()
  #turnedAt: number
  #spanAt: number
  #spanMs = 0

  constructor(clock: Pick<Clock, 'now'>, seriesMax = seriesMaxDefault) {
    this.#clock = clock
    this.#seriesMax = seriesMax
    this.#turnedAt = clock.now()
    this.#spanAt = this.#turnedAt
  }

  counter(name: string, labels: Labels = noLabels): Counter {
    const known = this.#series.get(keyOf(name, labels))
    if (known?.kind === 'counter') return known.meter
    const meter = new Counter()
    if (known === undefined) this.#keep({ kind: 'counter', name, labels, meter })
    return meter
  }

  summary(name: string, labels: Labels = noLabels): Summary {
    const known = this.#series.get(keyOf(name, labels))
    if (known?.kind === 'summary') return known.meter
    const meter = new Summary()
    if (known === undefined) this.#keep({ kind: 'summary', name, labels, meter })
    return meter
  }

  /** @param read asked at each look; no value where there is none to tell. Another of this name takes its place. */
  gauge(name: string, read: () => readonly GaugeValue[] | number | null): void {
    const values = (): readonly GaugeValue[] => {
      const found = read()
      if (found === null) return []
      return typeof found === 'number' ? [{ labels: noLabels, value: found }] : found
    }
    this.#series.delete(keyOf(name, noLabels))
    this.#keep({ kind: 'gauge', name, labels: noLabels, read: values })
  }

  #keep(series: Series): void {
    if (this.#series.size < this.#seriesMax) this.#series.set(keyOf(series.name, series.labels), series)
  }

  /** Everything, sorted by name. A span that is long enough ends with this look. */
  look(): {
    readonly series: readonly Series[]
    readonly now: number
    readonly spanAt: number
    readonly spanMs: number
  } {
    const now = this.#clock.now()
    if (now - this.#turnedAt >= spanMsMin) {
      for (const one of this.#series.values()) if (one.kind !== 'gauge') one.meter.turn(now)
      this.#spanAt = this.#turnedAt
      this.#spanMs = now - this.#turnedAt
      this.#turnedAt = now
    }
    const series = [...this.#series].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
    return { series, now, spanAt: this.#spanAt, spanMs: this.#spanMs || Math.max(1, now - this.#turnedAt) }
  }
}

// Names that Prometheus could not tell apart are one.
function keyOf(name: string, labels: Labels): string {
  return `${plainName(name)}\n${labels.map(([label, value]) => `${label}\n${value}`).join('\n')}`
}

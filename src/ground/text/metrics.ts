import { type GaugeValue, type Labels, type Metrics, plainName, type Series, type Span } from '#ground/base/metrics.ts'
import { type Json, renderJson } from './json.ts'
import { formatGoTime } from './time.ts'

/** How names are shown. @source go-metrics metrics.go */
export type MetricNaming = {
  /** Stands before every name. */
  readonly prefix: string
  /** Of gauges: null = none, else a part of the name behind the prefix, or a label. */
  readonly host: null | { readonly name: string; readonly isLabel: boolean }
  /** By the whole name, joined by dots. */
  readonly allows: (name: string) => boolean
  /** Labels that all series of a name bear beside their own. */
  readonly labelsOf: (name: string) => Labels
}

const quantiles = [0.5, 0.9, 0.99] as const

type Named = { readonly name: string; readonly labels: Labels; readonly series: Series }

function named(series: Series, naming: MetricNaming): Named | null {
  const { host, prefix } = naming
  const isHost = host !== null && series.kind === 'gauge'
  const middle = isHost && !host.isLabel ? `${host.name}.` : ''
  const name = `${prefix === '' ? '' : `${prefix}.`}${middle}${series.name}`
  const common = naming.labelsOf(series.name)
  const more: Labels = isHost && host.isLabel ? [...common, ['host', host.name]] : common
  const labels = more.length === 0 ? series.labels : [...series.labels, ...more]
  return naming.allows(name) ? { name, labels, series } : null
}

// A counter that stands at nothing is shown, so that its first step is seen; a summary is not.
const isShown = (series: Series): boolean => series.kind !== 'summary' || series.meter.totalCount > 0

/** What a page shows beside the named series: of the process, under names of its own. */
export type BareValue = { readonly name: string; readonly kind: 'gauge' | 'counter'; readonly value: number }

export type TextOptions = {
  readonly bare: readonly BareValue[]
  /** What didn't move for longer is left out; ms. */
  readonly retentionMs: number
}

/** The text format of Prometheus, version 0.0.4. */
export function prometheusText(metrics: Metrics, naming: MetricNaming, { bare, retentionMs }: TextOptions): string {
  const families = new Map<string, { kind: string; lines: string[] }>()
  const add = (name: string, kind: string, lines: readonly string[]): void => {
    const family = families.get(name)
    if (family === undefined) families.set(name, { kind, lines: [...lines] })
    // A name has one type: what comes second under another is left out.
    else if (family.kind === kind) family.lines.push(...lines)
  }
  const { series: all, now } = metrics.look()
  for (const series of all) {
    const isOld = series.kind === 'summary' && now - series.meter.touchedAt > retentionMs && series.meter.count === 0
    const one = isShown(series) && !isOld ? named(series, naming) : null
    if (one === null) continue
    const name = startOf(plainName(one.name))
    const lines = linesOf(name, one)
    if (lines.length > 0) add(name, series.kind, lines)
  }
  for (const { name, kind, value } of bare) add(name, kind, [`${name} ${numberText(value)}`])
  let out = ''
  for (const name of [...families.keys()].sort()) {
    const { kind, lines } = families.get(name)!
    out += `# HELP ${name} ${name}\n# TYPE ${name} ${kind}\n${lines.join('\n')}\n`
  }
  return out
}

/** No name begins with a digit. */
const startOf = (name: string): string => (/^[0-9]/.test(name) ? `_${name}` : name)

function linesOf(name: string, { labels, series }: Named): readonly string[] {
  switch (series.kind) {
    case 'gauge':
      return valuesOf(series.read(), labels).map(one => `${name}${labelText(one.labels)} ${numberText(one.value)}`)
    case 'counter':
      return [`${name}${labelText(labels)} ${numberText(series.meter.total)}`]
    case 'summary': {
      const { meter } = series
      const shares = quantiles.map(share => {
        const text = labelText([...labels, ['quantile', String(share)]])
        return `${name}${text} ${numberText(meter.quantile(share))}`
      })
      return [
        ...shares,
        `${name}_sum${labelText(labels)} ${numberText(meter.total)}`,
        `${name}_count${labelText(labels)} ${meter.totalCount}`,
      ]
    }
    default:
      return series satisfies never
  }
}

const valuesOf = (values: readonly GaugeValue[], labels: Labels): readonly GaugeValue[] =>
  labels.length === 0 ? values : values.map(one => ({ ...one, labels: [...one.labels, ...labels] }))

function labelText(labels: Labels): string {
  if (labels.length === 0) return ''
  const escaped = (value: string): string =>
    value.toWellFormed().replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
  return `{${labels.map(([name, value]) => `${plainName(name)}="${escaped(value)}"`).join(',')}}`
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

/** What go-metrics shows of its last whole interval. @source go-metrics inmem_endpoint.go */
export function goMetricsJson(metrics: Metrics, naming: MetricNaming): string {
  const { series, spanAt, spanMs } = metrics.look()
  const gauges: Json[] = []
  const counters: Json[] = []
  const samples: Json[] = []
  for (const each of series) {
    const one = isShown(each) ? named(each, naming) : null
    if (one === null) continue
    if (each.kind === 'gauge') {
      for (const { labels, value } of valuesOf(each.read(), one.labels))
        gauges.push({ Name: one.name, Value: value, Labels: Object.fromEntries(labels) })
      continue
    }
    const { span } = each.meter
    if (span.count === 0) continue
    const entry = { Name: one.name, ...spanJson(span, spanMs), Labels: Object.fromEntries(one.labels) }
    ;(each.kind === 'counter' ? counters : samples).push(entry)
  }
  const shown: Json = {
    Timestamp: formatGoTime(Math.round(spanAt / 1000) * 1000),
    Gauges: gauges,
    Points: [],
    Counters: counters,
    Samples: samples,
  }
  return renderJson(shown)
}

function spanJson({ count, sum, squares, least, most }: Span, spanMs: number): { readonly [key: string]: Json } {
  const mean = sum / count
  const variance = count < 2 ? 0 : Math.max(0, (squares - count * mean * mean) / (count - 1))
  return {
    Count: count,
    Rate: sum / (spanMs / 1000),
    Sum: sum,
    Min: least,
    Max: most,
    Mean: mean,
    Stddev: Math.sqrt(variance),
  }
}

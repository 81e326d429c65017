import type { Labels, Metrics } from '#ground/base/metrics.ts'
import { type BareValue, goMetricsJson, type MetricNaming, prometheusText } from '#ground/text/metrics.ts'
import { goQuote } from '#ground/text/quote.ts'
import type { LeaseCountSettings } from '#core/leases/count.ts'
import type { OpenHouse } from './house.ts'

/** What the `telemetry` stanza says. */
export type TelemetrySettings = {
  /** ms that a counter is shown after it moved last; 0 = the text format is off. */
  readonly retentionMs: number
  readonly prefix: string
  readonly host: MetricNaming['host']
  readonly allows: MetricNaming['allows']
  readonly leaseCount: LeaseCountSettings
}

/** Without a stanza: the JSON form alone, under plain names. */
export const noTelemetry: TelemetrySettings = {
  retentionMs: 0,
  prefix: 'vault',
  host: null,
  allows: () => true,
  leaseCount: { everyMs: 600_000, bucketMs: 3_600_000, bucketsMax: 168, hasNamespaces: false },
}

/** An answer of `sys/metrics`. */
export type MetricsAnswer = { readonly status: 200 | 400; readonly contentType: string; readonly body: string }

/** Those that Vault tells apart by cluster. @source openbao helper/metricsutil ClusterMetricSink */
const clustered = new Set([
  'core.unsealed',
  'core.active',
  'core.in_flight_requests',
  'core.mount_table.num_entries',
  'expire.lease_expiration',
  'expire.lease_expiration.error',
  'expire.lease_expiration.time_in_queue',
  'expire.leases.by_expiration',
  'secret.lease.creation',
  'token.count',
  'token.creation',
])

export type TelemetryOptions = {
  readonly metrics: Metrics
  readonly settings: TelemetrySettings
  /** Of the process, under names of its own. */
  readonly bare: () => readonly BareValue[]
  readonly house: () => OpenHouse | null
  readonly clusterName: () => string
}

/** What is counted, as `sys/metrics` shows it. */
export class Telemetry {
  readonly #options: TelemetryOptions

  constructor(options: TelemetryOptions) {
    this.#options = options
    this.#addGauges()
  }

  /**
   * @param format as asked for; empty = as the `Accept` headers say.
   * @source openbao helper/metricsutil/metricsutil.go
   */
  answer(format: string, accepted: readonly string[]): MetricsAnswer {
    const { metrics, settings, bare, clusterName } = this.#options
    const labels: Labels = [['cluster', clusterName()]]
    const naming: MetricNaming = { ...settings, labelsOf: name => (clustered.has(name) ? labels : []) }
    const wanted = format === '' && wantsText(accepted) ? 'prometheus' : format
    if (wanted === '') return { status: 200, contentType: 'application/json', body: goMetricsJson(metrics, naming) }
    if (wanted !== 'prometheus') return refused(`metric response format ${goQuote(wanted)} unknown`)
    if (settings.retentionMs === 0) return refused('prometheus is not enabled')
    const body = prometheusText(metrics, naming, { bare: bare(), retentionMs: settings.retentionMs })
    return { status: 200, contentType: 'text/plain; version=0.0.4; charset=utf-8', body }
  }

  #addGauges(): void {
    const { metrics, house } = this.#options
    const count = () => house()?.count.now ?? null
    metrics.gauge('core.unsealed', () => (house() === null ? 0 : 1))
    metrics.gauge('core.active', () => (house() === null ? 0 : 1))
    metrics.gauge('core.mount_table.num_entries', () => {
      const mounts = house()?.mounts.all() ?? []
      const of = (type: string, kind: 'secret' | 'auth') => ({
        labels: [
          ['type', type],
          ['local', 'false'],
        ] as const,
        value: mounts.filter(mount => mount.entry.kind === kind).length,
      })
      return house() === null ? null : [of('auth', 'auth'), of('logical', 'secret')]
    })
    metrics.gauge('expire.num_leases', () => {
      const now = count()
      return now === null ? null : now.leases + now.tokens
    })
    metrics.gauge('expire.num_irrevocable_leases', () => count()?.irrevocable ?? null)
    metrics.gauge('expire.leases.by_expiration', () => house()?.count.byExpiration ?? null)
    metrics.gauge('token.count', () => {
      const now = count()
      return now === null ? null : [{ labels: [['namespace', 'root']], value: now.tokens }]
    })
    metrics.gauge('quota.lease_count.counter', () => house()?.quotas.gauges('counter') ?? null)
    metrics.gauge('quota.lease_count.max', () => house()?.quotas.gauges('max') ?? null)
  }
}

const refused = (body: string): MetricsAnswer => ({ status: 400, contentType: 'text/plain', body })

function wantsText(accepted: readonly string[]): boolean {
  return (
    accepted[0]?.startsWith('application/openmetrics-text') === true ||
    accepted.some(value => value.includes('prometheus/telemetry'))
  )
}

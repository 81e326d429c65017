import { hostname } from 'node:os'
import type { HclReader } from '#ground/hcl/decode.ts'
import { noTelemetry, type TelemetrySettings } from '#core/node/telemetry.ts'

const hourMs = 3_600_000
const defaultRetentionMs = 24 * hourMs
const defaultCardinality = 500
const bucketsMax = 10_000

export type ReadTelemetry = { readonly settings: TelemetrySettings; readonly warnings: readonly string[] }

/**
 * A `telemetry` stanza. What it says of other systems that metrics could be sent to is warned of: who wants them asks.
 * @throws HclError @source openbao internal/helper/configutil/telemetry.go
 */
export function readTelemetry(body: HclReader, file: string): ReadTelemetry {
  const isPlain = body.bool('disable_hostname') ?? false
  const isLabel = body.bool('enable_hostname_label') ?? false
  const allows = readFilter(body)
  const most = atLeast(body, 'maximum_gauge_cardinality', 1) ?? defaultCardinality
  const buckets = atLeast(body, 'num_lease_metrics_buckets', 1) ?? noTelemetry.leaseCount.bucketsMax
  const settings: TelemetrySettings = {
    retentionMs: durationMs(body, 'prometheus_retention_time', 0) ?? defaultRetentionMs,
    prefix: body.string('metrics_prefix') || noTelemetry.prefix,
    host: isPlain && !isLabel ? null : { name: hostname(), isLabel },
    allows,
    leaseCount: {
      everyMs: readPeriod(body),
      bucketMs: durationMs(body, 'lease_metrics_epsilon', 1000) ?? hourMs,
      bucketsMax: Math.min(buckets, most, bucketsMax),
      hasNamespaces: body.bool('add_lease_metrics_namespace_labels') ?? false,
    },
  }
  const warnings = body
    .unknown()
    .map(({ name, at }) => `${file}:${at.line}:${at.column}: telemetry: ${name} is not supported, and passed over`)
  return { settings, warnings }
}

function readPeriod(body: HclReader): number | null {
  const value = body.value('usage_gauge_period')
  if (value?.kind === 'string' && value.value === 'none') return null
  const every = durationMs(body, 'usage_gauge_period', 0)
  return every === 0 ? null : (every ?? noTelemetry.leaseCount.everyMs)
}

function durationMs(body: HclReader, name: string, least: number): number | null {
  const seconds = body.duration(name)
  if (seconds === null) return null
  if (seconds * 1000 < least || seconds < 0) throw body.error(body.value(name)!.at, `${name} must be a longer time`)
  return Math.round(seconds * 1000)
}

function atLeast(body: HclReader, name: string, least: number): number | null {
  const value = body.integer(name)
  if (value !== null && value < least) throw body.error(body.value(name)!.at, `${name} must be ${least} or more`)
  return value
}

/** The longest beginning of a name decides, then `filter_default`. @source go-metrics AllowKey */
function readFilter(body: HclReader): (name: string) => boolean {
  const isDefault = body.bool('filter_default') ?? true
  const rules = (body.strings('prefix_filter') ?? []).map(rule => {
    if (!/^[+-]./.test(rule)) {
      throw body.error(body.value('prefix_filter')!.at, `prefix_filter "${rule}" must begin with + or -`)
    }
    return { isAllowed: rule.startsWith('+'), prefix: rule.slice(1) }
  })
  rules.sort((a, b) => b.prefix.length - a.prefix.length)
  return name => rules.find(({ prefix }) => name.startsWith(prefix))?.isAllowed ?? isDefault
}

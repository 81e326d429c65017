import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { test } from 'node:test'
import { readServerConfig } from './config.ts'

function read(telemetry: object | null) {
  const listener = { tcp: { address: '127.0.0.1:0', tls_disable: true } }
  const text = JSON.stringify({ listener, storage: { inmem: {} }, ...(telemetry !== null && { telemetry }) })
  const { config, warnings } = readServerConfig([{ name: 'test', text }])
  return { ...config.telemetry, warnings }
}

for (const [rule, stanza, pick, want] of [
  ['without a stanza the text is off', null, t => t.retentionMs, 0],
  ['with one it is kept for a day', {}, t => t.retentionMs, 86_400_000],
  ['prometheus_retention_time', { prometheus_retention_time: '90s' }, t => t.retentionMs, 90_000],
  ['prometheus_retention_time 0 turns it off', { prometheus_retention_time: 0 }, t => t.retentionMs, 0],
  ['the name of the host, by default', {}, t => t.host, { name: hostname(), isLabel: false }],
  ['disable_hostname', { disable_hostname: true }, t => t.host, null],
  ['enable_hostname_label', { enable_hostname_label: true }, t => t.host, { name: hostname(), isLabel: true }],
  ['metrics_prefix', { metrics_prefix: 'bao' }, t => t.prefix, 'bao'],
  ['metrics_prefix, empty', { metrics_prefix: '' }, t => t.prefix, 'vault'],
  ['usage_gauge_period', { usage_gauge_period: '5m' }, t => t.leaseCount.everyMs, 300_000],
  ['usage_gauge_period none', { usage_gauge_period: 'none' }, t => t.leaseCount.everyMs, null],
  ['usage_gauge_period 0', { usage_gauge_period: 0 }, t => t.leaseCount.everyMs, null],
  ['lease_metrics_epsilon', { lease_metrics_epsilon: '10m' }, t => t.leaseCount.bucketMs, 600_000],
  ['num_lease_metrics_buckets', { num_lease_metrics_buckets: 24 }, t => t.leaseCount.bucketsMax, 24],
  ['maximum_gauge_cardinality bounds them', { maximum_gauge_cardinality: 9 }, t => t.leaseCount.bucketsMax, 9],
  [
    'add_lease_metrics_namespace_labels',
    { add_lease_metrics_namespace_labels: true },
    t => t.leaseCount.hasNamespaces,
    true,
  ],
  [
    'prefix_filter: the longest beginning decides',
    { prefix_filter: ['-vault.route', '+vault.route.read'] },
    t => ['vault.route.read.a', 'vault.route.list.a', 'vault.core.x'].map(t.allows),
    [true, false, true],
  ],
  [
    'filter_default: what no rule names',
    { filter_default: false, prefix_filter: ['+vault.core'] },
    t => ['vault.core.x', 'vault.expire.x'].map(t.allows),
    [true, false],
  ],
  [
    'what sends metrics elsewhere is warned of by name',
    { statsd_address: 'x:1', circonus_api_token: 'y', disable_hostnam: true },
    t => t.warnings.map(one => one.replace(/^test:\d+:\d+: /, '')),
    [
      'telemetry: statsd_address is not supported, and passed over',
      'telemetry: circonus_api_token is not supported, and passed over',
      'telemetry: disable_hostnam is not supported, and passed over',
    ],
  ],
] as readonly [string, object | null, (settings: ReturnType<typeof read>) => unknown, unknown][]) {
  test(`telemetry: ${rule}`, () => assert.deepEqual(pick(read(stanza)), want))
}

for (const [rule, stanza, text] of [
  ['a period that is none', { usage_gauge_period: 'often' }, /usage_gauge_period/],
  ['a negative time', { prometheus_retention_time: '-1s' }, /prometheus_retention_time must be a longer time/],
  ['buckets of no width', { lease_metrics_epsilon: '1ms' }, /lease_metrics_epsilon must be a longer time/],
  ['no buckets', { num_lease_metrics_buckets: 0 }, /num_lease_metrics_buckets must be 1 or more/],
  [
    'a filter without a sign',
    { prefix_filter: ['vault.route'] },
    /prefix_filter "vault.route" must begin with \+ or -/,
  ],
] as const) {
  test(`telemetry: refused: ${rule}`, () => assert.throws(() => read(stanza), text))
}

for (const [rule, telemetry, text] of [
  ['two that exclude each other', { metrics_only: true, disallow_metrics: true }, /exclude each other/],
  ['a path without metrics_only', { metrics_path: '/metrics' }, /metrics_path needs metrics_only = true/],
  ['a path that is none', { metrics_only: true, metrics_path: 'metrics' }, /must be a path that begins with \//],
  ['a key that is none', { unauthenticated: true }, /invalid key "unauthenticated"/],
] as const) {
  test(`listener telemetry: refused: ${rule}`, () => {
    const listener = { tcp: { address: '127.0.0.1:0', tls_disable: true, telemetry } }
    const source = JSON.stringify({ listener, storage: { inmem: {} } })
    assert.throws(() => readServerConfig([{ name: 'test', text: source }]), text)
  })
}

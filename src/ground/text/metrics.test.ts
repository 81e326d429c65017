import assert from 'node:assert/strict'
import { test } from 'node:test'
import { virtualClock } from '#ground/base/clock.ts'
import { Metrics } from '#ground/base/metrics.ts'
import { goMetricsJson, type MetricNaming, prometheusText } from './metrics.ts'

const plain: MetricNaming = { prefix: 'vault', host: null, allows: () => true, labelsOf: () => [] }
const day = { bare: [], retentionMs: 86_400_000 }

function made(seriesMax?: number) {
  const clock = virtualClock()
  return { clock, metrics: new Metrics(clock, seriesMax) }
}

for (const [rule, fill, naming, want] of [
  [
    'a counter is shown from the moment it is there',
    m => m.counter('audit.log_request_failure'),
    {},
    '# HELP vault_audit_log_request_failure vault_audit_log_request_failure\n# TYPE vault_audit_log_request_failure counter\nvault_audit_log_request_failure 0\n',
  ],
  [
    'what a name may not hold becomes _',
    m => m.counter('route.read.secret-a/ü').add(2),
    {},
    '# HELP vault_route_read_secret_a__ vault_route_read_secret_a__\n# TYPE vault_route_read_secret_a__ counter\nvault_route_read_secret_a__ 2\n',
  ],
  [
    'names that look the same are one series',
    m => {
      m.counter('route.read.a-b').add()
      m.counter('route.read.a_b').add()
    },
    { prefix: '' },
    '# HELP route_read_a_b route_read_a_b\n# TYPE route_read_a_b counter\nroute_read_a_b 2\n',
  ],
  [
    'labels are escaped',
    m => m.counter('c', [['name', 'a"b\\c\nd']]).add(),
    {},
    '# HELP vault_c vault_c\n# TYPE vault_c counter\nvault_c{name="a\\"b\\\\c\\nd"} 1\n',
  ],
  [
    'the host is part of the name of a gauge, and of no counter',
    m => {
      m.gauge('core.unsealed', () => 1)
      m.counter('c')
    },
    { host: { name: 'node-1', isLabel: false } },
    '# HELP vault_c vault_c\n# TYPE vault_c counter\nvault_c 0\n# HELP vault_node_1_core_unsealed vault_node_1_core_unsealed\n# TYPE vault_node_1_core_unsealed gauge\nvault_node_1_core_unsealed 1\n',
  ],
  [
    'or a label',
    m => m.gauge('core.unsealed', () => 1),
    { host: { name: 'node-1', isLabel: true }, labelsOf: () => [['cluster', 'x']] },
    '# HELP vault_core_unsealed vault_core_unsealed\n# TYPE vault_core_unsealed gauge\nvault_core_unsealed{cluster="x",host="node-1"} 1\n',
  ],
  [
    'a gauge that knows nothing is not shown, nor a summary of nothing',
    m => {
      m.gauge('g', () => null)
      m.summary('s')
    },
    {},
    '',
  ],
  ['what the filter keeps away', m => m.counter('a.b'), { allows: name => name !== 'vault.a.b' }, ''],
] satisfies [string, (metrics: Metrics) => unknown, Partial<MetricNaming>, string][]) {
  test(`prometheus text: ${rule}`, () => {
    const { metrics } = made()
    fill(metrics)
    assert.equal(prometheusText(metrics, { ...plain, ...naming }, day), want)
  })
}

test('prometheus text: a summary has quantiles of the last two spans, and sum and count of all', async () => {
  const { metrics, clock } = made()
  const meter = metrics.summary('core.handle_request')
  const value = (line: RegExp): number => Number(line.exec(prometheusText(metrics, plain, day))?.[1])
  for (let i = 1; i <= 1000; i++) meter.add(i)
  const near = (got: number, want: number): void => assert.ok(Math.abs(got / want - 1) < 0.06, `${got} for ${want}`)
  near(value(/quantile="0.5"} (.+)/), 500)
  near(value(/quantile="0.99"} (.+)/), 990)
  await clock.advance(10_000)
  near(value(/quantile="0.9"} (.+)/), 900)
  await clock.advance(10_000)
  assert.equal(value(/quantile="0.9"} (.+)/), Number.NaN)
  assert.equal(value(/_sum (.+)/), 500_500)
  assert.equal(value(/_count (.+)/), 1000)
  await clock.advance(86_400_001)
  assert.equal(prometheusText(metrics, plain, day), '', 'nothing moved for as long as is kept')
  meter.add(0)
  assert.equal(value(/_count (.+)/), 1001)
})

test('prometheus text: no more series are kept than may be, and who counts beyond notices nothing', () => {
  const { metrics } = made(2)
  for (const name of ['a', 'b', 'c']) metrics.counter(name).add()
  assert.deepEqual(prometheusText(metrics, plain, day).match(/^vault_\w/gm), ['vault_a', 'vault_b'])
})

test('go-metrics JSON: the last whole span, with rate and deviation', async () => {
  const { metrics, clock } = made()
  const meter = metrics.summary('core.handle_request', [['x', 'y']])
  metrics.counter('c').add(5)
  metrics.gauge('g', () => 7)
  for (const ms of [1, 2, 3]) meter.add(ms)
  await clock.advance(10_000)
  const body = JSON.parse(goMetricsJson(metrics, plain)) as Record<string, unknown>
  assert.deepEqual(body, {
    Timestamp: '2026-01-01 00:00:00 +0000 UTC',
    Gauges: [{ Name: 'vault.g', Value: 7, Labels: {} }],
    Points: [],
    Counters: [{ Name: 'vault.c', Count: 1, Rate: 0.5, Sum: 5, Min: 5, Max: 5, Mean: 5, Stddev: 0, Labels: {} }],
    Samples: [
      {
        Name: 'vault.core.handle_request',
        Count: 3,
        Rate: 0.6,
        Sum: 6,
        Min: 1,
        Max: 3,
        Mean: 2,
        Stddev: 1,
        Labels: { x: 'y' },
      },
    ],
  })
  await clock.advance(10_000)
  assert.deepEqual(JSON.parse(goMetricsJson(metrics, plain)).Samples, [], 'the span after it had none')
})

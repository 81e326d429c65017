import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instant } from '#ground/base/clock.ts'
import { Forecast, type Sample } from './forecast.ts'

const now = instant(1_800_000_000_000)

/** One every `every` seconds from `from` seconds ago on, those left that live `ttl` seconds. */
function steady({
  every,
  from,
  ttl,
  ...more
}: { every: number; from: number; ttl: number } & Partial<Sample>): Forecast {
  const forecast = new Forecast(now)
  for (let age = from; age > 0; age -= every) {
    if (age >= ttl) continue
    const issuedAt = instant(now - age * 1000)
    forecast.add({ mount: 'db/', role: 'app', quota: 'q', issuedAt, ttl, maxTtl: ttl * 10, ...more })
  }
  return forecast
}

for (const [what, ask, want] of [
  ['as many as are there, once as many end as are made', { every: 10, from: 7200, ttl: 3600 }, [359, 360, 3600]],
  ['far more than are there, when it began a while ago', { every: 10, from: 600, ttl: 3600 }, [60, 360, 3600]],
  ['with lives of a minute', { every: 1, from: 600, ttl: 60 }, [59, 59, 590]],
  ['with lives of seconds', { every: 1, from: 600, ttl: 20 }, [19, 18, 180]],
  ['by the last hour, whatever was before', { every: 60, from: 86_400, ttl: 2_592_000 }, [1440, 42_480, 424_800]],
] as const) {
  test(`forecast: ${what}`, () => {
    const [{ outlook }] = steady(ask).mounts() as [ReturnType<Forecast['mounts']>[0]]
    assert.deepEqual([outlook.leases, outlook.forecast, outlook.renewed], want)
  })
}

test('forecast: what never ends comes to no number', () => {
  assert.equal(steady({ every: 10, from: 60, ttl: 600, maxTtl: null }).mounts()[0]!.outlook.renewed, null)
})

test('forecast: a quota tells when it will be used up', () => {
  const forecast = steady({ every: 10, from: 600, ttl: 3600 })
  assert.deepEqual(forecast.quota('q', 100)?.fullIn, 480)
  assert.deepEqual(forecast.quota('q', 60)?.fullIn, 0)
  assert.deepEqual(forecast.quota('q', 400)?.fullIn, null)
  assert.equal(forecast.quota('other', 1), null)
})

test('forecast: roles are told apart, and sum up in their mount', () => {
  const forecast = new Forecast(now)
  for (const [role, ttl] of [
    ['a', 60],
    ['a', 60],
    ['b', 600],
    [null, 60],
  ] as const) {
    forecast.add({ mount: 'db/', role, quota: null, issuedAt: instant(now - 5000), ttl, maxTtl: ttl })
  }
  const [{ outlook, roles }] = forecast.mounts() as [ReturnType<Forecast['mounts']>[0]]
  assert.deepEqual([outlook.leases, roles['a']!.leases, roles['b']!.leases], [4, 2, 1])
  assert.deepEqual([roles['a']!.ttl, roles['b']!.ttl], [60, 600])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededEntropy } from '#ground/base/entropy.ts'
import { simWorld } from '#ground/base/world.ts'
import { graceMs, keepAlive, type Lifetime, type LifetimeEnd, type LifetimeOptions } from './lifetime.ts'

type Run = {
  end: Promise<LifetimeEnd>
  calls: number[]
  clock: ReturnType<typeof simWorld>['clock']
  stop: () => void
  done: () => boolean
}

function run(
  lifetime: Lifetime,
  answer: (call: number) => Lifetime | Error,
  options: Partial<LifetimeOptions> = {},
  seed = 1,
): Run {
  const world = simWorld({ seed })
  const stopper = new AbortController()
  const start = world.clock.now()
  const calls: number[] = []
  let isDone = false
  const end = keepAlive(world, {
    lifetime,
    renew: async () => {
      calls.push(world.clock.now() - start)
      const said = answer(calls.length)
      if (said instanceof Error) throw said
      return said
    },
    signal: stopper.signal,
    ...options,
  }).then(value => {
    isDone = true
    return value
  })
  return { end, calls, clock: world.clock, stop: () => stopper.abort(), done: () => isDone }
}

const hour: Lifetime = { ttlSeconds: 3600, isRenewable: true }

test('the grace is 10 to 20 % of the lease, or of the increment when that is shorter', () => {
  for (let seed = 0; seed < 50; seed++) {
    const entropy = seededEntropy(seed)
    const grace = graceMs(entropy, 100_000, 0)
    assert.ok(grace >= 10_000 && grace < 20_000, String(grace))
    const short = graceMs(entropy, 100_000, 50_000)
    assert.ok(short >= 5_000 && short < 10_000, String(short))
  }
  assert.equal(graceMs(seededEntropy(1), 0, 0), 0)
})

test('a renewable token is renewed at once and then after two thirds of its life plus a third of the grace', async () => {
  const { calls, clock, stop, end } = run(hour, () => hour)
  await clock.advance(0)
  assert.deepEqual(calls, [0])
  await clock.advance(2_519_000)
  assert.equal(calls.length, 1)
  await clock.advance(125_000)
  assert.equal(calls.length, 2)
  const second = calls[1] ?? 0
  assert.ok(second >= 2_520_000 && second <= 2_640_000, String(second))
  stop()
  assert.deepEqual(await end, { kind: 'stopped' })
  assert.equal(clock.waiting, 0)
})

test('a token that is granted less and less ends within its grace, still alive', async () => {
  const { clock, end, done } = run(hour, call => ({ ttlSeconds: Math.max(1, 3600 - call * 1200), isRenewable: true }))
  for (let i = 0; i < 20 && !done(); i++) await clock.advance(600_000)
  const ended = await end
  assert.equal(ended.kind, 'near-expiry')
})

test('what is not renewable is only watched, and ends with 10 to 20 % left', async () => {
  const { calls, clock, end, done } = run({ ttlSeconds: 100, isRenewable: false }, () => hour)
  for (let i = 0; i < 100 && !done(); i++) await clock.advance(1000)
  const ended = await end
  assert.equal(ended.kind, 'near-expiry')
  assert.ok(ended.kind === 'near-expiry' && ended.remainingMs > 0 && ended.remainingMs < 60_000)
  assert.deepEqual(calls, [])
})

test('renewal errors of a token are tried again with a growing wait, not in a tight loop', async () => {
  const { calls, clock, end, done } = run(hour, () => new Error('503'))
  for (let i = 0; i < 80 && !done(); i++) await clock.advance(60_000)
  const ended = await end
  assert.equal(ended.kind, 'near-expiry')
  assert.ok(ended.kind === 'near-expiry' && (ended.lastError as Error).message === '503')
  assert.ok(calls.length > 5 && calls.length < 40, String(calls.length))
  const gaps = calls.slice(1).map((at, i) => at - (calls[i] ?? 0))
  assert.ok((gaps[0] ?? 0) >= 5_000)
})

test('after an error a renewal that works goes on as if nothing had been', async () => {
  const { calls, clock, stop, end } = run(hour, call => (call === 1 ? new Error('down') : hour))
  await clock.advance(0)
  await clock.advance(20_000)
  assert.equal(calls.length, 2)
  await clock.advance(2_400_000)
  assert.equal(calls.length, 2)
  stop()
  await end
})

test('a token that the server no longer knows ends at once', async () => {
  const { end, clock } = run(hour, () => new Error('gone'), { isGone: error => (error as Error).message === 'gone' })
  await clock.advance(0)
  assert.equal((await end).kind, 'gone')
})

test('with onError end the first failure is given back', async () => {
  const { end, clock } = run(hour, () => new Error('lease not found'), { onError: 'end' })
  await clock.advance(0)
  assert.equal((await end).kind, 'failed')
})

test('a TTL of 0 never expires: no call is made and only the signal ends it', async () => {
  const { calls, clock, stop, end, done } = run({ ttlSeconds: 0, isRenewable: true }, () => hour)
  await clock.advance(10 ** 9)
  assert.equal(done(), false)
  assert.deepEqual(calls, [])
  stop()
  assert.deepEqual(await end, { kind: 'stopped' })
})

test('a server that grants a second at a time is not asked without a pause', async () => {
  const { calls, clock, end, done } = run({ ttlSeconds: 1, isRenewable: true }, () => ({
    ttlSeconds: 1,
    isRenewable: true,
  }))
  await clock.advance(10_000)
  assert.ok(calls.length <= 25, String(calls.length))
  if (!done()) return
  assert.equal((await end).kind, 'near-expiry')
})

test('two watchers of one lease do not renew at the same moment', async () => {
  const one = run(hour, () => hour, {}, 1)
  const two = run(hour, () => hour, {}, 2)
  await one.clock.advance(0)
  await two.clock.advance(0)
  await one.clock.advance(2_700_000)
  await two.clock.advance(2_700_000)
  assert.notEqual(one.calls[1], two.calls[1])
  one.stop()
  two.stop()
  await Promise.all([one.end, two.end])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '#ground/base/secret.ts'
import { simWorld } from '#ground/base/world.ts'
import type { Primed } from './dependency.ts'
import type { LeaseNote } from './lease-book.ts'
import { kv, lease as leaseOf, renewed, start, withPw, withUser } from './scripted-obtainer.ts'

test('a renewable lease is renewed and stays one when anything may have changed', async () => {
  const run = start(({ target }) => (target.includes('leases/renew') ? renewed : leaseOf(1)), [withUser])
  await run.advance(10)
  run.obtainer.changed(null)
  await run.advance(3_000_000)
  const reads = run.reads()
  assert.equal(reads.filter(one => one.includes('creds')).length, 1)
  assert.ok(reads.filter(one => one.includes('leases/renew')).length >= 2)
  assert.deepEqual(run.texts, ['u1'])
  await run.obtainer.close()
})

test('a lease outlives a server that is away when it should be renewed', async () => {
  let isAway = false
  const run = start(
    ({ target }) => {
      if (isAway) return { error: 'connection refused' }
      return target.includes('leases/renew') ? renewed : leaseOf(1)
    },
    [withUser],
  )
  await run.advance(10)
  isAway = true
  await run.advance(2_600_000)
  isAway = false
  await run.advance(400_000)
  assert.equal(run.reads().filter(one => one.includes('creds')).length, 1)
  await run.obtainer.close()
})

test('a lease that the server has lost is asked for anew', async () => {
  let leases = 0
  const run = start(
    ({ target }) =>
      target.includes('leases/renew') && leases === 1
        ? { status: 400, body: '{"errors":["lease not found"]}' }
        : target.includes('leases/renew')
          ? renewed
          : leaseOf(++leases),
    [withUser],
  )
  await run.advance(10)
  assert.deepEqual(run.texts, ['u1', 'u2'])
  await run.obtainer.close()
})

for (const [rule, token, users] of [
  ['a new token asks for leases anew and leaves static values', 't2', ['u1', 'u2']],
  ['a login that gives the same token again keeps its leases', 't1', ['u1']],
] as const) {
  test(rule, async () => {
    let leases = 0
    const run = start(
      ({ target }) => (target.includes('renew') ? renewed : target.includes('creds') ? leaseOf(++leases) : kv('one')),
      [withUser, withPw],
    )
    const clientOf = (text: string) => run.client.with({ token: new Secret(text), maxRetries: 0 })
    run.obtainer.setClient(clientOf('t1'))
    await run.advance(10)
    run.obtainer.setClient(clientOf(token))
    await run.advance(10)
    assert.deepEqual(run.texts.toSorted(), ['one', ...users])
    assert.equal(run.reads().filter(one => one.includes('secret/data')).length, 1)
    await run.obtainer.close()
  })
}

test('what another agent fetched is not fetched again', async () => {
  const first = start(
    ({ target }) => (target.includes('creds') ? leaseOf(1) : target.includes('renew') ? renewed : kv('one')),
    [withUser, withPw],
  )
  await first.advance(10)
  const primed = first.obtainer.held('all')
  await first.obtainer.close()
  const second = start(() => renewed, [withUser, withPw], { primed })
  await second.advance(10)
  assert.deepEqual(second.texts.toSorted(), ['one', 'u1'])
  assert.deepEqual(
    second.reads().filter(one => !one.includes('leases/renew')),
    [],
  )
  await second.obtainer.close()
})

const startMs = simWorld({ seed: 1 }).clock.now()

/** What an agent left that had one lease, which ends as said. */
async function left(more: Partial<Primed>, lease: Partial<LeaseNote>): Promise<ReadonlyMap<string, Primed>> {
  const run = start(({ target }) => (target.includes('creds') ? leaseOf(1) : renewed), [withUser])
  await run.advance(10)
  const held = run.obtainer.held('made')
  await run.obtainer.close()
  return new Map([...held].map(([text, one]) => [text, { ...one, ...more, lease: { ...one.lease!, ...lease } }]))
}

test('a lease that ended before it was taken over is not delivered, but replaced', async () => {
  const primed = await left({}, { endsAtMs: startMs - 1 })
  const run = start(({ target }) => (target.includes('creds') ? leaseOf(2) : renewed), [withUser], { primed })
  await run.advance(10)
  assert.deepEqual(run.texts, ['u2'])
  await run.obtainer.close()
})

test('a lease that is taken over goes on from its last renewal, also while the server is away', async () => {
  const primed = await left({ fetchedAtMs: startMs - 5_000_000 }, { endsAtMs: startMs + 3_000_000 })
  let isAway = true
  const run = start(
    ({ target }) => {
      if (isAway) return { error: 'connection refused' }
      return target.includes('creds') ? leaseOf(2) : renewed
    },
    [withUser],
    { primed },
  )
  await run.advance(1_000_000)
  isAway = false
  await run.advance(2_500_000)
  assert.deepEqual(run.texts, ['u1'])
  assert.deepEqual(
    run.reads().filter(one => one.includes('creds')),
    [],
  )
  await run.obtainer.close()
})

for (const [rule, before, atMs] of [
  ['at once', null, 0],
  ['when the one before it has ended', { id: 'database/creds/app/0', endsAtMs: startMs + 100_000 }, 100_000],
] as const) {
  test(`a lease that is taken over, and ends with a token that has a successor, is replaced ${rule}`, async () => {
    const primed = await left({}, { endsAtMs: startMs + 400_000, isOrphaned: true, before })
    const run = start(({ target }) => (target.includes('creds') ? leaseOf(2) : renewed), [withUser], { primed })
    if (atMs > 0) await run.advance(atMs - 1000)
    assert.deepEqual(run.texts, atMs > 0 ? ['u1'] : [])
    await run.advance(2000)
    assert.deepEqual(run.texts, ['u1', 'u2'])
    await run.obtainer.close()
  })
}

test('a lease that can not be replaced is a failure only once it ended, and is asked for each ten seconds then', async () => {
  let isDown = false
  let leases = 0
  const run = start(
    ({ target }) => {
      if (isDown) return { status: 500, body: '{"errors":["the database is down"]}' }
      return target.includes('health')
        ? { status: 200, body: '{}' }
        : target.includes('renew')
          ? renewed
          : leaseOf(++leases)
    },
    [withUser],
  )
  await run.advance(10)
  isDown = true
  await run.advance(3_500_000)
  assert.deepEqual(run.failures, [], 'the lease works still')
  await run.advance(300_000)
  assert.equal(run.failures.length, 1)
  assert.match(run.failures[0]!, /exceeded maximum retries/)
  await run.advance(600_000)
  assert.equal(run.failures.length, 1, 'it is told once')
  isDown = false
  await run.advance(14_000)
  assert.deepEqual(run.texts, ['u1', 'u2'])
  await run.obtainer.close()
})

for (const [rule, lookup, thirdAfterMs] of [
  ['ends when the server says', { status: 200, body: '{"data":{"ttl":100}}' }, 100_000],
  ['is gone when the server does not know it', { status: 400, body: '{"errors":["invalid lease"]}' }, 0],
] as const) {
  test(`a lease whose renewals got no answer may be one: before a third is made, it ${rule}`, async () => {
    let isLost = false
    let leases = 0
    const run = start(
      ({ target }) => {
        if (target.includes('lookup')) return lookup
        if (target.includes('renew')) return isLost ? { error: 'connection reset' } : renewed
        return leaseOf(++leases)
      },
      [withUser],
    )
    const clientOf = (text: string) => run.client.with({ token: new Secret(text), maxRetries: 0 })
    run.obtainer.setClient(clientOf('t1'))
    await run.advance(10)
    isLost = true
    for (let atMs = 0; run.texts.length < 2 && atMs < 3_600_000; atMs += 1000) await run.advance(1000)
    isLost = false
    await run.advance(1000)
    assert.deepEqual(run.texts, ['u1', 'u2'])
    run.obtainer.setClient(clientOf('t2'))
    await run.advance(0)
    if (thirdAfterMs > 0) await run.advance(thirdAfterMs - 2000)
    assert.equal(leases, thirdAfterMs > 0 ? 2 : 3)
    await run.advance(3000)
    assert.deepEqual(run.texts, ['u1', 'u2', 'u3'])
    await run.obtainer.close()
  })
}

test("a lease of which a notice says that it is gone is replaced at once, and another pod's changes nothing", async () => {
  let leases = 0
  const watched: string[] = []
  const run = start(({ target }) => (target.includes('renew') ? renewed : leaseOf(++leases)), [withUser], {
    onPaths: paths => void watched.splice(0, Infinity, ...paths),
  })
  await run.advance(10)
  assert.deepEqual(watched, ['database/creds/app', 'database/creds/app/1'])
  run.obtainer.changed('database/creds/app/7')
  await run.advance(10)
  assert.deepEqual(run.texts, ['u1'])
  run.obtainer.changed('database/creds/app/1')
  await run.advance(10)
  assert.deepEqual(run.texts, ['u1', 'u2'])
  assert.deepEqual(watched, ['database/creds/app', 'database/creds/app/2'])
  await run.obtainer.close()
})

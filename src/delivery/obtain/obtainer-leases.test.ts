import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '#ground/base/secret.ts'
import { kv, lease, renewed, start, withPw, withUser } from './scripted-obtainer.ts'

test('a renewable lease is renewed and stays one when anything may have changed', async () => {
  const run = start(({ target }) => (target.includes('leases/renew') ? renewed : lease(1)), [withUser])
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
      return target.includes('leases/renew') ? renewed : lease(1)
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
          : lease(++leases),
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
      ({ target }) => (target.includes('renew') ? renewed : target.includes('creds') ? lease(++leases) : kv('one')),
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
    ({ target }) => (target.includes('creds') ? lease(1) : target.includes('renew') ? renewed : kv('one')),
    [withUser, withPw],
  )
  await first.advance(10)
  const primed = first.obtainer.held()
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

test('a lease that ended before it was taken over is not delivered, but replaced', async () => {
  const first = start(({ target }) => (target.includes('creds') ? lease(1) : renewed), [withUser])
  await first.advance(10)
  const primed = first.obtainer.held()
  await first.obtainer.close()
  const second = start(({ target }) => (target.includes('creds') ? lease(2) : renewed), [withUser], {
    primed: new Map([...primed].map(([text, one]) => [text, { ...one, fetchedAtMs: 0, nextAtMs: 3_600_000 }])),
  })
  await second.advance(10)
  assert.deepEqual(second.texts, ['u2'])
  await second.obtainer.close()
})

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
          : lease(++leases)
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

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'

type Envelope = { lease_id: string; lease_duration: number; renewable: boolean; data: { name: string } }

async function open() {
  const outside = new Outside()
  const server = await openTestMount(accountsEngine(outside))
  return { outside, server }
}

async function take(server: TestServer, query: string, token?: string): Promise<Envelope> {
  const answer = await server.ask('GET', `accounts/creds/app?${query}`, token === undefined ? {} : { token })
  assert.equal(answer.status, 200, answer.errors.join())
  return answer.body as Envelope
}

async function tokenOf(server: TestServer, body: Record<string, string | number>): Promise<string> {
  const answer = await server.ask('POST', 'auth/token/create', { body: { policies: 'root', ...body } })
  return (answer.body as { auth: { client_token: string } }).auth.client_token
}

const signal = new AbortController().signal

test('lease: an id below the path of the request, its time and whether it can be renewed', async () => {
  const { server } = await open()
  await using _ = server
  const { lease_id, lease_duration, renewable } = await take(server, 'ttl=60')
  assert.match(lease_id, /^accounts\/creds\/app\/[0-9A-Za-z]{24}$/)
  assert.deepEqual([lease_duration, renewable], [60, true])
})

test('lease: the mount gives the time where the engine says nothing, and caps what is more', async () => {
  const { server } = await open()
  await using _ = server
  await server.ask('POST', 'sys/mounts/accounts/tune', { body: { default_lease_ttl: '10m', max_lease_ttl: '1h' } })
  assert.equal((await take(server, '')).lease_duration, 600)
  assert.equal((await take(server, 'ttl=7200')).lease_duration, 3600)
})

test('lease: its account is there until it ends, and not a moment later', async () => {
  const { server, outside } = await open()
  await using _ = server
  const { data } = await take(server, 'ttl=60')
  await server.world.clock.advance(59_000)
  assert.deepEqual([...outside.accounts], [data.name])
  await server.world.clock.advance(2_000)
  assert.deepEqual([...outside.accounts], [])
})

test('lease: after a restart it ends as if there had been none', async () => {
  const { server, outside } = await open()
  await using _ = server
  await take(server, 'ttl=60')
  await server.restart()
  assert.equal(outside.accounts.size, 1)
  await server.world.clock.advance(61_000)
  assert.equal(outside.accounts.size, 0)
})

test('lease: one that ran out while the server was down ends when it is up', async () => {
  const { server, outside } = await open()
  await using _ = server
  await take(server, 'ttl=60')
  await server.node.seal()
  await server.world.clock.advance(120_000)
  assert.equal(outside.accounts.size, 1)
  await server.restart()
  await server.world.clock.advance(1_000)
  assert.equal(outside.accounts.size, 0)
})

test('lease: renewed, it counts from now, up to the maximum from its issue', async () => {
  const { server, outside } = await open()
  await using _ = server
  const { lease_id } = await take(server, 'ttl=60&max_ttl=100')
  const { leases } = server.house
  await server.world.clock.advance(50_000)
  await leases.renew(lease_id, 30 as never, signal)
  await server.world.clock.advance(29_000)
  assert.equal(outside.accounts.size, 1)
  await server.world.clock.advance(2_000)
  assert.equal(outside.accounts.size, 0)
})

for (const [what, after, text] of [
  ['unknown', async () => undefined, 'lease not found'],
  [
    'past its end and not yet revoked',
    async (server: TestServer) => server.world.clock.advance(61_000),
    'lease expired',
  ],
] as const) {
  test(`lease: renewing one that is ${what} is refused: ${text}`, async () => {
    const { server, outside } = await open()
    await using _ = server
    outside.failures.set('drop', new Error('down'))
    const { lease_id } = await take(server, 'ttl=60')
    await after(server)
    const id = what === 'unknown' ? 'accounts/creds/app/nobody' : lease_id
    await assert.rejects(server.house.leases.renew(id, 0 as never, signal), { message: text })
  })
}

test('lease: it ends with its token, revoked or run out', async () => {
  const { server, outside } = await open()
  await using _ = server
  const short = await tokenOf(server, { ttl: '30s' })
  const long = await tokenOf(server, { ttl: '1h' })
  await take(server, 'ttl=3600', short)
  await take(server, 'ttl=3600', long)
  await server.world.clock.advance(31_000)
  assert.equal(outside.accounts.size, 1)
  await server.ask('POST', 'auth/token/revoke', { body: { token: long } })
  await server.world.clock.advance(1_000)
  assert.equal(outside.accounts.size, 0)
})

test('lease: it ends with its token also when the server ends between the two', async () => {
  const { server, outside } = await open()
  await using _ = server
  const token = await tokenOf(server, { ttl: '1h' })
  await take(server, 'ttl=3600', token)
  outside.failures.set('drop', new Error('down'))
  await server.ask('POST', 'auth/token/revoke', { body: { token } })
  await server.restart()
  outside.failures.clear()
  await server.world.clock.advance(60_000)
  assert.equal(outside.accounts.size, 0)
})

test('lease: the last use of a token gives no secret, and leaves no account', async () => {
  const { server, outside } = await open()
  await using _ = server
  const token = await tokenOf(server, { num_uses: 1 })
  const answer = await server.ask('GET', 'accounts/creds/app', { token })
  assert.equal(answer.status, 400)
  assert.match(answer.errors.join(), /token had one use left, so leased credentials were immediately revoked/)
  await server.world.clock.advance(1_000)
  assert.equal(outside.accounts.size, 0)
})

test('lease: six failed revocations, further and further apart, and it is irrevocable, in the words of its system', async () => {
  const { server, outside } = await open()
  await using _ = server
  outside.failures.set('drop', new Error('FATAL: the database is gone'))
  const { lease_id } = await take(server, 'ttl=60')
  await server.world.clock.advance(61_000)
  assert.equal((await server.house.leases.get(lease_id))?.attempts, 1)
  await server.world.clock.advance(1_000_000)
  const entry = await server.house.leases.get(lease_id)
  assert.deepEqual([entry?.attempts, entry?.error], [6, 'FATAL: the database is gone'])
  assert.deepEqual(await server.house.leases.irrevocable(undefined, 10), [lease_id])
  await assert.rejects(server.house.leases.renew(lease_id, 0 as never, signal), {
    message: 'lease is expired and has failed previous revocation attempts',
  })
  outside.failures.clear()
  await server.world.clock.advance(2 * 86_400_000)
  assert.deepEqual([outside.accounts.size, await server.house.leases.get(lease_id)], [0, null])
  assert.deepEqual(await server.house.leases.irrevocable(undefined, 10), [])
})

test('lease: a system that never answers is given up after a minute, and holds up no token', async () => {
  const { server, outside } = await open()
  await using _ = server
  outside.hangs.set('drop', new Promise<void>(() => undefined))
  const ids: string[] = []
  for (let i = 0; i < 40; i++) ids.push((await take(server, 'ttl=60')).lease_id)
  const token = await tokenOf(server, { ttl: '61s' })
  await server.world.clock.advance(62_000)
  assert.equal(await server.house.tokens.entry(server.house.tokens.key(token)), null)
  await server.world.clock.advance(60_000)
  assert.equal((await server.house.leases.get(ids[0]!))?.attempts, 1)
})

test('intent: what a handler made and could not answer for is undone', async () => {
  const { server, outside } = await open()
  await using _ = server
  const token = await tokenOf(server, { ttl: '1h' })
  // The token ends while the account is made.
  let go: () => void = () => undefined
  outside.hangs.set('create', new Promise(done => (go = done)))
  const asked = server.ask('GET', 'accounts/creds/app', { token })
  await new Promise(done => setImmediate(done))
  await server.ask('POST', 'auth/token/revoke', { body: { token } })
  go()
  assert.equal((await asked).status, 403)
  await server.world.clock.advance(1_000)
  assert.equal(outside.accounts.size, 0)
})

test('intent: the process ended before the lease was there: a restart undoes it', async () => {
  const { server, outside } = await open()
  await using _ = server
  const mount = server.house.mounts.at('accounts/')!
  await mount.view.intend('account', { name: 'orphan' })
  outside.accounts.add('orphan')
  await server.restart()
  await server.world.clock.advance(1_000)
  assert.equal(outside.accounts.size, 0)
})

test('intent: not settled in time, it is undone, and settling it then is refused', async () => {
  const { server, outside } = await open()
  await using _ = server
  const { view } = server.house.mounts.at('accounts/')!
  const settles = await view.intend('account', { name: 'slow' })
  outside.accounts.add('slow')
  await server.world.clock.advance(200_000)
  assert.equal(outside.accounts.size, 0)
  await assert.rejects(view.commit([], { settles }), /took too long and was undone/)
})

test('alarm: rings once at its time, also after a restart; replaced and cancelled ones do not', async () => {
  const { server, outside } = await open()
  await using _ = server
  const set = async (id: string, after: number) =>
    assert.equal((await server.ask('POST', `accounts/alarm/${id}`, { body: { after } })).status, 204)
  await set('kept', 60)
  await set('moved', 60)
  await set('moved', 600)
  await set('cancelled', 60)
  await set('cancelled', 0)
  await server.restart()
  await server.world.clock.advance(61_000)
  assert.deepEqual(outside.rung, ['kept'])
  await server.world.clock.advance(600_000)
  assert.deepEqual(outside.rung, ['kept', 'moved'])
})

test('disable: a mount goes with its leases; while one can not be revoked it stays', async () => {
  const { server, outside } = await open()
  await using _ = server
  await take(server, 'ttl=60')
  outside.failures.set('drop', new Error('down'))
  const refused = await server.ask('DELETE', 'sys/mounts/accounts')
  assert.notEqual(refused.status, 204)
  assert.equal(outside.accounts.size, 1)
  outside.failures.clear()
  assert.equal((await server.ask('DELETE', 'sys/mounts/accounts')).status, 204)
  assert.equal(outside.accounts.size, 0)
})

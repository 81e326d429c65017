import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instant, seconds } from '#ground/base/clock.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { openTestServer, type TestServer } from '#core/testing/mount.ts'

// What `bench/leases.ts` measures with a million, proved with fewer.
const many = 20_000
const spreadMs = 60_000

async function fill(server: TestServer, count: number): Promise<void> {
  const now = server.world.clock.now()
  const ttl = seconds(600)
  const rest = { explicitMaxTtl: seconds(0), period: seconds(0), renewable: true, entityId: '', boundCidrs: [] }
  for (let made = 0; made < count; ) {
    const page: Promise<unknown>[] = []
    for (let i = 0; i < 500 && made < count; i++, made++) {
      const issued = server.house.tokens.issue({
        ...rest,
        parent: null,
        policies: ['default'],
        path: 'auth/kubernetes/login',
        metadata: null,
        displayName: 'app',
        numUses: 0,
        createdAt: now,
        creationTtl: ttl,
        expiresAt: instant(now + 600_000 + ((made * 7) % spreadMs)),
        renewedAt: null,
        grantedTtl: ttl,
        mountAccessor: 'auth_kubernetes_1',
        login: null,
      })
      page.push(issued)
    }
    await Promise.all(page)
  }
}

async function left(server: TestServer): Promise<number> {
  let count = 0
  for (let after: Parameters<TestServer['house']['tokens']['shelf']['page']>[0] = null; ; ) {
    const page = await server.house.tokens.shelf.page(after, 1000)
    count += page.tokens.filter(({ entry }) => entry.expiresAt !== null).length
    if (page.next === null) return count
    after = page.next
  }
}

test('many leases: all that end within a minute are gone, through a restart in the middle, and no other', async () => {
  await using server = await openTestServer({ catalog: [] })
  await fill(server, many)
  const stays = await server.ask('POST', 'auth/token/create', { body: { ttl: '2h', policies: 'root' } })
  const token = (stays.body as { auth: { client_token: string } }).auth.client_token
  await server.world.clock.advance(600_000 + spreadMs / 2)
  const half = await left(server)
  assert.ok(half > many / 4 && half < (many * 3) / 4 + 1, `${half} at half time`)
  await server.restart()
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
  await server.world.clock.advance(spreadMs / 2 + 1)
  for (let turns = 0; (await left(server)) > 1; turns++) {
    assert.ok(turns < 1000, `${await left(server)} are left`)
    await server.world.clock.advance(1)
  }
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
  const due = await server.house.due.scan(undefined, 1000)
  assert.deepEqual(
    due.due.map(one => one.lane),
    ['token'],
    'and no line of the index but its own',
  )
  assert.equal(server.house.count.now?.tokens, 1)
})

test('many leases: while one system hangs, at most 16 of its leases wait for it, and all of another end', async () => {
  const dead = new Outside()
  const alive = new Outside()
  const named = (type: string, outside: Outside) => ({ ...accountsEngine(outside), type })
  await using server = await openTestServer({ catalog: [named('dead', dead), named('alive', alive)] })
  for (const type of ['dead', 'alive']) {
    await server.ask('POST', `sys/mounts/${type}`, { body: { type } })
    for (let i = 0; i < 300; i++) await server.ask('GET', `${type}/creds/app?ttl=60`)
  }
  assert.deepEqual([dead.accounts.size, alive.accounts.size], [300, 300])
  let asked = 0
  let most = 0
  // Whoever comes waits; the first failure comes when their minute is over.
  Object.defineProperty(dead, 'drop', {
    value: () => {
      most = Math.max(most, ++asked)
      return new Promise<void>(() => undefined)
    },
  })
  await server.world.clock.advance(61_000)
  assert.deepEqual([alive.accounts.size, dead.accounts.size, most], [0, 300, 16])
})

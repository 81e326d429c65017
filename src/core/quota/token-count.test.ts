import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notebook } from '#core/testing/engines.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'

const total = async (server: TestServer): Promise<number> => {
  const { data } = await server.ask('GET', 'sys/internal/counters/tokens')
  return (data as { counters: { service_tokens: { total: number } } }).counters.service_tokens.total
}

const make = async (server: TestServer, more: Readonly<Record<string, string | number>> = {}): Promise<string> => {
  const body = { policies: ['root'], ttl: '1h', ...more }
  return ((await server.ask('POST', 'auth/token/create', { body })).body as { auth: { client_token: string } }).auth
    .client_token
}

test('counters/tokens: service tokens are counted as they come and go, batch tokens are not', async () => {
  await using server = await openTestMount(notebook)
  const first = await make(server)
  assert.equal(await total(server), 2)
  await make(server)
  await make(server, { type: 'batch', policies: 'default' })
  await make(server, { ttl: '10s' })
  assert.equal(await total(server), 4)
  await server.ask('POST', 'auth/token/revoke', { body: { token: first } })
  await server.ask('POST', 'auth/token/revoke', { body: { token: first } })
  assert.equal(await total(server), 3)
  await server.world.clock.advance(20_000)
  assert.equal(await total(server), 2)
  await server.restart()
  assert.equal(await total(server), 2)
})

test('counters/tokens: many that come and go while they are counted are each counted once', async () => {
  await using server = await openTestMount(notebook)
  const tokens = await Promise.all(Array.from({ length: 40 }, () => make(server)))
  const during = [
    total(server),
    ...tokens.slice(0, 15).map(token => server.ask('POST', 'auth/token/revoke', { body: { token } })),
    ...Array.from({ length: 10 }, () => make(server)),
  ]
  await Promise.all(during)
  assert.equal(await total(server), 1 + 40 - 15 + 10)
})

test('counters/tokens: children of who ends are counted out with it, beside a lease count', async () => {
  await using server = await openTestMount(notebook)
  await server.ask('POST', 'sys/quotas/lease-count/all', { body: { max_leases: 100 } })
  const parent = await make(server)
  for (let i = 0; i < 3; i++) await server.ask('POST', 'auth/token/create', { token: parent, body: { ttl: '1h' } })
  assert.equal(await total(server), 5)
  await server.ask('POST', 'auth/token/revoke', { body: { token: parent } })
  assert.equal(await total(server), 1)
  const { data } = await server.ask('GET', 'sys/quotas/lease-count/all')
  assert.equal((data as { counter: number }).counter, 0)
})

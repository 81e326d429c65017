import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { openTestServer, type TestServer } from '#core/testing/mount.ts'
import { faultyStore, type FaultyStore } from '#stores/faulty/faulty.ts'
import { openMemoryStore } from '#stores/memory/memory.ts'

/** A server whose disk can be filled. */
async function open(outside: Outside): Promise<{ server: TestServer; fill: () => void; makeRoom: () => void }> {
  const plan = { call: 'full' as const, at: Number.POSITIVE_INFINITY, to: Number.POSITIVE_INFINITY }
  let store: FaultyStore | undefined
  const server = await openTestServer({
    catalog: [accountsEngine(outside)],
    store: medium => (store = faultyStore(openMemoryStore({ medium }), plan)),
  })
  await server.ask('POST', 'sys/mounts/db', { body: { type: 'accounts' } })
  return {
    server,
    fill: () => {
      plan.at = store!.commits + 1
      plan.to = Number.POSITIVE_INFINITY
    },
    makeRoom: () => {
      plan.to = store!.commits
    },
  }
}

const policy = (name: string): object => ({ policy: `path "${name}" { capabilities = ["read"] }` })
const rules = async (server: TestServer, name: string): Promise<unknown> =>
  ((await server.ask('GET', `sys/policies/acl/${name}`)).data as { policy?: string } | null)?.policy

test('full disk: writes are refused with 507, reads go on, and there is no restart once there is room', async () => {
  const outside = new Outside()
  const { server, fill, makeRoom } = await open(outside)
  await using _ = server
  const token = await server.tokenWith('path "db/*" { capabilities = ["read"] }')
  const put = (name: string, content = name) =>
    server.ask('PUT', `sys/policies/acl/${name}`, { body: policy(content) as never })
  assert.equal((await put('kept')).status, 204)

  fill()
  const refusals = await Promise.all([
    put('lost'),
    put('kept', 'changed'),
    server.ask('DELETE', 'sys/policies/acl/kept'),
    server.ask('POST', 'auth/token/create', { body: { ttl: '1h' } }),
    server.ask('POST', 'sys/mounts/second', { body: { type: 'accounts' } }),
    server.ask('GET', 'db/creds/app', { token }),
  ])
  for (const { status, errors } of refusals) {
    assert.equal(status, 507)
    assert.match(errors.join(), /^the disk of the server's storage is full: nothing was written/)
  }
  const want = (policy('kept') as { policy: string }).policy
  assert.equal(await rules(server, 'kept'), want)
  assert.equal(await rules(server, 'lost'), undefined)
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
  assert.equal((await server.ask('GET', 'sys/mounts/second')).status, 400)
  assert.equal(outside.accounts.size, 0, 'what could not be kept was not made')

  makeRoom()
  assert.equal((await put('kept', 'changed')).status, 204)
  assert.equal((await server.ask('POST', 'sys/mounts/second', { body: { type: 'accounts' } })).status, 204)
  assert.equal((await server.ask('GET', 'db/creds/app', { token })).status, 200)
  await server.restart()
  assert.equal(await rules(server, 'kept'), (policy('changed') as { policy: string }).policy)
  assert.equal(await rules(server, 'lost'), undefined)
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
})

test('full disk: a lease that falls due meanwhile ends once there is room', async () => {
  const outside = new Outside()
  const { server, fill, makeRoom } = await open(outside)
  await using _ = server
  assert.equal((await server.ask('GET', 'db/creds/app?ttl=60')).status, 200)
  assert.equal(outside.accounts.size, 1)
  fill()
  await server.world.clock.advance(3_600_000)
  makeRoom()
  await server.world.clock.advance(3_600_000)
  assert.equal(outside.accounts.size, 0)
  const left = await server.ask('LIST', 'sys/leases/lookup/db/creds/app')
  assert.equal(left.status, 404)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'

// Tokens named by hand: a name may come again after its end, and nothing of the one before may pass to the next.

const rules = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'

async function open() {
  const outside = new Outside()
  const server = await openTestMount(accountsEngine(outside))
  await server.ask('PUT', 'sys/policies/acl/all', { body: { policy: rules } })
  return { server, outside, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

const make = (server: TestServer, id: string, token?: string): Promise<TestAnswer> =>
  server.ask('POST', 'auth/token/create', { body: { id, policies: ['all'] }, ...(token !== undefined && { token }) })

const childOf = async (
  server: TestServer,
  token: string,
  body: Readonly<Record<string, Json>> = {},
): Promise<string> => {
  const answer = await server.ask('POST', 'auth/token/create', { token, body })
  return (answer.body as { auth: { client_token: string } }).auth.client_token
}

const status = async (server: TestServer, token: string): Promise<number> =>
  (await server.ask('GET', 'auth/token/lookup-self', { token })).status

const revoke = (server: TestServer, token: string): Promise<TestAnswer> =>
  server.ask('POST', 'auth/token/revoke', { body: { token } })

test('token named by hand: of many made at once under one name, one is', async () => {
  await using run = await open()
  const answers = await Promise.all(Array.from({ length: 8 }, () => make(run.server, 'mine')))
  assert.equal(answers.filter(one => one.status === 200).length, 1)
  for (const { errors } of answers.filter(one => one.status === 400))
    assert.deepEqual(errors, ['cannot create a token with a duplicate ID'])
  const { keys } = (await run.server.ask('LIST', 'auth/token/accessors')).data as { keys: string[] }
  assert.equal(keys.length, 2)
})

test('token named by hand: one made again has no children, leases or cubbyhole of the one before', async () => {
  await using run = await open()
  const { server, outside } = run
  await make(server, 'mine')
  const child = await childOf(server, 'mine')
  await server.ask('POST', 'cubbyhole/x', { token: 'mine', body: { a: 1 } })
  await server.ask('GET', 'accounts/creds/old?ttl=600', { token: 'mine' })
  await revoke(server, 'mine')
  assert.equal((await make(server, 'mine')).status, 200)
  assert.equal(await status(server, child), 403)
  assert.equal((await server.ask('GET', 'cubbyhole/x', { token: 'mine' })).status, 404)
  // Before the leases of the one before were looked for.
  const kept = await server.ask('GET', 'accounts/creds/new?ttl=600', { token: 'mine' })
  await server.world.clock.advance(10_000)
  const { name } = kept.data as { name: string }
  assert.deepEqual([...outside.accounts], [name])
  await revoke(server, 'mine')
  await server.world.clock.advance(10_000)
  assert.equal(outside.accounts.size, 0)
})

test('token named by hand: while children of the one before are left, there is no other of its name', async () => {
  await using run = await open()
  const { server } = run
  await make(server, 'mine')
  await Promise.all(Array.from({ length: 30 }, () => childOf(server, 'mine')))
  const [, ...again] = await Promise.all([revoke(server, 'mine'), make(server, 'mine'), make(server, 'mine')])
  assert.deepEqual(
    again.map(one => one.errors),
    again.map(() => ['cannot create a token with a duplicate ID']),
  )
  assert.equal((await make(server, 'mine')).status, 200)
})

test('token named by hand: made again as the child of another, it does not end with the parent of the one before', async () => {
  await using run = await open()
  const { server } = run
  await make(server, 'first')
  await make(server, 'mine', 'first')
  await revoke(server, 'mine')
  await make(server, 'second')
  await make(server, 'mine', 'second')
  await revoke(server, 'first')
  assert.equal(await status(server, 'mine'), 200)
  await revoke(server, 'second')
  assert.equal(await status(server, 'mine'), 403)
})

test('token named by hand: creations and ends of one name at once leave nothing behind', async () => {
  await using run = await open()
  const { server, outside } = run
  for (let round = 0; round < 20; round++) {
    const made = await make(server, 'mine')
    assert.equal(made.status, 200, made.errors.join())
    await Promise.all([
      childOf(server, 'mine').catch(() => ''),
      server.ask('GET', 'accounts/creds/a?ttl=600', { token: 'mine' }),
      revoke(server, 'mine'),
      revoke(server, 'mine'),
    ])
    // What a request that lost the race wrote is found and ended.
    await server.ask('POST', 'auth/token/tidy')
    await server.world.clock.advance(1_000)
    assert.equal(await status(server, 'mine'), 403)
  }
  assert.equal(outside.accounts.size, 0)
  const { keys } = (await server.ask('LIST', 'auth/token/accessors')).data as { keys: string[] }
  assert.equal(keys.length, 1)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'
import { kubernetesAuthWith } from './engine.ts'
import { app, claimsOf, jwtOf, ScriptedApiServer } from './scripted-api-server.ts'

const bound = { bound_service_account_names: 'app', bound_service_account_namespaces: 'shop' }

async function loggedIn(role: object): Promise<{ server: TestServer; api: ScriptedApiServer; token: string }> {
  const api = new ScriptedApiServer()
  const server = await openTestMount(kubernetesAuthWith({ folder: '/nowhere', transport: api.transport }))
  await server.ask('POST', 'auth/kubernetes/config', { body: { kubernetes_host: 'https://api.test:6443' } })
  await writeRole(server, role)
  const answer = await server.ask('POST', 'auth/kubernetes/login', {
    body: { role: 'app', jwt: jwtOf(claimsOf(app)) },
    token: null,
  })
  return { server, api, token: (answer.body as { auth: { client_token: string } }).auth.client_token }
}

async function writeRole(server: TestServer, more: object): Promise<void> {
  const { status } = await server.ask('POST', 'auth/kubernetes/role/app', { body: { ...bound, ...more } as Json })
  assert.equal(status, 200)
}

async function renew(server: TestServer, token: string, increment?: string) {
  const body = increment === undefined ? {} : { increment }
  return server.ask('POST', 'auth/token/renew-self', { token, body })
}
const leaseOf = ({ body }: { body: Json }): number => (body as { auth: { lease_duration: number } }).auth.lease_duration

test('kubernetes renewal: TTLs are those of the role as it is now, and nobody is reviewed again', async () => {
  const { server, api, token } = await loggedIn({ token_ttl: '1h', token_max_ttl: '4h' })
  await using _ = server
  const asked = api.asked.length
  api.accounts = []
  await server.world.clock.advance(60_000)
  assert.equal(leaseOf(await renew(server, token)), 3600)
  await writeRole(server, { token_ttl: '2h' })
  assert.equal(leaseOf(await renew(server, token)), 7200)
  await writeRole(server, { token_ttl: '10m', token_max_ttl: '30m' })
  assert.equal(leaseOf(await renew(server, token)), 600)
  assert.equal(api.asked.length, asked)
})

test('kubernetes renewal: the largest TTL counts from the login, and the role may lower it', async () => {
  const { server, token } = await loggedIn({ token_ttl: '1h', token_max_ttl: '2h' })
  await using _ = server
  await server.world.clock.advance(50 * 60_000)
  assert.equal(leaseOf(await renew(server, token)), 3600)
  await server.world.clock.advance(50 * 60_000)
  const capped = await renew(server, token)
  assert.equal(leaseOf(capped), 20 * 60)
  assert.match(String((capped.body as { warnings: string[] }).warnings), /exceeded the effective max_ttl/)
  await server.world.clock.advance(20 * 60_000 + 1_000)
  assert.equal((await renew(server, token)).status, 403, 'it has ended')
})

test('kubernetes renewal: a period that the role gets later makes the token periodic', async () => {
  const { server, token } = await loggedIn({ token_ttl: '10m', token_max_ttl: '20m' })
  await using _ = server
  await writeRole(server, { token_period: '15m' })
  for (let n = 0; n < 4; n++) {
    await server.world.clock.advance(8 * 60_000)
    assert.equal(leaseOf(await renew(server, token)), 900)
  }
})

test('kubernetes renewal: refused once the role is gone, and goes on when it is back', async () => {
  const { server, token } = await loggedIn({ token_ttl: '1h' })
  await using _ = server
  await server.ask('DELETE', 'auth/kubernetes/role/app')
  const refused = await renew(server, token)
  assert.equal(refused.status, 500)
  assert.deepEqual(refused.errors, ['failed to renew entry: role app does not exist during renewal'])
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 200, 'the token lives on')
  await writeRole(server, { token_ttl: '2h' })
  assert.equal(leaseOf(await renew(server, token)), 7200)
})

test('kubernetes renewal: works after a restart of the server', async () => {
  const { server, token } = await loggedIn({ token_ttl: '1h' })
  await using _ = server
  await server.restart()
  assert.equal(leaseOf(await renew(server, token)), 3600)
})

test('kubernetes renewal: a token ends with its mount', async () => {
  const { server, token } = await loggedIn({ token_ttl: '1h' })
  await using _ = server
  assert.equal((await server.ask('DELETE', 'sys/auth/kubernetes')).status, 204)
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 403)
})

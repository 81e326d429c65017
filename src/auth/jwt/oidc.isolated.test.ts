import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { jwtAuth } from './engine.ts'
import { openProvider, providerClient, type RealProvider } from './provider.lab.ts'

const back = 'http://localhost:8250/oidc/callback'

type Stage = AsyncDisposable & { readonly server: TestServer; readonly provider: RealProvider }

async function open(role: Record<string, Json> = {}, log?: (line: string) => void): Promise<Stage> {
  const provider = await openProvider([back])
  const server = await openTestMount(jwtAuth, { start: systemClock.now(), ...(log && { log }) })
  const body = { oidc_discovery_url: provider.issuer, ...providerClient, default_role: 'dev' }
  const written = await server.ask('POST', 'auth/jwt/config', { body })
  assert.deepEqual([written.status, written.errors], [204, []])
  const made = await server.ask('POST', 'auth/jwt/role/dev', {
    body: { user_claim: 'sub', allowed_redirect_uris: back, oidc_scopes: 'profile', token_policies: 'dev', ...role },
  })
  assert.deepEqual([made.status, made.errors], [204, []])
  return {
    server,
    provider,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await provider[Symbol.asyncDispose]()
    },
  }
}

async function begin(server: TestServer, more: Record<string, Json> = {}): Promise<string> {
  const body = { role: 'dev', redirect_uri: back, client_nonce: 'mine', ...more }
  const answer = await server.ask('POST', 'auth/jwt/oidc/auth_url', { token: null, body })
  assert.equal(answer.status, 200, answer.text)
  return (answer.data as { auth_url: string }).auth_url
}

const end = (server: TestServer, query: Record<string, string>): Promise<TestAnswer> =>
  server.ask('GET', `auth/jwt/oidc/callback?${new URLSearchParams(query).toString()}`, { token: null })

/** What the browser brings back. */
async function walk({ server, provider }: Stage): Promise<{ state: string; code: string; client_nonce: string }> {
  const { searchParams } = await provider.browse(await begin(server), 'bob')
  return { state: searchParams.get('state') ?? '', code: searchParams.get('code') ?? '', client_nonce: 'mine' }
}

test('oidc: a person logs in through a real provider, once', async () => {
  await using stage = await open({
    claim_mappings: { name: 'name' },
    groups_claim: 'groups',
    bound_claims: { groups: 'ops' },
  })
  const query = await walk(stage)
  const answer = await end(stage.server, query)
  assert.equal(answer.status, 200, answer.text)
  const { auth } = answer.body as { auth: Record<string, Json> & { client_token: string } }
  assert.deepEqual(auth['metadata'], { name: 'The bob', role: 'dev' })
  assert.deepEqual(auth['token_policies'], ['default', 'dev'])
  const again = await end(stage.server, query)
  assert.deepEqual([again.status, again.errors], [400, ['Vault login failed. Expired or missing OAuth state.']])
})

test('oidc callback: of two at once one wins', async () => {
  await using stage = await open()
  const query = await walk(stage)
  const answers = await Promise.all([end(stage.server, query), end(stage.server, query)])
  assert.deepEqual(
    answers.map(({ status }) => status).sort((a, b) => a - b),
    [200, 400],
  )
})

test('oidc callback: a POST is 405, as form_post is not there', async () => {
  await using stage = await open()
  const answer = await stage.server.ask('POST', 'auth/jwt/oidc/callback', { body: await walk(stage) })
  assert.equal(answer.status, 405)
})

test('oidc: neither code nor token of the provider is in the log', async () => {
  const lines: string[] = []
  await using stage = await open({}, line => lines.push(line))
  const query = await walk(stage)
  const { auth } = (await end(stage.server, query)).body as { auth: { client_token: string } }
  const log = lines.join('\n')
  for (const secret of [query.code, query.state, auth.client_token, providerClient.oidc_client_secret]) {
    assert.ok(!log.includes(secret))
  }
})

test('oidc: the address asks for a code with PKCE, nonce and scopes', async () => {
  await using stage = await open({ max_age: 60 })
  const { searchParams } = new URL(await begin(stage.server))
  const asked = Object.fromEntries(searchParams)
  for (const name of ['state', 'nonce', 'code_challenge']) assert.ok(asked[name]!.length >= 32, name)
  const { state: _s, nonce: _n, code_challenge: _c, ...rest } = asked
  assert.deepEqual(rest, {
    client_id: 'coffer',
    code_challenge_method: 'S256',
    max_age: '60',
    redirect_uri: back,
    response_type: 'code',
    scope: 'openid profile',
  })
})

for (const [rule, change, want] of [
  ['another client nonce', { client_nonce: 'other' }, 'invalid client_nonce'],
  ['no client nonce', { client_nonce: '' }, 'invalid client_nonce'],
  ['another state', { state: 'st_x' }, 'Vault login failed. Expired or missing OAuth state.'],
  ['no code', { code: '' }, 'Vault login failed. No code or id_token received.'],
  ['what the provider refuses', { code: '', error: 'access_denied' }, 'Vault login failed. access_denied'],
] as const) {
  test(`oidc callback: refused is ${rule}`, async () => {
    await using stage = await open()
    const answer = await end(stage.server, { ...(await walk(stage)), ...change })
    assert.deepEqual([answer.status, answer.errors], [400, [want]])
  })
}

test('oidc callback: a code of another login is refused by the provider, by PKCE', async () => {
  await using stage = await open()
  const [mine, other] = [await walk(stage), await walk(stage)]
  const { status, errors } = await end(stage.server, { ...mine, code: other.code })
  assert.equal(status, 400)
  assert.match(errors[0]!, /^Vault login failed. Error exchanging oidc code: ".*status 400".$/)
})

test('oidc callback: a login ends after ten minutes, and with a restart', async () => {
  await using stage = await open()
  const late = await walk(stage)
  await stage.server.world.clock.advance(600_000)
  assert.deepEqual((await end(stage.server, late)).errors, ['Vault login failed. Expired or missing OAuth state.'])
  const lost = await walk(stage)
  await stage.server.restart()
  assert.deepEqual((await end(stage.server, lost)).errors, ['Vault login failed. Expired or missing OAuth state.'])
})

for (const [rule, role, want] of [
  ['another subject', { bound_subject: 'eve' }, 'Vault login failed. sub claim does not match bound subject'],
  [
    'a claim that differs',
    { bound_claims: { groups: 'boss' } },
    'Vault login failed. error validating claims: claim "groups" does not match any associated bound claim values',
  ],
  [
    'another audience',
    { bound_audiences: 'x' },
    'Vault login failed. Token verification failed. invalid audience (aud) claim: audience claim does not match any expected audience',
  ],
  ['no user claim', { user_claim: 'email' }, 'claim "email" not found in token'],
] as const) {
  test(`oidc role: refused is ${rule}`, async () => {
    await using stage = await open(role)
    const answer = await end(stage.server, await walk(stage))
    assert.deepEqual([answer.status, answer.errors], [400, [want]])
  })
}

test('oidc callback: a role that is gone is told', async () => {
  await using stage = await open()
  const query = await walk(stage)
  await stage.server.ask('DELETE', 'auth/jwt/role/dev')
  assert.deepEqual((await end(stage.server, query)).errors, ['Vault login failed. Role could not be found'])
})

for (const [rule, redirect, isAllowed] of [
  ['another port of this machine', 'http://localhost:9999/oidc/callback', true],
  ['another path', 'http://localhost:8250/other', false],
  ['another machine', 'http://evil.example:8250/oidc/callback', false],
  ['a user before the host', 'http://localhost:8250@evil.example/oidc/callback', false],
  ['another name of this machine', 'http://127.0.0.1:8250/oidc/callback', false],
  ['no address', 'x', false],
] as const) {
  test(`oidc auth_url: ${rule} is ${isAllowed ? 'taken' : 'an empty address'}`, async () => {
    await using stage = await open()
    assert.equal((await begin(stage.server, { redirect_uri: redirect })) !== '', isAllowed)
  })
}

for (const [rule, body, want] of [
  ['an unknown role', { role: 'other', redirect_uri: back }, 'role "other" could not be found'],
  ['no way back', { role: 'dev' }, 'missing redirect_uri'],
] as const) {
  test(`oidc auth_url: ${rule} is told`, async () => {
    await using stage = await open()
    const answer = await stage.server.ask('POST', 'auth/jwt/oidc/auth_url', { token: null, body })
    assert.deepEqual([answer.status, answer.errors], [400, [want]])
  })
}

test('oidc auth_url: of a provider that is away it is empty', async () => {
  await using stage = await open()
  await stage.server.restart()
  await stage.provider[Symbol.asyncDispose]()
  assert.equal(await begin(stage.server), '')
})

test('oidc auth_url: of a mount without a client is told', async () => {
  await using stage = await open()
  await stage.server.ask('POST', 'auth/jwt/config', { body: { oidc_discovery_url: stage.provider.issuer } })
  const body = { role: 'dev', redirect_uri: back }
  const answer = await stage.server.ask('POST', 'auth/jwt/oidc/auth_url', { token: null, body })
  assert.deepEqual([answer.status, answer.errors], [400, ['OIDC login is not configured for this mount']])
})

test('oidc auth_url: at most 10,000 logins are under way', async () => {
  await using stage = await open()
  let last = ''
  for (let i = 0; i < 10_001; i++) last = await begin(stage.server)
  assert.equal(last, '')
  await stage.server.world.clock.advance(600_000)
  assert.notEqual(await begin(stage.server), '')
})

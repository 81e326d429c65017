import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'
import { type Doorkeeper, doorman } from '#core/testing/engines.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'
import { invalidTokenText } from '#protocol/fault.ts'

type Body = Readonly<Record<string, Json>>
type Auth = { client_token: string; accessor: string; lease_duration: number; renewable: boolean }
type Made = { auth: Auth; warnings: string[] | null }

const settings = { defaultLeaseTtl: seconds(3_600), maxLeaseTtl: seconds(36_000) }
const open = (keeper?: Doorkeeper): Promise<TestServer> => openTestMount(doorman(keeper), { settings })
const hours = 3_600_000

async function make(server: TestServer, body: Body, token?: string): Promise<Auth> {
  const answer = await server.ask('POST', 'auth/token/create', { body, ...(token !== undefined && { token }) })
  assert.equal(answer.status, 200, answer.errors.join())
  return (answer.body as Made).auth
}

const isAlive = async (server: TestServer, token: string): Promise<boolean> =>
  (await server.ask('GET', 'auth/token/lookup-self', { token })).status !== 403

/** What a renewal grants, after some hours. */
const renewals: readonly (readonly [
  rule: string,
  create: Body,
  afterMs: number,
  increment: Json,
  ttl: number,
  warns: boolean,
])[] = [
  ['without increment gives what was granted', { ttl: '2h' }, hours, null, 7_200, false],
  ['increment 0 gives what was granted', { ttl: '2h' }, hours, 0, 7_200, false],
  ['counts from now', { ttl: '2h' }, hours, '3h', 10_800, false],
  ['a small increment shortens', { ttl: '2h' }, hours, '60s', 60, false],
  ['never passes issue and maximum', { ttl: '5h' }, 4 * hours, '9h', 21_600, true],
  ['never passes its own maximum', { ttl: '2h', explicit_max_ttl: '3h' }, hours, '5h', 7_200, true],
  ['a periodic token ignores the increment', { period: '2h' }, hours, '5h', 7_200, false],
  [
    'a periodic token never passes its own maximum',
    { period: '2h', explicit_max_ttl: '150m' },
    hours,
    null,
    5_400,
    true,
  ],
]
for (const [rule, create, afterMs, increment, ttl, warns] of renewals) {
  test(`token renew: ${rule}`, async () => {
    await using server = await open()
    const { client_token: token } = await make(server, { policies: ['default'], ...create })
    await server.world.clock.advance(afterMs)
    const answer = await server.ask('POST', 'auth/token/renew-self', { token, body: { increment } })
    const { auth, warnings } = answer.body as Made
    assert.deepEqual([auth.lease_duration, auth.renewable, auth.client_token], [ttl, true, token])
    assert.equal(warnings !== null, warns)
    await server.world.clock.advance(ttl * 1000 - 1)
    assert.ok(await isAlive(server, token))
    await server.world.clock.advance(1)
    assert.ok(!(await isAlive(server, token)))
  })
}

test('token renew: a periodic token lives past the maximum as long as it is renewed', async () => {
  await using server = await open()
  const { client_token: token } = await make(server, { policies: ['default'], period: '2h' })
  for (let hour = 0; hour < 30; hour++) {
    await server.world.clock.advance(hours)
    assert.equal((await server.ask('POST', 'auth/token/renew-self', { token })).status, 200)
  }
})

test('token renew: the lookup says when, and that the last TTL is what is given again', async () => {
  await using server = await open()
  const { client_token: token } = await make(server, { policies: ['default'], ttl: '2h' })
  await server.world.clock.advance(60_000)
  await server.ask('POST', 'auth/token/renew', { body: { token, increment: 600 } })
  const { data } = await server.ask('GET', 'auth/token/lookup-self', { token })
  assert.partialDeepStrictEqual(data, {
    last_renewal: '2026-01-01T00:01:00Z',
    last_renewal_time: 1_767_225_660,
    ttl: 600,
    creation_ttl: 7_200,
  })
  await server.world.clock.advance(60_000)
  const again = await server.ask('POST', 'auth/token/renew', { body: { token } })
  assert.equal((again.body as Made).auth.lease_duration, 600)
})

const notRenewed: readonly (readonly [
  rule: string,
  create: Body | null,
  ask: string,
  body: Body,
  status: number,
  text: string,
])[] = [
  ['an unknown token', null, 'renew', { token: 'hvs.x' }, 400, 'token not found'],
  ['no token at all', null, 'renew', {}, 400, 'missing token ID'],
  ['a root token without end', null, 'renew-self', {}, 400, 'invalid lease ID'],
  ['what was made so', { renewable: false }, 'renew', {}, 400, 'lease is not renewable'],
  ['an empty accessor', null, 'renew-accessor', {}, 400, '1 error occurred:\n\t* missing accessor\n\n'],
  [
    'an unknown accessor',
    null,
    'renew-accessor',
    { accessor: 'x' },
    400,
    '1 error occurred:\n\t* invalid accessor\n\n',
  ],
  [
    'by a negative increment',
    {},
    'renew',
    { increment: -1 },
    400,
    'Field validation failed: error converting input for field "increment": cannot provide negative value \'-1\'',
  ],
]
for (const [rule, create, ask, body, status, text] of notRenewed) {
  test(`token renew: ${rule} is refused`, async () => {
    await using server = await open()
    const token =
      create === null ? {} : { token: (await make(server, { policies: ['default'], ...create })).client_token }
    const answer = await server.ask('POST', `auth/token/${ask}`, { body: { ...token, ...body } })
    assert.deepEqual([answer.status, answer.errors], [status, [text]])
  })
}

test('token renew: by accessor does not show the token', async () => {
  await using server = await open()
  const { accessor, client_token } = await make(server, { policies: ['default'] })
  const answer = await server.ask('POST', 'auth/token/renew-accessor', { body: { accessor, increment: '2h' } })
  assert.deepEqual([(answer.body as Made).auth.client_token, (answer.body as Made).auth.lease_duration], ['', 7_200])
  assert.ok(!answer.text.includes(client_token))
})

test('token renew: a login goes by what its method says now, and a gone user by nothing', async () => {
  const keeper: Doorkeeper = { renewal: 'unchanged' }
  await using server = await open(keeper)
  const login = async (body: Body): Promise<Auth> =>
    ((await server.ask('POST', 'auth/doorman/login', { token: null, body: { name: 'bob', ...body } })).body as Made)
      .auth
  const { client_token: token } = await login({ token_ttl: '2h' })
  const renew = (): ReturnType<TestServer['ask']> => server.ask('POST', 'auth/token/renew-self', { token })
  assert.equal(((await renew()).body as Made).auth.lease_duration, 7_200)
  keeper.renewal = { ttl: seconds(600), maxTtl: seconds(0) }
  assert.equal(((await renew()).body as Made).auth.lease_duration, 600)
  keeper.renewal = { ttl: seconds(7_200), maxTtl: seconds(900) }
  assert.equal(((await renew()).body as Made).auth.lease_duration, 900)
  keeper.renewal = null
  assert.equal((await renew()).status, 204)
  await server.world.clock.advance(900_000)
  assert.ok(!(await isAlive(server, token)))
})

test('token revoke: a token takes all that it made with it, whichever way it goes', async () => {
  for (const way of ['revoke', 'revoke-self', 'revoke-accessor'] as const) {
    await using server = await open()
    await server.ask('PUT', 'sys/policies/acl/m', {
      body: { policy: 'path "auth/token/*" { capabilities = ["update"] }' },
    })
    const top = await make(server, { policies: ['m'] })
    const middle = await make(server, {}, top.client_token)
    const leaf = await make(server, {}, middle.client_token)
    const ask = {
      revoke: { body: { token: top.client_token } },
      'revoke-self': { token: top.client_token },
      'revoke-accessor': { body: { accessor: top.accessor } },
    }[way]
    assert.equal((await server.ask('POST', `auth/token/${way}`, ask)).status, 204)
    for (const one of [top, middle, leaf]) {
      const answer = await server.ask('GET', 'auth/token/lookup-self', { token: one.client_token })
      assert.deepEqual([answer.status, answer.errors], [403, [invalidTokenText]], way)
    }
    assert.deepEqual((await server.ask('LIST', 'auth/token/accessors')).data, {
      keys: [await accessorOf(server, server.rootToken)],
    })
  }
})

test('token revoke: children of what was revoked as an orphan live on, as orphans', async () => {
  await using server = await open()
  await server.ask('PUT', 'sys/policies/acl/m', {
    body: { policy: 'path "auth/token/*" { capabilities = ["update"] }' },
  })
  const top = await make(server, { policies: ['m'] })
  const child = await make(server, {}, top.client_token)
  const asWeak = await server.ask('POST', 'auth/token/revoke-orphan', {
    token: child.client_token,
    body: { token: top.client_token },
  })
  assert.equal(asWeak.status, 403)
  assert.equal(
    (await server.ask('POST', 'auth/token/revoke-orphan', { body: { token: top.client_token } })).status,
    204,
  )
  assert.ok(!(await isAlive(server, top.client_token)))
  assert.partialDeepStrictEqual(
    (await server.ask('GET', 'auth/token/lookup-self', { token: child.client_token })).data,
    { orphan: true },
  )
})

test('token revoke: a deep tree stays gone after a restart', async () => {
  await using server = await open()
  await server.ask('PUT', 'sys/policies/acl/m', {
    body: { policy: 'path "auth/token/*" { capabilities = ["update"] }' },
  })
  const top = await make(server, { policies: ['m'] })
  let last = top
  for (let depth = 0; depth < 12; depth++) last = await make(server, {}, last.client_token)
  const revoking = server.ask('POST', 'auth/token/revoke', { body: { token: top.client_token } })
  await revoking
  await server.restart()
  assert.ok(!(await isAlive(server, last.client_token)))
  assert.equal(((await server.ask('LIST', 'auth/token/accessors')).data as { keys: string[] }).keys.length, 1)
})

const revocations: readonly (readonly [
  rule: string,
  ask: string,
  body: Body,
  status: number,
  texts: readonly string[],
  warnings: readonly string[],
])[] = [
  ['an unknown token is revoked already', 'revoke', { token: 'hvs.x' }, 204, [], []],
  ['no token is none', 'revoke', {}, 400, ['missing token ID'], []],
  ['an unknown accessor warns', 'revoke-accessor', { accessor: 'x' }, 200, [], ['No token found with this accessor']],
  ['no accessor is none', 'revoke-accessor', {}, 400, ['1 error occurred:\n\t* missing accessor\n\n'], []],
  ['an unknown token has no orphans', 'revoke-orphan', { token: 'hvs.x' }, 400, ['token to revoke not found'], []],
]
for (const [rule, ask, body, status, texts, warnings] of revocations) {
  test(`token revoke: ${rule}`, async () => {
    await using server = await open()
    const answer = await server.ask('POST', `auth/token/${ask}`, { body })
    assert.deepEqual([answer.status, answer.errors], [status, texts])
    if (warnings.length > 0) assert.deepEqual((answer.body as Made).warnings, warnings)
  })
}

test('token lookup: a bad token in the body is "bad token", a bad accessor is invalid, and self ignores the body', async () => {
  await using server = await open()
  const bad = await server.ask('POST', 'auth/token/lookup', { body: { token: 'hvs.x' } })
  assert.deepEqual([bad.status, bad.errors], [403, ['bad token']])
  const accessor = await server.ask('POST', 'auth/token/lookup-accessor', { body: { accessor: '../x' } })
  assert.deepEqual([accessor.status, accessor.errors], [400, ['1 error occurred:\n\t* invalid accessor\n\n']])
  const self = await server.ask('POST', 'auth/token/lookup-self', { body: { token: 'hvs.x' } })
  assert.partialDeepStrictEqual(self.data, { id: server.rootToken })
  for (const method of ['GET', 'POST'])
    assert.partialDeepStrictEqual((await server.ask(method, 'auth/token/lookup')).data, { id: server.rootToken })
})

test('token lookup: by accessor everything but the token', async () => {
  await using server = await open()
  const { accessor, client_token } = await make(server, { policies: ['default'] })
  const answer = await server.ask('POST', 'auth/token/lookup-accessor', { body: { accessor } })
  assert.partialDeepStrictEqual(answer.data, { id: '', accessor, policies: ['default'], ttl: 3_600 })
  assert.ok(!answer.text.includes(client_token))
})

test('token accessors: their list takes sudo, and each of them finds its token', async () => {
  await using server = await open()
  const weak = await server.tokenWith('path "auth/token/accessors*" { capabilities = ["list"] }')
  assert.equal((await server.ask('LIST', 'auth/token/accessors', { token: weak })).status, 403)
  const strong = await server.tokenWith('path "auth/token/accessors*" { capabilities = ["list", "sudo"] }')
  const { data } = await server.ask('LIST', 'auth/token/accessors', { token: strong })
  const { keys } = data as { keys: string[] }
  assert.equal(keys.length, 3)
  for (const accessor of keys) {
    assert.equal((await server.ask('POST', 'auth/token/lookup-accessor', { body: { accessor } })).status, 200)
  }
})

test('token accessors: pages cover all of them, each once', async () => {
  await using server = await open()
  for (let n = 0; n < 7; n++) await make(server, { policies: ['default'] })
  const all = ((await server.ask('LIST', 'auth/token/accessors')).data as { keys: string[] }).keys
  const paged: string[] = []
  for (let more = true; more; ) {
    const query = `limit=3${paged.length > 0 ? `&after=${paged.at(-1)}` : ''}`
    const answer = await server.ask('LIST', `auth/token/accessors?${query}`)
    more = answer.status === 200
    if (more) paged.push(...(answer.data as { keys: string[] }).keys)
    assert.ok(paged.length <= all.length)
  }
  assert.deepEqual(paged, all)
})

test('token cidrs: a token is good from where it is bound to, its children too, orphans from anywhere', async () => {
  await using server = await open()
  await server.ask('PUT', 'sys/policies/acl/m', {
    body: { policy: 'path "auth/token/*" { capabilities = ["update", "sudo"] }' },
  })
  const body = { name: 'bob', token_policies: 'm', token_bound_cidrs: ['10.0.0.0/8', '2001:db8::/32'] }
  const login = ((await server.ask('POST', 'auth/doorman/login', { token: null, body })).body as Made).auth
  const from = async (token: string, address: string): Promise<number> =>
    (await server.ask('GET', 'auth/token/lookup-self', { token, address })).status
  const make2 = async (more: Body): Promise<string> =>
    (
      (await server.ask('POST', 'auth/token/create', { token: login.client_token, address: '10.1.2.3', body: more }))
        .body as Made
    ).auth.client_token
  for (const token of [login.client_token, await make2({})]) {
    assert.deepEqual([await from(token, '10.9.9.9'), await from(token, '2001:db8::1')], [200, 200])
    assert.deepEqual(
      [await from(token, '11.0.0.1'), await from(token, '2001:db9::1'), await from(token, '::ffff:11.0.0.1')],
      [403, 403, 403],
    )
  }
  assert.equal(await from(await make2({ no_parent: true }), '11.0.0.1'), 200)
  const refused = await server.ask('GET', 'auth/token/lookup-self', { token: login.client_token, address: '11.0.0.1' })
  assert.deepEqual(refused.errors, [invalidTokenText])
})

test('token cidrs: a use from the wrong place costs none', async () => {
  await using server = await open()
  const body = { name: 'bob', token_bound_cidrs: '10.0.0.0/8', token_num_uses: 1 }
  const { client_token: token } = ((await server.ask('POST', 'auth/doorman/login', { token: null, body })).body as Made)
    .auth
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token, address: '11.0.0.1' })).status, 403)
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token, address: '10.0.0.1' })).status, 200)
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token, address: '10.0.0.1' })).status, 403)
})

test("login: the token has default, the method's name and path, an entity, and no parent", async () => {
  await using server = await open()
  const login = async (body: Body): Promise<Record<string, Json>> =>
    (
      (await server.ask('POST', 'auth/doorman/login', { token: null, body })).body as unknown as {
        auth: Record<string, Json>
      }
    ).auth
  const first = await login({ name: 'bob', token_policies: ['App'] })
  assert.partialDeepStrictEqual(first, {
    token_policies: ['app', 'default'],
    orphan: true,
    metadata: { who: 'bob' },
    renewable: true,
    lease_duration: 3_600,
  })
  const { data } = await server.ask('GET', 'auth/token/lookup-self', { token: first['client_token'] as string })
  assert.partialDeepStrictEqual(data, { display_name: 'doorman-bob', path: 'auth/doorman/login', meta: { who: 'bob' } })
  assert.equal((await login({ name: 'bob' }))['entity_id'], first['entity_id'])
  assert.notEqual((await login({ name: 'eve' }))['entity_id'], first['entity_id'])
  assert.deepEqual(
    (await login({ name: 'bob', token_policies: 'app', token_no_default_policy: true }))['token_policies'],
    ['app'],
  )
  assert.equal((await login({}))['entity_id'], '')
})

test('login: a mount made anew has other users, and its old tokens are dead', async () => {
  await using server = await open()
  const login = async (): Promise<Auth & { entity_id: string }> =>
    (
      (await server.ask('POST', 'auth/doorman/login', { token: null, body: { name: 'bob' } })).body as unknown as {
        auth: Auth & { entity_id: string }
      }
    ).auth
  const before = await login()
  assert.equal((await server.ask('DELETE', 'sys/auth/doorman')).status, 204)
  assert.ok(!(await isAlive(server, before.client_token)))
  await server.ask('POST', 'sys/auth/doorman', { body: { type: 'doorman' } })
  assert.notEqual((await login()).entity_id, before.entity_id)
})

test('login: first logins of one name at once find one entity', async () => {
  await using server = await open()
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => server.ask('POST', 'auth/doorman/login', { token: null, body: { name: 'bob' } })),
  )
  const ids = new Set(answers.map(one => (one.body as unknown as { auth: { entity_id: string } }).auth.entity_id))
  assert.equal(ids.size, 1)
})

async function accessorOf(server: TestServer, token: string): Promise<string> {
  return ((await server.ask('GET', 'auth/token/lookup-self', { token })).data as { accessor: string }).accessor
}

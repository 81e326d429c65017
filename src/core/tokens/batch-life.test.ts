import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { Audited } from '#core/testing/audited.ts'
import { doorman } from '#core/testing/engines.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { invalidTokenText } from '#protocol/fault.ts'

type Body = Readonly<Record<string, Json>>
type Auth = { client_token: string; accessor: string; lease_duration: number } & Record<string, unknown>

const settings = { defaultLeaseTtl: seconds(3_600), maxLeaseTtl: seconds(36_000) }
const rules = 'path "*" { capabilities = ["create", "read", "update", "delete", "list"] }'
const authOf = (answer: TestAnswer): Auth => {
  assert.equal(answer.status, 200, answer.errors.join())
  return (answer.body as unknown as { auth: Auth }).auth
}

/** A server with a mount of accounts and one of logins. `plain` may everything but sudo. */
async function open() {
  const outside = new Outside()
  const server = await openTestMount(accountsEngine(outside), { others: [doorman()], settings })
  await server.ask('POST', 'sys/auth/doorman', { body: { type: 'doorman' } })
  const plain = await server.tokenWith(rules, { ttl: '2h' })
  return {
    server,
    outside,
    plain,
    make: async (body: Body = {}, token?: string): Promise<Auth> =>
      authOf(
        await server.ask('POST', 'auth/token/create', { body: { type: 'batch', ...body }, ...(token && { token }) }),
      ),
    logIn: (body: Body): Promise<TestAnswer> => server.ask('POST', 'auth/doorman/login', { token: null, body }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

const statusOf = async (server: TestServer, token: string): Promise<number> =>
  (await server.ask('GET', 'auth/token/lookup-self', { token })).status

test('batch token create: the answer has no accessor, nothing to renew, and the type', async () => {
  await using run = await open()
  const { client_token: token, ...auth } = await run.make({ policies: ['app'], ttl: '1h', meta: { team: 'web' } })
  assert.match(token, /^hvb\.[A-Za-z0-9_-]{150,}$/)
  assert.deepEqual(auth, {
    accessor: '',
    policies: ['app', 'default'],
    token_policies: ['app', 'default'],
    metadata: { team: 'web' },
    lease_duration: 3600,
    renewable: false,
    entity_id: '',
    token_type: 'batch',
    orphan: false,
    mfa_requirement: null,
    num_uses: 0,
  })
})

test('batch token lookup: every member, by itself and by another', async () => {
  await using run = await open()
  const { client_token: token } = await run.make({ policies: ['default'], ttl: '1h', display_name: 'ci' })
  await run.server.world.clock.advance(60_000)
  const want = {
    accessor: '',
    creation_time: 1_767_225_600,
    creation_ttl: 3600,
    display_name: 'token-ci',
    entity_id: '',
    expire_time: '2026-01-01T01:00:00Z',
    explicit_max_ttl: 0,
    id: token,
    issue_time: '2026-01-01T00:00:00Z',
    meta: null,
    num_uses: 0,
    orphan: false,
    path: 'auth/token/create',
    policies: ['default'],
    renewable: false,
    ttl: 3540,
    type: 'batch',
  }
  assert.deepEqual((await run.server.ask('GET', 'auth/token/lookup-self', { token })).data, want)
  assert.deepEqual((await run.server.ask('POST', 'auth/token/lookup', { body: { token } })).data, want)
})

const refused: readonly (readonly [rule: string, body: Body, text: string])[] = [
  ['with an explicit maximum', { explicit_max_ttl: '1h' }, 'batch tokens cannot have "explicit_max_ttl" set'],
  ['of limited uses', { num_uses: 3 }, 'batch tokens cannot have "num_uses" set'],
  ['with a period', { period: '1h' }, 'batch tokens cannot have "period" set'],
  ['with an id', { id: 'mine' }, 'batch tokens cannot have "id" set'],
  ['as root', { policies: ['root'] }, 'batch tokens cannot be root tokens'],
  ['as root, by none asked of root', {}, 'batch tokens cannot be root tokens'],
]
for (const [rule, body, text] of refused) {
  test(`batch token create: ${rule} is refused`, async () => {
    await using run = await open()
    const answer = await run.server.ask('POST', 'auth/token/create', { body: { type: 'batch', ...body } })
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
    assert.doesNotMatch(answer.text, /hvb\./)
  })
}

test('batch token create: zeros of what it can not have are as good as nothing: the command line sends them', async () => {
  await using run = await open()
  const body = { policies: ['default'], explicit_max_ttl: '0s', period: '0s', num_uses: 0, ttl: '0s' }
  assert.equal((await run.make(body)).lease_duration, 3600)
})

const forbidden: readonly (readonly [rule: string, method: string, path: string, text: string])[] = [
  ['makes no tokens', 'POST', 'auth/token/create', 'batch tokens cannot create more tokens'],
  ['is not renewed', 'POST', 'auth/token/renew-self', 'batch tokens cannot be renewed'],
  ['is not revoked', 'POST', 'auth/token/revoke-self', 'batch tokens cannot be revoked'],
  ['has no cubbyhole', 'GET', 'cubbyhole/x', 'cubbyhole operations are only supported by "service" type tokens'],
]
for (const [rule, method, path, text] of forbidden) {
  test(`batch token: it ${rule}`, async () => {
    await using run = await open()
    const { client_token: token } = await run.make({}, run.plain)
    const answer = await run.server.ask(method, path, { token })
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
    assert.equal(await statusOf(run.server, token), 200)
  })
}

for (const [path, text] of [
  ['renew', 'batch tokens cannot be renewed'],
  ['revoke', 'batch tokens cannot be revoked'],
  ['revoke-orphan', 'batch tokens cannot be revoked'],
] as const) {
  test(`batch token: ${path} of one by root is refused, of one that ended it is as of an unknown token`, async () => {
    await using run = await open()
    const { client_token: token } = await run.make({ policies: ['default'], ttl: '10m' })
    const first = await run.server.ask('POST', `auth/token/${path}`, { body: { token } })
    assert.deepEqual([first.status, first.errors], [400, [text]])
    await run.server.world.clock.advance(600_000)
    const then = await run.server.ask('POST', `auth/token/${path}`, { body: { token } })
    const unknown = await run.server.ask('POST', `auth/token/${path}`, { body: { token: 'hvb.x' } })
    assert.deepEqual([then.status, then.errors], [unknown.status, unknown.errors])
  })
}

test('batch token: no accessor finds it, and none lists it', async () => {
  await using run = await open()
  const before = (await run.server.ask('LIST', 'auth/token/accessors')).data
  await run.make({ policies: ['default'] })
  assert.deepEqual((await run.server.ask('LIST', 'auth/token/accessors')).data, before)
  for (const path of ['lookup-accessor', 'renew-accessor', 'revoke-accessor']) {
    const answer = await run.server.ask('POST', `auth/token/${path}`, { body: { accessor: '' } })
    assert.deepEqual(answer.errors, ['1 error occurred:\n\t* missing accessor\n\n'])
  }
})

test('batch token: it ends at its time, used or not, and works across restarts until then', async () => {
  await using run = await open()
  const { client_token: token } = await run.make({ policies: ['default'], ttl: '10m', no_parent: true })
  await run.server.restart()
  assert.equal(await statusOf(run.server, token), 200)
  await run.server.world.clock.advance(599_999)
  assert.equal(await statusOf(run.server, token), 200)
  await run.server.world.clock.advance(1)
  const dead = await run.server.ask('GET', 'auth/token/lookup-self', { token })
  assert.deepEqual([dead.status, dead.errors], [403, [invalidTokenText]])
  await run.server.restart()
  assert.equal(await statusOf(run.server, token), 403)
})

test('batch token: a child dies with its parent, an orphan does not', async () => {
  await using run = await open()
  const child = await run.make({}, run.plain)
  const orphan = authOf(
    await run.server.ask('POST', 'auth/token/create-orphan', { body: { type: 'batch' }, token: run.plain }),
  )
  assert.deepEqual([child['orphan'], orphan['orphan']], [false, true])
  assert.equal(await statusOf(run.server, child.client_token), 200)
  await run.server.ask('POST', 'auth/token/revoke', { body: { token: run.plain } })
  assert.equal(await statusOf(run.server, child.client_token), 403)
  assert.equal(await statusOf(run.server, orphan.client_token), 200)
})

test('batch token: a child of one named by hand is not the child of another of that name', async () => {
  await using run = await open()
  await run.server.ask('POST', 'auth/token/create', { body: { id: 'by-hand', policies: ['test-0'] } })
  const child = await run.make({}, 'by-hand')
  await run.server.ask('POST', 'auth/token/revoke', { body: { token: 'by-hand' } })
  await run.server.ask('POST', 'auth/token/create', { body: { id: 'by-hand', policies: ['test-0'] } })
  assert.equal(await statusOf(run.server, child.client_token), 403)
})

test('batch token: it is held to the addresses of its parent', async () => {
  await using run = await open()
  const role = { token_bound_cidrs: '192.0.2.0/24', allowed_policies: 'default', orphan: true, renewable: false }
  await run.server.ask('POST', 'auth/token/roles/near', { body: { ...role, token_type: 'batch' } })
  const { client_token: token } = authOf(await run.server.ask('POST', 'auth/token/create/near', { body: {} }))
  const from = async (address: string) =>
    (await run.server.ask('GET', 'auth/token/lookup-self', { token, address })).status
  assert.deepEqual([await from('192.0.2.9'), await from('198.51.100.1')], [200, 403])
})

const logins: readonly (readonly [mount: string, role: string, want: 'service' | 'batch'])[] = [
  ['default-service', 'default', 'service'],
  ['default-service', 'service', 'service'],
  ['default-service', 'batch', 'batch'],
  ['default-batch', 'default', 'batch'],
  ['default-batch', 'service', 'service'],
  ['default-batch', 'batch', 'batch'],
  ['service', 'batch', 'service'],
  ['service', 'default', 'service'],
  ['batch', 'service', 'batch'],
  ['batch', 'default', 'batch'],
]
for (const [mount, role, want] of logins) {
  test(`batch token login: on a mount tuned to ${mount} a role of type ${role} gives a ${want} token`, async () => {
    await using run = await open()
    await run.server.ask('POST', 'sys/auth/doorman/tune', { body: { token_type: mount } })
    const auth = authOf(await run.logIn({ name: 'bob', token_type: role }))
    assert.equal(auth['token_type'], want)
    assert.match(auth.client_token, want === 'batch' ? /^hvb\./ : /^hvs\./)
  })
}

test('batch token login: it has the entity, its policies at each time, and the method as its path', async () => {
  await using run = await open()
  const auth = authOf(await run.logIn({ name: 'bob', token_type: 'batch', token_ttl: '20m' }))
  assert.deepEqual([auth['orphan'], auth.accessor, auth.lease_duration, auth['renewable']], [true, '', 1200, false])
  const again = authOf(await run.logIn({ name: 'bob' }))
  assert.equal(auth['entity_id'], again['entity_id'])
  const seen = (await run.server.ask('GET', 'auth/token/lookup-self', { token: auth.client_token })).data
  assert.partialDeepStrictEqual(seen, {
    path: 'auth/doorman/login',
    display_name: 'doorman-bob',
    meta: { who: 'bob' },
    entity_id: auth['entity_id'] as string,
  })
})

test('batch token login: it ends with the mount that gave it', async () => {
  await using run = await open()
  const { client_token: token } = authOf(await run.logIn({ name: 'bob', token_type: 'batch' }))
  assert.equal(await statusOf(run.server, token), 200)
  await run.server.ask('DELETE', 'sys/auth/doorman')
  assert.equal(await statusOf(run.server, token), 403)
  await run.server.ask('POST', 'sys/auth/doorman', { body: { type: 'doorman' } })
  assert.equal(await statusOf(run.server, token), 403)
})

test('batch token login: where a mount forces batch, a role of limited uses is refused, not made unlimited', async () => {
  await using run = await open()
  await run.server.ask('POST', 'sys/auth/doorman/tune', { body: { token_type: 'batch' } })
  const answer = await run.logIn({ name: 'bob', token_num_uses: 3 })
  assert.deepEqual([answer.status, answer.errors], [400, ['batch tokens cannot have "num_uses" set']])
})

test('batch token lease: it ends with the token, whatever its own time, and no renewal passes that', async () => {
  await using run = await open()
  const { client_token: token } = await run.make({ policies: ['test-0'], ttl: '10m', no_parent: true })
  const made = await run.server.ask('GET', 'accounts/creds/app?ttl=3600', { token })
  const { lease_id: id, lease_duration: ttl } = made.body as { lease_id: string; lease_duration: number }
  assert.equal(ttl, 600)
  await run.server.world.clock.advance(300_000)
  const renewed = await run.server.ask('POST', 'sys/leases/renew', { body: { lease_id: id, increment: 3600 }, token })
  assert.equal((renewed.body as { lease_duration: number }).lease_duration, 300)
  assert.equal(run.outside.accounts.size, 1)
  await run.server.world.clock.advance(300_000)
  assert.equal(run.outside.accounts.size, 0)
})

test('batch token lease: of a child it ends with the parent, also after a restart', async () => {
  await using run = await open()
  const { client_token: token } = await run.make({ ttl: '1h' }, run.plain)
  assert.equal((await run.server.ask('GET', 'accounts/creds/app?ttl=60', { token })).status, 200)
  await run.server.restart()
  await run.server.ask('POST', 'auth/token/revoke', { body: { token: run.plain } })
  await run.server.world.clock.advance(1)
  assert.equal(run.outside.accounts.size, 0)
})

test('batch token lease: one whose parent ends while the secret is made is refused, and leaves nothing', async () => {
  await using run = await open()
  const { client_token: token } = await run.make({ ttl: '1h' }, run.plain)
  const hang = Promise.withResolvers<void>()
  run.outside.hangs.set('create', hang.promise)
  const asked = run.server.ask('GET', 'accounts/creds/app?ttl=60', { token })
  await run.server.ask('POST', 'auth/token/revoke', { body: { token: run.plain } })
  hang.resolve()
  assert.deepEqual([(await asked).status, (await asked).errors], [403, ['permission denied']])
  await run.server.world.clock.advance(1_000)
  assert.equal(run.outside.accounts.size, 0)
})

test('batch token audit: it is hashed as all are, has its type and no accessor', async () => {
  await using audited = await Audited.open()
  const { server } = audited
  const body = { policies: ['default'], type: 'batch', ttl: '1h' }
  const { client_token: token } = authOf(await server.ask('POST', 'auth/token/create', { body }))
  assert.equal(await statusOf(server, token), 200)
  const hash = await audited.hash(token)
  const made = audited.lines.find(line => line.type === 'response' && line.request['path'] === 'auth/token/create')
  const used = audited.lines.find(line => line.request['path'] === 'auth/token/lookup-self')
  for (const auth of [made?.response?.['auth'], used?.auth] as Record<string, unknown>[]) {
    assert.partialDeepStrictEqual(auth, { client_token: hash, token_type: 'batch', token_ttl: 3600 })
    assert.ok(!('accessor' in auth))
  }
  assert.ok(!('client_token_accessor' in used!.request))
  assert.ok(!audited.text.includes(token))
})

test('batch token quotas: its login takes no place of a lease count, and none gets in where it is full', async () => {
  await using run = await open()
  const quota = { max_leases: 2, path: 'auth/doorman' }
  await run.server.ask('POST', 'sys/quotas/lease-count/door', { body: quota })
  for (let i = 0; i < 5; i++) authOf(await run.logIn({ name: 'bob', token_type: 'batch' }))
  const counter = async () =>
    ((await run.server.ask('GET', 'sys/quotas/lease-count/door')).data as { counter: number }).counter
  assert.equal(await counter(), 0)
  for (let i = 0; i < 2; i++) authOf(await run.logIn({ name: 'bob' }))
  assert.deepEqual([await counter(), (await run.logIn({ name: 'bob', token_type: 'batch' })).status], [2, 429])
})

test('batch token: nothing of it is written, and making one takes no commit', async () => {
  await using run = await open()
  const keys = async (): Promise<number> =>
    (await run.server.house.keeper.scanKeys({ from: 'root/', to: 'root0' }, { limit: 1_000 })).keys.length
  const before = await keys()
  const { client_token: token } = await run.make({ policies: ['default'] })
  assert.equal(await statusOf(run.server, token), 200)
  assert.equal(await keys(), before)
})

test('batch token: once seen it is answered at once, as a service token is', async () => {
  await using run = await open()
  const { client_token: token } = await run.make({}, run.plain)
  assert.equal(await statusOf(run.server, token), 200)
  assert.ok(!(run.server.house.tokens.find(token) instanceof Promise))
})

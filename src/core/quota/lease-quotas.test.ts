import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { doorman } from '#core/testing/engines.ts'
import { openTestMount, type TestAnswer } from '#core/testing/mount.ts'

const rules = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'

/** A server with a mount of accounts and a method that lets everybody in; `token` isn't root. */
async function open() {
  const outside = new Outside()
  const server = await openTestMount(accountsEngine(outside), { others: [doorman()] })
  await server.ask('POST', 'sys/auth/doorman', { body: { type: 'doorman' } })
  const token = await server.tokenWith(rules)
  const put = (name: string, body: Json) => server.ask('POST', `sys/quotas/lease-count/${name}`, { body })
  return {
    outside,
    server,
    put,
    take: (role = 'app', as = token): Promise<TestAnswer> =>
      server.ask('GET', `accounts/creds/${role}?ttl=60`, { token: as }),
    logIn: (role = ''): Promise<TestAnswer> =>
      server.ask('POST', 'auth/doorman/login', { body: { role, token_ttl: '1h' }, token: null }),
    async counter(name: string): Promise<Json> {
      return ((await server.ask('GET', `sys/quotas/lease-count/${name}`)).data as { counter: Json }).counter
    },
    async fill(name: string, body: { [key: string]: Json }): Promise<void> {
      const { status, errors } = await put(name, body)
      assert.deepEqual([status, errors], [204, []])
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

const idOf = (answer: TestAnswer): string => (answer.body as { lease_id: string }).lease_id

test('quotas/lease-count: written, read, listed and deleted as there', async () => {
  await using run = await open()
  await run.fill('all', { max_leases: 1000, name: 'all' })
  await run.fill('db', { max_leases: 10, path: 'accounts', role: 'app' })
  assert.deepEqual((await run.server.ask('GET', 'sys/quotas/lease-count/db')).data, {
    type: 'lease-count',
    name: 'db',
    path: 'accounts/',
    role: 'app',
    max_leases: 10,
    counter: 0,
    inheritable: false,
  })
  const all = (await run.server.ask('GET', 'sys/quotas/lease-count/all')).data as Record<string, Json>
  assert.deepEqual([all['path'], all['inheritable'], all['counter']], ['', true, 1])
  assert.deepEqual((await run.server.ask('LIST', 'sys/quotas/lease-count')).data, { keys: ['all', 'db'] })
  assert.equal((await run.server.ask('DELETE', 'sys/quotas/lease-count/db')).status, 204)
  assert.equal((await run.server.ask('DELETE', 'sys/quotas/lease-count/db')).status, 204)
  assert.equal((await run.server.ask('GET', 'sys/quotas/lease-count/db')).status, 404)
  await run.server.ask('DELETE', 'sys/quotas/lease-count/all')
  assert.equal((await run.server.ask('LIST', 'sys/quotas/lease-count')).status, 404)
})

test('quotas/lease-count: what a write leaves out stays as it is', async () => {
  await using run = await open()
  await run.fill('db', { max_leases: 10, path: 'accounts/creds/app', role: 'app' })
  await run.fill('db', { max_leases: 20 })
  const {
    path,
    role,
    max_leases: max,
  } = (await run.server.ask('GET', 'sys/quotas/lease-count/db')).data as Record<string, Json>
  assert.deepEqual([path, role, max], ['accounts/creds/app', 'app', 20])
})

for (const [what, body, text] of [
  ['without max_leases', { path: 'accounts' }, "'max_leases' is invalid"],
  ['with max_leases 0', { max_leases: 0 }, "'max_leases' is invalid"],
  ['on no mount', { max_leases: 1, path: 'nowhere/x' }, 'invalid mount path "nowhere/x"'],
  ['with a star within', { max_leases: 1, path: 'accounts/*/app' }, 'invalid mount path "accounts/*/app"'],
  ['with a role and no mount', { max_leases: 1, role: 'app' }, "'role' needs a 'path' that names a mount with roles"],
  [
    'with a role of a mount that has none',
    { max_leases: 1, path: 'auth/token', role: 'app' },
    "'role' needs a 'path' that names a mount with roles",
  ],
  [
    'inherited from a mount',
    { max_leases: 1, path: 'accounts', inheritable: true },
    "'inheritable' is only for a quota whose 'path' is a namespace",
  ],
  [
    'about what another is about',
    { max_leases: 1, path: '/auth/doorman/' },
    'quota rule with similar properties exists under the name "doors"',
  ],
] as const) {
  test(`quotas/lease-count: refused is one ${what}`, async () => {
    await using run = await open()
    await run.fill('doors', { max_leases: 5, path: 'auth/doorman' })
    const { status, errors } = await run.put('x', body)
    assert.deepEqual([status, errors], [400, [text]])
  })
}

test('lease quota: what is beyond it is refused with 429 before the engine runs, until one ends', async () => {
  await using run = await open()
  await run.fill('db', { max_leases: 2, path: 'accounts' })
  const [first] = [await run.take(), await run.take()]
  const refused = await run.take()
  const text = 'request path "accounts/creds/app": lease count quota exceeded'
  assert.deepEqual([refused.status, refused.errors], [429, [text]])
  assert.equal(run.outside.accounts.size, 2)
  await run.server.ask('PUT', 'sys/leases/revoke', { body: { lease_id: idOf(first!) } })
  assert.equal((await run.take()).status, 200)
  assert.equal(await run.counter('db'), 2)
})

test('lease quota: of many that ask at once just those get one that there is room for', async () => {
  await using run = await open()
  await run.fill('db', { max_leases: 5, path: 'accounts' })
  const answers = await Promise.all(Array.from({ length: 20 }, () => run.take()))
  assert.equal(answers.filter(({ status }) => status === 200).length, 5)
  assert.equal(run.outside.accounts.size, 5)
  assert.equal(await run.counter('db'), 5)
})

test('lease quota: the place of a request that fails is free again', async () => {
  await using run = await open()
  await run.fill('db', { max_leases: 1, path: 'accounts' })
  run.outside.failures.set('create', new Error('down'))
  for (let i = 0; i < 3; i++) assert.equal((await run.take()).status, 500)
  run.outside.failures.clear()
  assert.equal((await run.take()).status, 200)
})

test('lease quota: root tokens are counted and never refused', async () => {
  await using run = await open()
  await run.fill('db', { max_leases: 1, path: 'accounts' })
  for (let i = 0; i < 3; i++) assert.equal((await run.take('app', run.server.rootToken)).status, 200)
  assert.equal(await run.counter('db'), 3)
  assert.equal((await run.take()).status, 429)
})

test('lease quota: it counts what was there before, and the same after a restart', async () => {
  await using run = await open()
  for (let i = 0; i < 250; i++) await run.take('app', run.server.rootToken)
  await run.fill('db', { max_leases: 251, path: 'accounts' })
  assert.equal(await run.counter('db'), 250)
  await run.server.restart()
  const answers = await Promise.all([run.take(), run.take()])
  assert.deepEqual(
    answers.map(({ status }) => status).sort((a, b) => a - b),
    [200, 429],
  )
  await run.server.ask('PUT', 'sys/leases/revoke-prefix/accounts')
  assert.equal(await run.counter('db'), 0)
})

test('lease quota: it counts down when leases run out, and stays where one can not be revoked', async () => {
  await using run = await open()
  await run.fill('db', { max_leases: 9, path: 'accounts' })
  await run.take()
  const kept = await run.take()
  const entry = (await run.server.house.leases.get(idOf(kept)))!
  run.outside.refuses = (entry.internal as { name: string }).name
  await run.server.world.clock.advance(61_000)
  assert.equal(await run.counter('db'), 1)
})

test('lease quota: two that revoke one lease at once count it down once', async () => {
  await using run = await open()
  await run.fill('db', { max_leases: 9, path: 'accounts' })
  const id = idOf(await run.take())
  await run.take()
  const revoke = () => run.server.ask('PUT', 'sys/leases/revoke', { body: { lease_id: id } })
  const answers = await Promise.all([revoke(), revoke(), revoke()])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [204, 204, 204],
  )
  assert.equal(await run.counter('db'), 1)
})

test('lease quota: by path and by role, the most exact one counts', async () => {
  await using run = await open()
  await run.fill('db', { max_leases: 9, path: 'accounts' })
  await run.fill('app', { max_leases: 1, path: 'accounts/creds/app' })
  await run.fill('b', { max_leases: 1, path: 'accounts/creds/b*' })
  await run.fill('admins', { max_leases: 1, path: 'accounts', role: 'admin' })
  const status = async (role: string) => [(await run.take(role)).status, (await run.take(role)).status]
  assert.deepEqual(await status('app'), [200, 429])
  assert.deepEqual(await status('batch'), [200, 429])
  assert.deepEqual(await status('admin'), [200, 429])
  assert.deepEqual(await status('other'), [200, 200])
  await run.server.restart()
  assert.deepEqual(
    [await run.counter('db'), await run.counter('app'), await run.counter('b'), await run.counter('admins')],
    [2, 1, 1, 1],
  )
})

test('lease quota: logins count where the path is an auth mount, by role too, and free their place when they end', async () => {
  await using run = await open()
  await run.fill('door', { max_leases: 2, path: 'auth/doorman' })
  await run.fill('vip', { max_leases: 1, path: 'auth/doorman', role: 'vip' })
  const statuses = [await run.logIn('vip'), await run.logIn('vip'), await run.logIn(), await run.logIn()]
  assert.deepEqual(
    statuses.map(({ status }) => status),
    [200, 429, 200, 200],
  )
  const refused = await run.logIn()
  assert.deepEqual(refused.errors, ['request path "auth/doorman/login": lease count quota exceeded'])
  await run.server.restart()
  assert.deepEqual([await run.counter('door'), await run.counter('vip')], [2, 1])
  await run.server.world.clock.advance(3_601_000)
  assert.deepEqual([await run.counter('door'), await run.counter('vip')], [0, 0])
  assert.equal((await run.logIn('vip')).status, 200)
})

test('lease quota: tokens that tokens make count, the children of one that ends too', async () => {
  await using run = await open()
  await run.fill('tokens', { max_leases: 4, path: 'auth/token' })
  const make = async (token: string) =>
    run.server.ask('POST', 'auth/token/create', { token, body: { policies: ['default'], ttl: '1h' } })
  const parent = await run.server.tokenWith(rules)
  const statuses = [await make(parent), await make(parent), await make(parent)].map(({ status }) => status)
  assert.deepEqual(statuses, [200, 200, 429])
  assert.equal(await run.counter('tokens'), 4)
  await run.server.ask('POST', 'auth/token/revoke', { body: { token: parent } })
  assert.equal(await run.counter('tokens'), 1)
})

test('lease quota: from 80 % on the answer warns', async () => {
  await using run = await open()
  await run.fill('db', { max_leases: 5, path: 'accounts' })
  const warnings: Json[] = []
  for (let i = 0; i < 5; i++) warnings.push((await run.take()).body!['warnings' as never])
  assert.deepEqual(warnings, [
    null,
    null,
    null,
    ['lease count quota "db" is 80 % used: 4 of 5 leases'],
    ['lease count quota "db" is 100 % used: 5 of 5 leases'],
  ])
})

test('lease quota: without one nothing is counted', async () => {
  await using run = await open()
  await run.fill('db', { max_leases: 1, path: 'accounts' })
  await run.server.ask('DELETE', 'sys/quotas/lease-count/db')
  const { quotas } = run.server.house
  assert.equal(quotas.charge({ mount: 'accounts/', path: 'accounts/creds/app', role: null, isRoot: false }), null)
  assert.deepEqual([(await run.take()).status, (await run.take()).status, quotas.census.of('db')], [200, 200, 0])
})

test('lease quota: it goes with its mount', async () => {
  await using run = await open()
  await run.fill('db', { max_leases: 1, path: 'accounts' })
  await run.server.ask('DELETE', 'sys/mounts/accounts')
  assert.equal((await run.server.ask('GET', 'sys/quotas/lease-count/db')).status, 404)
})

test('lease quota: a refusal has its reason for who may ask', async () => {
  await using run = await open()
  await run.fill('db', { max_leases: 1, path: 'accounts' })
  await run.take()
  const refused = await run.take()
  const body = { request_id: refused.headers.get('x-coffer-request-id')! }
  const { data } = await run.server.ask('POST', 'sys/policies/explain', { body })
  const { reason } = data as { reason: string }
  assert.equal(reason, 'the lease-count quota "db" allows 1 leases, and there are 1')
})

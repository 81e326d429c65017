import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { type Porter, passwordMethod } from '#core/testing/engines.ts'
import { openTestMount, type TestServer, type TestServerOptions } from '#core/testing/mount.ts'

type Options = Omit<TestServerOptions, 'catalog'> & { type?: string; porter?: Porter }

/** A server with a method that asks for passwords, and what the tests ask of it. */
async function open({ type = 'userpass', porter, ...options }: Options = {}) {
  const server = await openTestMount(passwordMethod(type, porter), { path: 'door/', ...options })
  return {
    server,
    async logIn(name: string, password: string): Promise<number> {
      const body = { password }
      return (await server.ask('POST', `auth/door/login/${name}`, { body, token: null })).status
    },
    tune: (config: Json) => server.ask('POST', 'sys/auth/door/tune', { body: { user_lockout_config: config } }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

type Run = Awaited<ReturnType<typeof open>>

async function fail(run: Run, name: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) assert.equal(await run.logIn(name, 'wrong'), 400)
}

async function accessorOf(server: TestServer, path = 'door/'): Promise<string> {
  return ((await server.ask('GET', 'sys/auth')).data as { [path: string]: { accessor: string } })[path]!.accessor
}

async function total(server: TestServer): Promise<Json> {
  return ((await server.ask('GET', 'sys/locked-users')).data as { total: Json }).total
}

test('lockout: five refused logins lock a name for a quarter of an hour, the right password too', async () => {
  await using run = await open()
  await fail(run, 'bob', 5)
  const answer = await run.server.ask('POST', 'auth/door/login/bob', { body: { password: 'right' }, token: null })
  assert.deepEqual([answer.status, answer.body], [403, { errors: ['permission denied'] }])
  assert.equal(await run.logIn('eve', 'right'), 200)
  await run.server.world.clock.advance(899_000)
  assert.equal(await run.logIn('bob', 'right'), 403)
  await run.server.world.clock.advance(1_000)
  assert.equal(await run.logIn('bob', 'right'), 200)
})

test('lockout: refusals by the lock make it no longer', async () => {
  await using run = await open()
  await fail(run, 'bob', 5)
  await run.server.world.clock.advance(600_000)
  for (let i = 0; i < 10; i++) assert.equal(await run.logIn('bob', 'wrong'), 403)
  await run.server.world.clock.advance(300_000)
  assert.equal(await run.logIn('bob', 'right'), 200)
})

test('lockout: the right password in between counts anew, and so does time', async () => {
  await using run = await open()
  await fail(run, 'bob', 4)
  assert.equal(await run.logIn('bob', 'right'), 200)
  await fail(run, 'bob', 4)
  await run.server.world.clock.advance(900_000)
  await fail(run, 'bob', 4)
  assert.equal(await run.logIn('bob', 'right'), 200)
})

test('lockout: what else refuses a login neither counts nor counts anew', async () => {
  await using run = await open()
  await fail(run, 'bob', 4)
  for (let i = 0; i < 5; i++) assert.equal(await run.logIn('bob', 'away'), 403)
  assert.equal(await total(run.server), 0)
  await fail(run, 'bob', 1)
  assert.equal(await total(run.server), 1)
})

test('lockout: a lock survives a restart, the count before it does not', async () => {
  await using run = await open()
  await fail(run, 'bob', 5)
  await fail(run, 'eve', 4)
  await run.server.restart()
  assert.equal(await run.logIn('bob', 'right'), 403)
  await fail(run, 'eve', 4)
  assert.equal(await run.logIn('eve', 'right'), 200)
  await run.server.world.clock.advance(900_000)
  assert.equal(await run.logIn('bob', 'right'), 200)
})

test('lockout: it counts over all spellings that are one name', async () => {
  await using run = await open()
  for (const name of ['bob', 'BOB', 'Bob', 'boB', 'bOb']) await fail(run, name, 1)
  assert.equal(await run.logIn('bob', 'right'), 403)
})

test('lockout: of fifty guesses at once no more than five are told right or wrong', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const porter = { pause: promise }
  await using run = await open({ porter })
  const guesses = Array.from({ length: 50 }, (_, i) => run.logIn('bob', i === 20 ? 'right' : 'wrong'))
  resolve()
  const answers = await Promise.all(guesses)
  assert.deepEqual(
    answers.map(status => (status === 400 ? 'told' : status)),
    [...Array<string>(5).fill('told'), ...Array<number>(45).fill(403)],
  )
})

test('lockout: a name that nobody has is refused like one of somebody, and kept nowhere', async () => {
  await using run = await open()
  await fail(run, 'nobody', 5)
  assert.equal(await run.logIn('nobody', 'right'), 403)
  assert.equal(await total(run.server), 0)
  await run.server.world.clock.advance(900_000)
  assert.equal(await run.logIn('nobody', 'right'), 400)
})

test('lockout: names that nobody has push out the count of no user', async () => {
  await using run = await open()
  await fail(run, 'bob', 4)
  for (let i = 0; i < 10_100; i++) await run.logIn(`nobody${i}`, 'wrong')
  await fail(run, 'bob', 1)
  assert.equal(await run.logIn('bob', 'right'), 403)
})

test('lockout: mounts count apart', async () => {
  await using run = await open()
  await run.server.ask('POST', 'sys/auth/other', { body: { type: 'userpass' } })
  await fail(run, 'bob', 5)
  const other = await run.server.ask('POST', 'auth/other/login/bob', { body: { password: 'right' }, token: null })
  assert.equal(other.status, 200)
})

test('lockout: methods of other types lock nobody out', async () => {
  await using run = await open({ type: 'jwt' })
  await fail(run, 'bob', 20)
  assert.equal(await run.logIn('bob', 'right'), 200)
})

test('lockout: who is locked out is listed, and unlocked by mount and name', async () => {
  await using run = await open()
  await run.server.ask('POST', 'sys/auth/other', { body: { type: 'userpass' } })
  const accessor = await accessorOf(run.server)
  assert.deepEqual((await run.server.ask('GET', 'sys/locked-users')).data, { by_namespace: [], total: 0 })
  for (const name of ['bob', 'a/b c@example.org']) await fail(run, encodeURI(name), 5)
  const listed = {
    by_namespace: [
      {
        namespace_id: 'root',
        namespace_path: '',
        counts: 2,
        mount_accessors: [{ mount_accessor: accessor, counts: 2, alias_identifiers: ['a/b c@example.org', 'bob'] }],
      },
    ],
    total: 2,
  }
  assert.deepEqual((await run.server.ask('GET', 'sys/locked-users')).data, listed)
  assert.deepEqual((await run.server.ask('GET', `sys/locked-users?mount_accessor=${accessor}`)).data, listed)
  for (const other of [await accessorOf(run.server, 'other/'), 'nowhere', '../a%00']) {
    const none = { by_namespace: [], total: 0 }
    assert.deepEqual((await run.server.ask('GET', `sys/locked-users?mount_accessor=${other}`)).data, none)
  }
  for (const name of ['bob', 'a/b%20c@example.org', 'never-locked']) {
    assert.equal((await run.server.ask('POST', `sys/locked-users/${accessor}/unlock/${name}`)).status, 204)
  }
  assert.equal(await total(run.server), 0)
  assert.equal(await run.logIn('bob', 'right'), 200)
})

test('lockout: listing and unlocking take a policy', async () => {
  await using run = await open()
  const token = await run.server.tokenWith('path "sys/locked-users/a/unlock/b" { capabilities = ["update"] }')
  const ask = async (method: string, path: string) => (await run.server.ask(method, path, { token })).status
  assert.equal(await ask('GET', 'sys/locked-users'), 403)
  assert.equal(await ask('POST', 'sys/locked-users/a/unlock/c'), 403)
  assert.equal(await ask('POST', 'sys/locked-users/a/unlock/b'), 204)
})

test('lockout: the end of a lock takes its entry out of the store, a disabled mount all of its', async () => {
  await using run = await open()
  const { server } = run
  const kept = async (): Promise<number> =>
    (await server.house.keeper.scanKeys({ from: 'root/lockout/', to: 'root/lockout0' } as never, { limit: 10 })).keys
      .length
  await fail(run, 'bob', 5)
  assert.equal(await kept(), 1)
  await server.world.clock.advance(901_000)
  assert.equal(await kept(), 0)
  await fail(run, 'bob', 5)
  await server.ask('DELETE', 'sys/auth/door')
  assert.equal(await kept(), 0)
})

test('lockout: who may ask is told that a login was refused by a lock', async () => {
  await using run = await open()
  await fail(run, 'bob', 5)
  const refused = await run.server.ask('POST', 'auth/door/login/bob', { body: { password: 'right' }, token: null })
  const body = { request_id: refused.headers.get('x-coffer-request-id') ?? '' }
  const { reason } = (await run.server.ask('POST', 'sys/policies/explain', { body })).data as { reason: string }
  assert.match(reason, /^the name is locked out until \d{4}-.*Z after too many refused logins$/)
})

test('lockout: tuning a mount changes what is sent, and is shown', async () => {
  await using run = await open()
  const shown = async (path: string): Promise<Json> =>
    ((await run.server.ask('GET', path)).data as { [key: string]: Json })['user_lockout_config'] ?? null
  assert.equal(await shown('sys/auth/door/tune'), null)
  assert.equal((await run.tune({ lockout_threshold: '2', lockout_duration: '1m' })).status, 204)
  assert.equal((await run.tune({ lockout_counter_reset_duration: 30 })).status, 204)
  const want = {
    lockout_threshold: 2,
    lockout_duration: 60,
    lockout_counter_reset_duration: 30,
    lockout_disable: false,
  }
  assert.deepEqual(await shown('sys/auth/door/tune'), want)
  const { config } = (await run.server.ask('GET', 'sys/auth/door')).data as { config: { [key: string]: Json } }
  assert.deepEqual(config['user_lockout_config'], want)
  await fail(run, 'bob', 1)
  await run.server.world.clock.advance(30_000)
  await fail(run, 'bob', 2)
  assert.equal(await run.logIn('bob', 'right'), 403)
  await run.server.world.clock.advance(60_000)
  assert.equal(await run.logIn('bob', 'right'), 200)
})

test('lockout: turned off for a mount nobody is locked out, nor stays so', async () => {
  await using run = await open()
  await fail(run, 'bob', 5)
  assert.equal(await run.logIn('bob', 'right'), 403)
  await run.tune({ lockout_disable: true })
  assert.equal(await run.logIn('bob', 'right'), 200)
  await fail(run, 'bob', 10)
  await run.server.restart()
  await fail(run, 'bob', 10)
})

test('lockout: a mount may be enabled with its own rule', async () => {
  await using run = await open()
  const config = { user_lockout_config: { lockout_threshold: 1 } }
  await run.server.ask('POST', 'sys/auth/strict', { body: { type: 'userpass', config } })
  const log = async (password: string): Promise<number> =>
    (await run.server.ask('POST', 'auth/strict/login/bob', { body: { password }, token: null })).status
  assert.deepEqual([await log('wrong'), await log('right')], [400, 403])
})

for (const [what, type, config, text] of [
  [
    'for another type',
    'jwt',
    { lockout_threshold: 1 },
    'tuning of user lockout configuration for auth type "jwt" not allowed',
  ],
  ['that is none', 'userpass', 'x', 'unable to convert given user lockout config information'],
  [
    'with a threshold that is none',
    'userpass',
    { lockout_threshold: '-1' },
    'unable to parse user lockout threshold: strconv.ParseUint: parsing "-1": invalid syntax',
  ],
  ['with a time that is none', 'userpass', { lockout_duration: 'x' }, 'unable to parse user lockout duration: "x"'],
  [
    'with half a truth',
    'userpass',
    { lockout_disable: 'perhaps' },
    'unable to convert given user lockout config information',
  ],
] as const) {
  test(`lockout: refused is a user_lockout_config ${what}`, async () => {
    await using run = await open({ type })
    const { status, errors } = await run.tune(config)
    assert.deepEqual([status, errors], [400, [text]])
  })
}

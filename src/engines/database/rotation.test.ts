import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'
import { databaseWith } from './engine.ts'
import { ScriptedDatabase } from './scripted-driver.ts'

type Values = Readonly<Record<string, Json>>

async function open() {
  const database = new ScriptedDatabase()
  database.accounts.set('steady', { credential: { kind: 'password', password: 'old' }, expiresAt: 0 })
  const server = await openTestMount(databaseWith([database.driver()]))
  const config = { plugin_name: 'scripted-database-plugin', username: 'root', password: 'first', allowed_roles: '*' }
  await post(server, 'config/app', config)
  return { server, database }
}

const ask = (server: TestServer, path: string, body: Values = {}) => server.ask('POST', `database/${path}`, { body })

async function post(server: TestServer, path: string, body: Values = {}): Promise<void> {
  const { status, errors } = await ask(server, path, body)
  assert.ok(status < 300, `${path}: ${errors.join()}`)
}

const steady = { db_name: 'app', username: 'steady' }
const hourly = { ...steady, rotation_period: '1h' }

type Shown = { username: string; password: string; ttl: number; last_vault_rotation: string } & Record<string, Json>
const creds = async (server: TestServer): Promise<Shown> =>
  (await server.ask('GET', 'database/static-creds/s')).data as Shown

test('static role: rotated when it is made, and each time its period is over', async () => {
  const { server, database } = await open()
  await using _ = server
  await post(server, 'static-roles/s', hourly)
  const first = await creds(server)
  assert.deepEqual(
    [first.username, first.ttl, first['rotation_period'], first.last_vault_rotation],
    ['steady', 3600, 3600, '2026-01-01T00:00:00Z'],
  )
  assert.equal(database.passwordOf('steady'), first.password)
  await server.world.clock.advance(3_600_000)
  const second = await creds(server)
  assert.notEqual(second.password, first.password)
  assert.equal(database.passwordOf('steady'), second.password)
  assert.equal(second.ttl, 3600)
})

test('static role: by a schedule, with its window shown', async () => {
  const { server, database } = await open()
  await using _ = server
  await post(server, 'static-roles/s', { ...steady, rotation_schedule: '30 4 * * *', rotation_window: '2h' })
  const first = await creds(server)
  assert.deepEqual([first.ttl, first['rotation_schedule'], first['rotation_window']], [16_200, '30 4 * * *', 7200])
  assert.equal('rotation_period' in first, false)
  await server.world.clock.advance(16_200_000)
  assert.notEqual(database.passwordOf('steady'), first.password)
  assert.equal((await creds(server)).ttl, 86_400)
})

test('static role: what could not be rotated within its window waits for the next time', async () => {
  const { server, database } = await open()
  await using _ = server
  await post(server, 'static-roles/s', { ...steady, rotation_schedule: '0 4 * * *', rotation_window: '1h' })
  const { password } = await creds(server)
  await server.node.seal()
  await server.world.clock.advance(6 * 3_600_000)
  await server.restart()
  await server.world.clock.advance(1_000)
  assert.equal(database.passwordOf('steady'), password)
  assert.equal((await creds(server)).ttl, 22 * 3600 - 1)
  await server.world.clock.advance(22 * 3_600_000)
  assert.notEqual(database.passwordOf('steady'), password)
})

test('static role: without a window it is made up for when the server is back', async () => {
  const { server, database } = await open()
  await using _ = server
  await post(server, 'static-roles/s', { ...steady, rotation_schedule: '0 4 * * *' })
  const { password } = await creds(server)
  await server.node.seal()
  await server.world.clock.advance(6 * 3_600_000)
  await server.restart()
  await server.world.clock.advance(1_000)
  assert.notEqual(database.passwordOf('steady'), password)
})

test('static role: not rotated when it is made, if asked so', async () => {
  const { server, database } = await open()
  await using _ = server
  await post(server, 'static-roles/s', { ...hourly, skip_import_rotation: true })
  assert.equal(database.passwordOf('steady'), 'old')
  const { status, errors } = await server.ask('GET', 'database/static-creds/s')
  assert.equal(status, 500)
  assert.match(errors.join(), /first rotation of the static role is not done/)
  await server.world.clock.advance(3_600_000)
  assert.equal(database.passwordOf('steady'), (await creds(server)).password)
})

test('static role: one whose account the database refuses is not kept', async () => {
  const { server, database } = await open()
  await using _ = server
  database.accounts.delete('steady')
  const { status, errors } = await ask(server, 'static-roles/s', hourly)
  assert.equal(status, 500)
  assert.match(errors.join(), /error setting credentials: no account steady/)
  assert.equal((await server.ask('GET', 'database/static-roles/s')).status, 404)
})

for (const [rule, failure] of [
  ['was set', { kind: 'unknown', done: true }],
  ['was not set', { kind: 'unknown' }],
] as const) {
  test(`static role: made without an answer, it is kept, and its password known in the end, when it ${rule}`, async () => {
    const { server, database } = await open()
    await using _ = server
    database.failures.set('setCredential', failure)
    assert.equal((await ask(server, 'static-roles/s', hourly)).status, 500)
    await server.restart()
    await server.world.clock.advance(11_000)
    assert.equal((await creds(server)).password, database.passwordOf('steady'))
  })
}

test('static role: a rotation that fails is tried again, also after a restart, with the password that was meant', async () => {
  const { server, database } = await open()
  await using _ = server
  await post(server, 'static-roles/s', hourly)
  const before = await creds(server)
  database.failures.set('setCredential', { kind: 'unknown', done: true })
  const { status, errors } = await ask(server, 'rotate-role/s')
  assert.equal(status, 500)
  assert.match(errors.join(), /unable to finish rotating credentials; retries will continue in the background/)
  const meant = database.passwordOf('steady')
  assert.notEqual(meant, before.password)
  database.failures.set('setCredential', { kind: 'unreachable' })
  await server.restart()
  await server.world.clock.advance(60_000)
  assert.equal((await creds(server)).password, meant)
})

test('static role: many rotations at once come one after the other', async () => {
  const { server, database } = await open()
  await using _ = server
  await post(server, 'static-roles/s', hourly)
  await Promise.all(Array.from({ length: 8 }, () => post(server, 'rotate-role/s')))
  assert.equal(database.told('setCredential').length, 9)
  assert.equal((await creds(server)).password, database.passwordOf('steady'))
})

test('static role: another period counts from the last rotation; the statements are the role’s', async () => {
  const { server, database } = await open()
  await using _ = server
  await post(server, 'static-roles/s', hourly)
  await server.world.clock.advance(600_000)
  await post(server, 'static-roles/s', { rotation_period: '20m', rotation_statements: ['SET'] })
  assert.equal((await creds(server)).ttl, 600)
  await server.world.clock.advance(600_000)
  assert.deepEqual(database.told('setCredential').at(-1), { username: 'steady', statements: ['SET'] })
})

test('static role: deleted, it rotates no more, and the account keeps its password', async () => {
  const { server, database } = await open()
  await using _ = server
  await post(server, 'static-roles/s', hourly)
  const { password } = await creds(server)
  assert.equal((await server.ask('DELETE', 'database/static-roles/s')).status, 204)
  await server.world.clock.advance(7_200_000)
  assert.equal(database.passwordOf('steady'), password)
})

test('static role: an RSA key is rotated as a password is', async () => {
  const { server, database } = await open()
  await using _ = server
  await post(server, 'static-roles/s', { ...hourly, credential_type: 'rsa_private_key', rotation_statements: ['SET'] })
  assert.match(((await creds(server)) as Record<string, string>)['rsa_private_key']!, /^-----BEGIN PRIVATE KEY-----/)
  assert.equal(database.accounts.get('steady')?.credential.kind, 'rsa_private_key')
})

for (const [rule, body, text] of [
  [
    'both a period and a schedule',
    { rotation_period: 60, rotation_schedule: '* * * * *' },
    /^mutually exclusive fields/,
  ],
  ['a schedule that is none', { rotation_schedule: 'soon' }, /^could not parse rotation_schedule: expected 5 fields/],
  ['a window without a schedule', { rotation_period: 60, rotation_window: 3600 }, /^rotation_window is invalid with/],
  [
    'a window that is too short',
    { rotation_schedule: '* * * * *', rotation_window: 60 },
    /^rotation_window must be 3600 seconds/,
  ],
  ['a certificate', { rotation_period: 60, credential_type: 'client_certificate' }, /credential/],
] as const) {
  test(`static role: refused is ${rule}`, async () => {
    const { server } = await open()
    await using _ = server
    const { status, errors } = await ask(server, 'static-roles/s', { ...steady, ...body })
    assert.equal(status, 400)
    assert.match(errors.join(), text)
  })
}

test('rotate-root: the new password is used from then on, and shown nowhere', async () => {
  const { server, database } = await open()
  await using _ = server
  await post(server, 'rotate-root/app')
  const password = database.passwordOf('root')!
  assert.notEqual(password, 'first')
  await post(server, 'reset/app')
  const shown = await server.ask('GET', 'database/config/app')
  assert.equal(shown.text.includes(password), false)
})

for (const [rule, failure] of [
  ['it was set', { kind: 'unknown', done: true }],
  ['it was not', { kind: 'unknown' }],
  ['it was refused', { kind: 'refused' }],
] as const) {
  test(`rotate-root: without success the server still gets in, whether or not: ${rule}`, async () => {
    const { server, database } = await open()
    await using _ = server
    database.failures.set('setCredential', failure)
    assert.equal((await ask(server, 'rotate-root/app')).status, 500)
    await post(server, 'reset/app')
    await server.restart()
    await post(server, 'reset/app')
    await post(server, 'rotate-root/app')
    await post(server, 'reset/app')
    assert.notEqual(database.passwordOf('root'), 'first')
  })
}

test('rotate-root: a password that comes into force late is found out while the connection is in use', async () => {
  const { server, database } = await open()
  await using _ = server
  let meant: string | null = null
  database.failures.set('setCredential', { kind: 'unknown', done: true })
  assert.equal((await ask(server, 'rotate-root/app')).status, 500)
  meant = database.passwordOf('root')
  database.accounts.set('root', { credential: { kind: 'password', password: 'first' }, expiresAt: 0 })
  await post(server, 'static-roles/s', hourly)
  // Now the statement that nobody waited for is done.
  database.accounts.set('root', { credential: { kind: 'password', password: meant! }, expiresAt: 0 })
  await post(server, 'rotate-role/s')
  assert.equal((await creds(server)).password, database.passwordOf('steady'))
})

for (const [rule, config, text] of [
  ['a username', { username: '' }, /unable to rotate root credentials: no username in configuration/],
  ['a password', { password: '' }, /unable to rotate root credentials: no password in configuration/],
] as const) {
  test(`rotate-root: refused without ${rule}`, async () => {
    const { server } = await open()
    await using _ = server
    await post(server, 'config/app', { ...config, verify_connection: false })
    const { status, errors } = await ask(server, 'rotate-root/app')
    assert.equal(status, 500)
    assert.match(errors.join(), text)
  })
}

test('database: subscribers are told what happens, without credentials', async () => {
  const { server, database } = await open()
  await using _ = server
  using heard = server.house.events.subscribe({ types: 'database/*', filter: null })!
  using watched = server.house.notices.subscribe(new Set(['database/static-creds/s', 'database/creds/app']))
  await post(server, 'roles/app', { db_name: 'app', creation_statements: ['MAKE'] })
  await post(server, 'roles/app', { default_ttl: '1h' })
  await server.ask('GET', 'database/creds/app')
  await post(server, 'static-roles/s', hourly)
  await post(server, 'rotate-role/s')
  await post(server, 'rotate-root/app')
  await post(server, 'reset/app')
  await server.ask('DELETE', 'database/static-roles/s')
  await server.ask('DELETE', 'database/roles/app')
  await server.ask('DELETE', 'database/config/app')
  heard[Symbol.dispose]()
  watched[Symbol.dispose]()
  const signal = new AbortController().signal
  const seen: Json[] = []
  const secrets = [database.passwordOf('steady')!, database.passwordOf('root')!]
  for await (const { type, metadata } of heard.read(signal)) {
    seen.push([type, metadata['data_path']!, metadata['name']!, metadata['modified']!])
    for (const secret of secrets) assert.ok(!JSON.stringify(metadata).includes(secret))
  }
  assert.deepEqual(seen, [
    ['database/role-create', 'database/roles/app', 'app', 'true'],
    ['database/role-update', 'database/roles/app', 'app', 'true'],
    ['database/creds-create', 'database/creds/app', 'app', 'false'],
    ['database/static-role-create', 'database/static-roles/s', 's', 'true'],
    ['database/static-creds-create', 'database/static-creds/s', 's', 'true'],
    ['database/rotate', 'database/static-creds/s', 's', 'true'],
    ['database/root-rotate', 'database/config/app', 'app', 'true'],
    ['database/reset', 'database/reset/app', 'app', 'false'],
    ['database/static-role-delete', 'database/static-roles/s', 's', 'true'],
    ['database/role-delete', 'database/roles/app', 'app', 'true'],
    ['database/config-delete', 'database/config/app', 'app', 'true'],
  ])
  // Another account for somebody else changes nothing for who has one; a rotation does.
  const notices: Json[] = []
  for await (const notice of watched.read(signal)) notices.push('path' in notice ? notice.path : null)
  assert.deepEqual(notices, ['database/static-creds/s', 'database/static-creds/s'])
})

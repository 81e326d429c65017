import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'
import { databaseWith } from './engine.ts'
import { ScriptedDatabase } from './scripted-driver.ts'

// What the engine makes of a database, whichever it is.

type Record_ = Readonly<Record<string, Json>>

async function open(role: Record_ = {}, config: Record_ = {}) {
  const database = new ScriptedDatabase()
  const server = await openTestMount(databaseWith([database.driver()]))
  await post(server, 'database/config/app', {
    plugin_name: 'scripted-database-plugin',
    username: 'root',
    password: 'first',
    allowed_roles: '*',
    ...config,
  })
  await post(server, 'database/roles/app', {
    db_name: 'app',
    creation_statements: ['MAKE'],
    default_ttl: '1h',
    max_ttl: '3h',
    ...role,
  })
  return { server, database }
}

async function post(server: TestServer, path: string, body: Record_ = {}): Promise<void> {
  const { status, errors } = await server.ask('POST', path, { body })
  assert.ok(status < 300, `${path}: ${errors.join()}`)
}

type Made = { lease_id: string; data: Record<string, string> }
async function make(server: TestServer): Promise<Made> {
  const answer = await server.ask('GET', 'database/creds/app')
  assert.equal(answer.status, 200, answer.errors.join())
  return answer.body as Made
}

const refusal = async (server: TestServer): Promise<string> => {
  const { status, errors } = await server.ask('GET', 'database/creds/app')
  assert.equal(status, 500)
  return errors.join()
}

const made = (database: ScriptedDatabase): string[] => [...database.accounts.keys()].filter(name => name !== 'root')
const start = 1_767_225_600_000

test('database creds: the database is told an end five seconds after the lease’s', async () => {
  const { server, database } = await open()
  await using _ = server
  const { data } = await make(server)
  const [told] = database.told('createUser') as { username: string; expiresAt: number; statements: string[] }[]
  assert.deepEqual(told, { username: data['username'], expiresAt: start + 3_605_000, statements: ['MAKE'] })
})

test('database creds: renewed, the end is told anew, up to the maximum from the issue', async () => {
  const { server, database } = await open({ renew_statements: ['LONGER'] })
  await using _ = server
  const { lease_id } = await make(server)
  await server.world.clock.advance(1_800_000)
  await post(server, 'sys/leases/renew', { lease_id, increment: 7200 })
  await server.world.clock.advance(5_400_000)
  await post(server, 'sys/leases/renew', { lease_id, increment: 7200 })
  const ends = (database.told('extendUser') as { expiresAt: number; statements: string[] }[]).map(
    ({ expiresAt, statements }) => [(expiresAt - start) / 1000, ...statements],
  )
  assert.deepEqual(ends, [
    [9_005, 'LONGER'],
    [10_805, 'LONGER'],
  ])
})

test('database creds: without its role a lease can not be renewed, and is revoked by the statements of its time', async () => {
  const { server, database } = await open({ revocation_statements: ['GONE'] })
  await using _ = server
  const { lease_id } = await make(server)
  await server.ask('DELETE', 'database/roles/app')
  const { status, errors } = await server.ask('POST', 'sys/leases/renew', { body: { lease_id } })
  assert.equal(status, 400)
  assert.match(errors.join(), /error during renew: could not find role with name "app"/)
  await post(server, 'sys/leases/revoke', { lease_id, sync: true })
  assert.deepEqual((database.told('dropUser')[0] as { statements: string[] }).statements, ['GONE'])
})

test('database creds: a lease is revoked by the statements that its role has now', async () => {
  const { server, database } = await open({ revocation_statements: ['OLD'] })
  await using _ = server
  const { lease_id } = await make(server)
  await post(server, 'database/roles/app', { revocation_statements: ['NEW'] })
  await post(server, 'sys/leases/revoke', { lease_id, sync: true })
  assert.deepEqual((database.told('dropUser')[0] as { statements: string[] }).statements, ['NEW'])
})

test('database creds: an account of that name that is there is neither changed nor removed', async () => {
  const { server, database } = await open({}, { username_template: 'fixed' })
  await using _ = server
  database.accounts.set('fixed', { credential: { kind: 'password', password: 'theirs' }, expiresAt: 0 })
  assert.match(await refusal(server), /exists already/)
  await server.world.clock.advance(400_000)
  assert.equal(database.passwordOf('fixed'), 'theirs')
  assert.deepEqual(database.told('dropUser'), [])
})

test('database creds: one that came to be meanwhile is left alone, too', async () => {
  const { server, database } = await open()
  await using _ = server
  database.failures.set('createUser', { kind: 'exists' })
  await refusal(server)
  await server.world.clock.advance(400_000)
  assert.deepEqual(database.told('dropUser'), [])
})

test('database creds: two at once with one name are not both made', async () => {
  const { server, database } = await open({}, { username_template: 'fixed' })
  await using _ = server
  const both = await Promise.all([1, 2].map(() => server.ask('GET', 'database/creds/app')))
  assert.deepEqual(
    both.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 500],
  )
  assert.deepEqual(made(database), ['fixed'])
})

test('database creds: what a refused creation left is removed at once, by the rollback statements', async () => {
  const { server, database } = await open({ rollback_statements: ['BACK'], revocation_statements: ['GONE'] })
  await using _ = server
  database.failures.set('createUser', { kind: 'refused', done: true })
  assert.match(await refusal(server), /createUser failed as it was told/)
  assert.deepEqual(made(database), [])
  assert.deepEqual((database.told('dropUser')[0] as { statements: string[] }).statements, ['BACK'])
  await server.world.clock.advance(400_000)
  assert.equal(database.told('dropUser').length, 1)
})

for (const [rule, failure] of [
  ['was done', { kind: 'unknown', done: true }],
  ['was not done', { kind: 'unknown' }],
] as const) {
  test(`database creds: a creation without an answer is undone in time, when it ${rule}`, async () => {
    const { server, database } = await open()
    await using _ = server
    database.failures.set('createUser', failure)
    await refusal(server)
    assert.equal(database.told('dropUser').length, 0)
    await server.world.clock.advance(400_000)
    assert.equal(database.told('dropUser').length, 1)
    assert.deepEqual(made(database), [])
  })
}

test('database creds: undoing waits until the database is back', async () => {
  const { server, database } = await open()
  await using _ = server
  database.failures.set('createUser', { kind: 'unknown', done: true })
  await refusal(server)
  database.failures.set('dropUser', { kind: 'unreachable' })
  await server.restart()
  await server.world.clock.advance(30_000)
  assert.deepEqual(made(database), [])
})

for (const [rule, template, text] of [
  ['longer than the database takes', '{{ random 33 }}', /more than 32 bytes/],
  ['empty', '{{ "" }}', /empty name/],
  ['not to be made', '{{ .Nobody }}', /failed to generate username/],
] as const) {
  test(`database creds: refused is a name that is ${rule}`, async () => {
    const { server, database } = await open({}, { username_template: template })
    await using _ = server
    assert.match(await refusal(server), text)
    assert.deepEqual(database.told('createUser'), [])
  })
}

test('database creds: a role without creation statements makes nothing', async () => {
  const { server } = await open({ creation_statements: [] })
  await using _ = server
  assert.match(await refusal(server), /empty creation statements/)
})

test('database creds: an RSA key, whose public half the database gets', async () => {
  const { server, database } = await open({
    credential_type: 'rsa_private_key',
    credential_config: { key_bits: '2048' },
  })
  await using _ = server
  const { data } = await make(server)
  assert.deepEqual(Object.keys(data).sort(), ['rsa_private_key', 'username'])
  const { credential } = database.accounts.get(data['username']!)!
  const key = createPrivateKey(data['rsa_private_key']!)
  assert.equal(key.asymmetricKeyDetails?.modulusLength, 2048)
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'pem' })
  assert.deepEqual(credential, { kind: 'rsa_private_key', publicKey })
})

test('database creds: a credential that the database does not know is refused', async () => {
  const { server } = await open()
  await using _ = server
  const options = { common_name_template: 'x', ca_cert: 'x', ca_private_key: 'x' }
  const role = { credential_type: 'client_certificate', credential_config: options }
  const { errors } = await server.ask('POST', 'database/roles/app', { body: role })
  assert.match(errors.join(), /^credential_config validation failed: /)
})

for (const [rule, type, options, text] of [
  ['unknown type', 'magic', {}, /^invalid credential_type "magic"$/],
  ['unknown option', 'password', { key_bits: '2048' }, /validation failed: password has no option "key_bits"/],
  ['few bits', 'rsa_private_key', { key_bits: '1024' }, /invalid key_bits "1024"/],
  ['other format', 'rsa_private_key', { format: 'pkcs1' }, /invalid format "pkcs1"/],
  ['certificate without a name', 'client_certificate', {}, /missing common_name_template/],
  [
    'certificate without an authority',
    'client_certificate',
    { common_name_template: 'x' },
    /ca_cert and ca_private_key/,
  ],
  ['key type', 'client_certificate', { common_name_template: 'x', key_type: 'dsa' }, /invalid key_type "dsa"/],
] as const) {
  test(`database roles: refused is a credential_config with ${rule}`, async () => {
    const { server } = await open()
    await using _ = server
    const { status, errors } = await server.ask('POST', 'database/roles/app', {
      body: { credential_type: type, credential_config: options },
    })
    assert.equal(status, 400)
    assert.match(errors.join(), text)
  })
}

test('database creds: passwords are made by the policy of the role, else of the connection', async () => {
  const { server } = await open({}, { password_policy: 'letters' })
  await using _ = server
  const policy = (charset: string) => ({ policy: `length = 24 rule "charset" { charset = "${charset}" }` })
  await post(server, 'sys/policies/password/letters', policy('ab'))
  await post(server, 'sys/policies/password/digits', policy('01'))
  assert.match((await make(server)).data['password']!, /^[ab]{24}$/)
  await post(server, 'database/roles/app', { credential_config: { password_policy: 'digits' } })
  assert.match((await make(server)).data['password']!, /^[01]{24}$/)
})

test('database config: a change closes what is open, and reset opens anew', async () => {
  const { server, database } = await open()
  await using _ = server
  await make(server)
  const before = database.closed
  await post(server, 'database/config/app', { allowed_roles: 'app' })
  // One to try it out, and the one that was open.
  assert.equal(database.closed, before + 2)
  await make(server)
  await post(server, 'database/reset/app')
  assert.equal(database.closed, before + 3)
})

test('database config: rotation of the root password by a schedule is refused by name', async () => {
  const { server } = await open()
  await using _ = server
  const { status, errors } = await server.ask('POST', 'database/config/app', { body: { rotation_period: '24h' } })
  assert.equal(status, 400)
  assert.match(errors.join(), /"rotation_period" is not supported/)
})

test('database: a mount that is disabled takes its accounts with it', async () => {
  const { server, database } = await open()
  await using _ = server
  await make(server)
  await make(server)
  assert.equal((await server.ask('DELETE', 'sys/mounts/database')).status, 204)
  assert.deepEqual(made(database), [])
})

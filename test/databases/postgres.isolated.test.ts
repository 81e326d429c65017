import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from 'pg'
import { systemClock } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'
import { openTestServer, type TestServer } from '#core/testing/mount.ts'
import { database } from '#engines/database/engine.ts'
import { type Postgres, postgresUnable, startPostgres } from './postgres.ts'

// The database engine against PostgreSQL itself: accounts that exist, and that don't any more.

const skip = postgresUnable()
let postgres: Postgres
before(async () => {
  if (skip === false) postgres = await startPostgres()
})
after(() => postgres?.[Symbol.asyncDispose]())

const creation = [
  `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';`,
  'GRANT USAGE ON SCHEMA public TO "{{name}}"; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{{name}}";',
]

async function open(config: Record<string, Json> = {}): Promise<TestServer> {
  const server = await openTestServer({ catalog: [database], start: systemClock.now() })
  await done(server, 'sys/mounts/database', { type: 'database' })
  await done(server, 'database/config/app', {
    plugin_name: 'postgresql-database-plugin',
    connection_url: postgres.templatedUrl,
    username: postgres.username,
    password: postgres.password,
    allowed_roles: 'app*,steady',
    ...config,
  })
  await done(server, 'database/roles/app', {
    db_name: 'app',
    creation_statements: creation,
    default_ttl: '1h',
    max_ttl: '2h',
  })
  return server
}

async function done(server: TestServer, path: string, body: Record<string, Json> = {}): Promise<void> {
  const { status, errors } = await server.ask('POST', path, { body })
  assert.ok(status < 300, `${path}: ${status} ${errors.join()}`)
}

type Creds = { lease_id: string; lease_duration: number; data: { username: string; password: string } }
async function creds(server: TestServer, role = 'app'): Promise<Creds> {
  const answer = await server.ask('GET', `database/creds/${role}`)
  assert.equal(answer.status, 200, answer.errors.join())
  return answer.body as Creds
}

/** What a query gives, or the code of the error. */
async function query(text: string, login?: { username: string; password: string }): Promise<unknown[] | string> {
  const client = new Client(
    login === undefined
      ? postgres.url
      : {
          host: '127.0.0.1',
          port: postgres.port,
          database: 'postgres',
          user: login.username,
          password: login.password,
        },
  )
  try {
    await client.connect()
    return (await client.query({ text, rowMode: 'array' })).rows.flat()
  } catch (error) {
    return String((error as { code?: string }).code)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** What the server does by itself waits for the database, whose time is the real one. */
async function until(server: TestServer, isSo: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await isSo()); tries++) {
    assert.ok(tries < 500, 'it did not come to be in five seconds')
    await server.world.clock.advance(20)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

const roles = (): Promise<unknown> => query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%' ORDER BY 1")

test('postgresql: an account that works, until its lease is revoked', { skip }, async () => {
  await using server = await open()
  const { lease_id, lease_duration, data } = await creds(server)
  assert.match(lease_id, /^database\/creds\/app\//)
  assert.match(data.username, /^v-root-app-[A-Za-z0-9]{20}-\d+$/)
  assert.equal(lease_duration, 3600)
  assert.deepEqual(await query('SELECT current_user', data), [data.username])
  await done(server, 'sys/leases/revoke', { lease_id })
  assert.equal(await query('SELECT 1', data), '28P01')
  assert.deepEqual(await roles(), [])
})

test('postgresql: two reads are two accounts, and both are gone with the token', { skip }, async () => {
  await using server = await open()
  const token = await server.tokenWith('path "database/creds/app" { capabilities = ["read"] }')
  for (let i = 0; i < 2; i++) await server.ask('GET', 'database/creds/app', { token })
  assert.equal(((await roles()) as unknown[]).length, 2)
  await done(server, 'auth/token/revoke', { token })
  await until(server, async () => ((await roles()) as unknown[]).length === 0)
  assert.deepEqual(await roles(), [])
})

test('postgresql: renewed, the database itself lets the account live longer', { skip }, async () => {
  await using server = await open()
  const { lease_id, data } = await creds(server)
  const until = () =>
    query(`SELECT extract(epoch FROM rolvaliduntil)::int FROM pg_roles WHERE rolname = '${data.username}'`)
  const [first] = (await until()) as number[]
  await server.world.clock.advance(1_800_000)
  await done(server, 'sys/leases/renew', { lease_id, increment: 3600 })
  const [second] = (await until()) as number[]
  assert.equal(second! - first!, 1800)
  await done(server, 'sys/leases/revoke', { lease_id })
})

test('postgresql: an account with rights in several schemas is dropped by the default statements', {
  skip,
}, async () => {
  await using server = await open()
  await query('CREATE SCHEMA IF NOT EXISTS "other Schema"; CREATE TABLE IF NOT EXISTS "other Schema".t (a int)')
  const grants = [
    ...creation,
    'GRANT USAGE ON SCHEMA "other Schema" TO "{{name}}"; GRANT SELECT ON "other Schema".t TO "{{name}}"',
  ]
  await done(server, 'database/roles/app', { db_name: 'app', creation_statements: grants })
  const { lease_id, data } = await creds(server)
  assert.deepEqual(await query('SELECT count(*)::int FROM "other Schema".t', data), [0])
  await done(server, 'sys/leases/revoke', { lease_id })
  assert.deepEqual(await roles(), [])
})

test('postgresql: a creation that fails half way leaves nothing, says why, and makes no lease', { skip }, async () => {
  await using server = await open()
  const broken = [...creation, 'GRANT no_such_role TO "{{name}}"']
  await done(server, 'database/roles/app', { db_name: 'app', creation_statements: broken })
  const { status, errors } = await server.ask('GET', 'database/creds/app')
  assert.equal(status, 500)
  assert.match(errors.join(), /role "no_such_role" does not exist/)
  assert.deepEqual(await roles(), [])
  assert.equal((await server.ask('LIST', 'sys/leases/lookup/database')).status, 404)
  // The intent is undone in its time, and finds nothing to do.
  await server.world.clock.advance(200_000)
})

test('postgresql: an account that was made when the process ended is removed after the restart', { skip }, async () => {
  await using server = await open()
  const { view } = server.house.mounts.at('database/')!
  const username = 'v-root-app-orphan'
  await view.intend('user', { username, role: 'app', dbName: 'app', revocation: [] })
  await query(`CREATE ROLE "${username}" LOGIN PASSWORD 'x'`)
  await server.restart()
  await until(server, async () => ((await roles()) as unknown[]).length === 0)
  assert.deepEqual(await roles(), [])
})

test('postgresql: rotate-root gives the account a password that nobody knows, and the server goes on', {
  skip,
}, async () => {
  await query("DROP ROLE IF EXISTS manager; CREATE ROLE manager SUPERUSER LOGIN PASSWORD 'first'")
  await using server = await open({ username: 'manager', password: 'first' })
  await done(server, 'database/rotate-root/app')
  assert.equal(await query('SELECT 1', { username: 'manager', password: 'first' }), '28P01')
  const { lease_id } = await creds(server)
  await server.restart()
  await done(server, 'sys/leases/revoke', { lease_id })
  const shown = await server.ask('GET', 'database/config/app')
  assert.doesNotMatch(shown.text, /"password"/)
})

for (const [rule, isTold] of [
  ['before the database was told', false],
  ['after it', true],
] as const) {
  test(`postgresql: a rotation of the root password cut short ${rule} is finished at the next use`, {
    skip,
  }, async () => {
    await query("DROP ROLE IF EXISTS manager; CREATE ROLE manager SUPERUSER LOGIN PASSWORD 'first'")
    await using server = await open({ username: 'manager', password: 'first' })
    const { view } = server.house.mounts.at('database/')!
    const { configEntries } = await import('#engines/database/entries.ts')
    await view.update(configEntries.key('app'), now => ({
      entry: { ...now!, pendingPassword: 'second', generation: 'cut' },
      result: undefined,
    }))
    if (isTold) await query("ALTER ROLE manager PASSWORD 'second'")
    await server.restart()
    const { lease_id } = await creds(server)
    const kept = await server.house.mounts.at('database/')!.view.get(configEntries.key('app'))
    // The statement may still be under way somewhere: what was meant isn't forgotten for that it isn't in force.
    assert.deepEqual([kept?.password, kept?.pendingPassword], isTold ? ['second', null] : ['first', 'second'])
    await done(server, 'sys/leases/revoke', { lease_id })
  })
}

test('postgresql: a static role is rotated when it is made, in its period, and on demand', { skip }, async () => {
  await query("DROP ROLE IF EXISTS steady; CREATE ROLE steady LOGIN PASSWORD 'old'")
  await using server = await open()
  await done(server, 'database/static-roles/steady', { db_name: 'app', username: 'steady', rotation_period: 60 })
  const now = async () =>
    (await server.ask('GET', 'database/static-creds/steady')).data as {
      password: string
      ttl: number
      username: string
    }
  const first = await now()
  assert.deepEqual([first.username, first.ttl], ['steady', 60])
  assert.equal(await query('SELECT 1', { username: 'steady', password: 'old' }), '28P01')
  assert.deepEqual(await query('SELECT 1', first), [1])
  await server.world.clock.advance(61_000)
  await until(server, async () => (await now()).password !== first.password)
  const second = await now()
  assert.deepEqual([await query('SELECT 1', first), await query('SELECT 1', second)], ['28P01', [1]])
  await done(server, 'database/rotate-role/steady')
  const third = await now()
  assert.notEqual(third.password, second.password)
  assert.deepEqual(await query('SELECT 1', third), [1])
  const renamed = await server.ask('POST', 'database/static-roles/steady', { body: { username: 'other' } })
  assert.deepEqual(renamed.errors, ['cannot update static account username'])
})

test('postgresql: a rotation that was cut short gives the password that was meant, also after a restart', {
  skip,
}, async () => {
  await query("DROP ROLE IF EXISTS steady; CREATE ROLE steady LOGIN PASSWORD 'old'")
  await using server = await open()
  await done(server, 'database/static-roles/steady', { db_name: 'app', username: 'steady', rotation_period: 60 })
  const { staticRoleEntries } = await import('#engines/database/entries.ts')
  const { view } = server.house.mounts.at('database/')!
  await view.update(staticRoleEntries.key('steady'), now => ({
    entry: { ...now!, pending: { kind: 'password' as const, password: 'meant' } },
    result: undefined,
  }))
  await query("ALTER ROLE steady PASSWORD 'meant'")
  await server.restart()
  await done(server, 'database/rotate-role/steady')
  const { data } = await server.ask('GET', 'database/static-creds/steady')
  assert.equal((data as { password: string }).password, 'meant')
})

test('postgresql: while the database is down nothing is made, leases wait, and end when it is back', {
  skip,
}, async () => {
  await using server = await open()
  const { lease_id } = await creds(server)
  await postgres.kill()
  try {
    assert.equal((await server.ask('GET', 'database/creds/app')).status, 500)
    const refused = await server.ask('PUT', 'sys/leases/revoke', { body: { lease_id } })
    assert.equal(refused.status, 400)
    assert.doesNotMatch(refused.text, new RegExp(postgres.password))
  } finally {
    await postgres.start()
  }
  await done(server, 'sys/leases/revoke', { lease_id })
  assert.deepEqual(await roles(), [])
})

for (const value of [
  'a"; DROP TABLE victims; --',
  "a'; DROP TABLE victims; --",
  'a\\',
  '$$; DROP TABLE victims; $$',
  '{{password}}',
]) {
  test(`postgresql: a hostile name is a name: ${value}`, { skip }, async () => {
    await query('CREATE TABLE IF NOT EXISTS victims (a int)')
    await using server = await open({
      username_template: `v-hostile-{{ .DisplayName }}-${value.replaceAll('{{', '{{ "{{" }}')}-{{ random 4 }}`,
    })
    const { lease_id, data } = await creds(server)
    assert.deepEqual(await query('SELECT current_user', data), [data.username])
    await done(server, 'sys/leases/revoke', { lease_id })
    assert.deepEqual([await roles(), await query('SELECT count(*)::int FROM victims')], [[], [0]])
  })
}

test('postgresql: with scram-sha-256 the server gets a verifier, and the account its password', { skip }, async () => {
  await using server = await open({ password_authentication: 'scram-sha-256' })
  await query('CREATE TABLE IF NOT EXISTS told (pw text); TRUNCATE told; GRANT INSERT ON told TO public')
  const told = [...creation, `INSERT INTO told VALUES ('{{password}}')`]
  await done(server, 'database/roles/app', { db_name: 'app', creation_statements: told })
  const { lease_id, data } = await creds(server)
  assert.deepEqual(await query('SELECT 1', data), [1])
  const [verifier] = (await query('SELECT pw FROM told')) as string[]
  assert.match(verifier!, /^SCRAM-SHA-256\$4096:/)
  await done(server, 'sys/leases/revoke', { lease_id })
})

test('postgresql: there are no more connections than the configuration says, and none after it', { skip }, async () => {
  await using server = await open({ max_open_connections: 2 })
  const counted = async (): Promise<number> =>
    Number(((await query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vault'")) as string[])[0])
  const asked = Promise.all(Array.from({ length: 12 }, () => creds(server)))
  const over = asked.then(() => true)
  let most = 0
  while (!(await Promise.race([over, counted().then(count => void (most = Math.max(most, count)))])));
  const made = await asked
  assert.ok(most <= 2 && (await counted()) <= 2, `${most}`)
  for (const { lease_id } of made) await done(server, 'sys/leases/revoke', { lease_id })
  assert.equal((await server.ask('DELETE', 'database/config/app')).status, 204)
  await until(server, async () => (await counted()) === 0)
})

test('postgresql: an account that is there already is neither changed nor removed', { skip }, async () => {
  await query("DROP ROLE IF EXISTS owner; CREATE ROLE owner LOGIN PASSWORD 'theirs'")
  await using server = await open({ username_template: 'owner' })
  const { status, errors } = await server.ask('GET', 'database/creds/app')
  assert.equal(status, 500)
  assert.match(errors.join(), /exists already/)
  await server.world.clock.advance(400_000)
  assert.deepEqual(await query('SELECT 1', { username: 'owner', password: 'theirs' }), [1])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'
import { database } from './engine.ts'

// What needs no database: what is kept, shown and refused.

const config = {
  plugin_name: 'postgresql-database-plugin',
  connection_url: 'postgresql://{{username}}:{{password}}@127.0.0.1:1/postgres',
  username: 'root',
  password: 's3cr3t',
  allowed_roles: 'app-*, steady',
  verify_connection: false,
}

async function open(more: Record<string, Json> = {}): Promise<TestServer> {
  const server = await openTestMount(database)
  const { status, errors } = await server.ask('POST', 'database/config/app', { body: { ...config, ...more } })
  assert.equal(status, 204, errors.join())
  return server
}

test('database: a connection is written, shown without its password, listed and deleted', async () => {
  await using server = await open({ max_open_connections: 7 })
  const shown = await server.ask('GET', 'database/config/app')
  assert.deepEqual(shown.data, {
    plugin_name: 'postgresql-database-plugin',
    plugin_version: '',
    connection_details: { connection_url: config.connection_url, username: 'root', max_open_connections: 7 },
    allowed_roles: ['app-*', 'steady'],
    root_credentials_rotate_statements: [],
    password_policy: '',
    verify_connection: false,
  })
  assert.doesNotMatch(shown.text, /s3cr3t/)
  assert.deepEqual((await server.ask('LIST', 'database/config')).data, { keys: ['app'] })
  assert.equal((await server.ask('DELETE', 'database/config/app')).status, 204)
  assert.equal((await server.ask('GET', 'database/config/app')).status, 404)
})

test('database: a partial write keeps the rest', async () => {
  await using server = await open()
  await server.ask('POST', 'database/config/app', { body: { allowed_roles: '*' } })
  const { data } = await server.ask('GET', 'database/config/app')
  const { allowed_roles: roles, connection_details: details } = data as Record<string, Json>
  assert.deepEqual([roles, (details as Record<string, Json>)['username']], [['*'], 'root'])
})

test('database: a password in the URL is warned of, and not shown', async () => {
  await using server = await openTestMount(database)
  const body = { ...config, connection_url: 'postgresql://root:open@127.0.0.1:1/x' }
  const { status, text } = await server.ask('POST', 'database/config/app', { body })
  assert.equal(status, 200)
  assert.match(text, /Password found in connection_url, use a templated url/)
  assert.match((await server.ask('GET', 'database/config/app')).text, /root:xxxxx@127/)
})

for (const [rule, path, body, status, text] of [
  ['a connection without plugin_name', 'config/x', { connection_url: 'x' }, 400, /^empty plugin name$/],
  [
    'a connection to what is not there',
    'config/x',
    { plugin_name: 'oracle' },
    400,
    /plugin_name "oracle" is not supported/,
  ],
  [
    'a connection without connection_url',
    'config/x',
    { plugin_name: config.plugin_name },
    400,
    /connection_url cannot be empty/,
  ],
  [
    'a connection that nobody answers',
    'config/x',
    { ...config, verify_connection: true },
    400,
    /error verifying connection: .*ECONNREFUSED/,
  ],
  [
    'a template as username',
    'config/x',
    { ...config, username: '{{username}}' },
    400,
    /cannot contain the template variables/,
  ],
  ['a role without db_name', 'roles/x', {}, 400, /^database name is required$/],
  [
    'a role with another credential_type',
    'roles/x',
    { db_name: 'app', credential_type: 'magic' },
    400,
    /invalid credential_type "magic"/,
  ],
  [
    'a role that lives longer than it may',
    'roles/x',
    { db_name: 'app', default_ttl: '2h', max_ttl: '1h' },
    400,
    /exceeds max_ttl/,
  ],
  [
    'a static role without a username',
    'static-roles/steady',
    { db_name: 'app', rotation_period: 60 },
    400,
    /^username is a required field/,
  ],
  [
    'a static role without a period',
    'static-roles/steady',
    { db_name: 'app', username: 'u' },
    400,
    /^rotation_period is required/,
  ],
  [
    'a static role that rotates too often',
    'static-roles/steady',
    { db_name: 'app', username: 'u', rotation_period: 4 },
    400,
    /^rotation_period must be 5 seconds or more$/,
  ],
  ['rotating what is not there', 'rotate-role/x', {}, 400, /^no static role found for role name$/],
] as const) {
  test(`database: refused is ${rule}`, async () => {
    await using server = await open()
    const answer = await server.ask('POST', `database/${path}`, { body })
    assert.equal(answer.status, status)
    assert.match(answer.errors.join(), text)
    assert.doesNotMatch(answer.text, /s3cr3t/)
  })
}

test('database: refused is an unknown role', async () => {
  await using server = await open()
  const { status, errors } = await server.ask('GET', 'database/creds/nobody')
  assert.deepEqual([status, errors], [400, ['unknown role: nobody']])
})

test('database: refused is a role that is not allowed, as 500', async () => {
  await using server = await open()
  await server.ask('POST', 'database/roles/other', { body: { db_name: 'app', creation_statements: 'X' } })
  const { status, errors } = await server.ask('GET', 'database/creds/other')
  assert.deepEqual([status, errors], [500, ['"other" is not an allowed role']])
})

test('database: a role is written, shown with seconds and lists, and keeps what is not sent', async () => {
  await using server = await open()
  const body = { db_name: 'app', creation_statements: '["A","B"]', default_ttl: '1h', max_ttl: '24h' }
  await server.ask('POST', 'database/roles/app-1', { body })
  await server.ask('POST', 'database/roles/app-1', { body: { revocation_statements: ['C'] } })
  assert.deepEqual((await server.ask('GET', 'database/roles/app-1')).data, {
    db_name: 'app',
    creation_statements: ['A', 'B'],
    revocation_statements: ['C'],
    rollback_statements: [],
    renew_statements: [],
    default_ttl: 3600,
    max_ttl: 86_400,
    credential_type: 'password',
  })
})

test('database: a name is a role or a static role', async () => {
  await using server = await open()
  await server.ask('POST', 'database/roles/steady', { body: { db_name: 'app' } })
  const { errors } = await server.ask('POST', 'database/static-roles/steady', {
    body: { db_name: 'app', username: 'u', rotation_period: 60 },
  })
  assert.deepEqual(errors, ['Role and Static Role names must be unique'])
})

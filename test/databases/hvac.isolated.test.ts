import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Client } from 'pg'
import { obtain } from '../cluster/cache.ts'
import { capture } from '../cluster/process.ts'
import { pythonClient } from '../clients/clients.ts'
import { startServer } from '../clients/server.ts'
import { postgresUnable, startPostgres } from './postgres.ts'

type Gave = Readonly<Record<string, Readonly<Record<string, unknown>> | number>>

test('hvac: all calls of databases and of their leases, on a real PostgreSQL', {
  skip: postgresUnable() || pythonClient.unable(),
}, async () => {
  const folder = await obtain(pythonClient.artifact())
  await using postgres = await startPostgres()
  await using server = await startServer()
  const ask = async (method: string, path: string, body: object): Promise<Record<string, string>> =>
    (await fetch(`${server.address}/v1/${path}`, { method, body: JSON.stringify(body) })).json() as never
  const made = await ask('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })
  await ask('PUT', 'sys/unseal', { key: (made['keys'] as unknown as string[])[0] })
  const database = new Client(postgres.url)
  await database.connect()
  await using _ = { [Symbol.asyncDispose]: () => database.end() }
  await database.query("CREATE ROLE coffer SUPERUSER LOGIN PASSWORD 'first'; CREATE ROLE reports LOGIN")

  const { argv, env } = pythonClient.command(folder)
  const { code, stdout, stderr } = await capture([argv[0]!, '-B', '-s', join(import.meta.dirname, 'credentials.py')], {
    env: {
      ...env,
      HOME: server.folder,
      VAULT_ADDR: server.address,
      VAULT_TOKEN: made['root_token']!,
      DB_URL: postgres.templatedUrl,
      DB_USER: 'coffer',
      DB_PASSWORD: 'first',
    },
    cwd: server.folder,
    timeoutMs: 90_000,
  })
  assert.equal(code, 0, stderr)
  const gave = JSON.parse(stdout) as Gave
  const done = 204
  assert.partialDeepStrictEqual(gave, {
    enable: done,
    configure: done,
    connection: { plugin_name: 'postgresql-database-plugin', allowed_roles: ['app', 'reports'] },
    connections: { keys: ['app'] },
    'rotate root': done,
    role: done,
    'role read': { db_name: 'app', default_ttl: 3600, max_ttl: 7200 },
    roles: { keys: ['app'] },
    credentials: { lease_duration: 3600, renewable: true },
    lease: { renewable: true },
    renew: { lease_duration: 1800, renewable: true },
    revoke: done,
    'revoke prefix': done,
    'static role': done,
    'static credentials': { username: 'reports', rotation_period: 3600 },
    'static rotate': done,
    'static roles': { keys: ['reports'] },
    'static role delete': done,
    'role delete': done,
    reset: done,
    'connection delete': done,
  })
  const before = gave['static credentials'] as { password: string }
  const after = gave['static credentials after'] as { password: string }
  assert.notEqual(before.password, after.password)
  const left = await database.query("SELECT 1 FROM pg_roles WHERE rolname LIKE 'v-%'")
  assert.equal(left.rowCount, 0, 'what was revoked is gone')
  const reports = new Client({
    connectionString: postgres.url.replace(/\/\/[^@]*@/, `//reports:${encodeURIComponent(after.password)}@`),
  })
  await reports.connect()
  await reports.end()
})

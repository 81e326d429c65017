import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Client } from 'pg'
import { obtain } from '../cluster/cache.ts'
import { capture } from '../cluster/process.ts'
import { type Client as ForeignClient, goClient, pythonClient } from '../clients/clients.ts'
import { type Server, startServer } from '../clients/server.ts'
import { type Postgres, postgresUnable, startPostgres } from './postgres.ts'

// What clients that we didn't write make of databases and of their leases, on a real PostgreSQL.

class Stage implements AsyncDisposable {
  readonly #postgres: Postgres
  readonly #server: Server
  readonly #token: string
  readonly database: Client

  private constructor(postgres: Postgres, server: Server, token: string, database: Client) {
    this.#postgres = postgres
    this.#server = server
    this.#token = token
    this.database = database
  }

  static async open(): Promise<Stage> {
    const postgres = await startPostgres()
    const server = await startServer()
    const ask = async (method: string, path: string, body: object): Promise<Record<string, unknown>> =>
      (await fetch(`${server.address}/v1/${path}`, { method, body: JSON.stringify(body) })).json() as never
    const made = await ask('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })
    await ask('PUT', 'sys/unseal', { key: (made['keys'] as string[])[0] })
    const database = new Client(postgres.url)
    await database.connect()
    await database.query("CREATE ROLE coffer SUPERUSER LOGIN PASSWORD 'first'; CREATE ROLE reports LOGIN")
    return new Stage(postgres, server, made['root_token'] as string, database)
  }

  /** @returns what it said on stdout */
  async run(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const { code, stdout, stderr } = await capture(argv, {
      env: {
        ...env,
        HOME: this.#server.folder,
        VAULT_ADDR: this.#server.address,
        VAULT_TOKEN: this.#token,
        DB_URL: this.#postgres.templatedUrl,
        DB_USER: 'coffer',
        DB_PASSWORD: 'first',
      },
      cwd: this.#server.folder,
      timeoutMs: 90_000,
    })
    assert.equal(code, 0, stderr)
    return stdout
  }

  async accounts(): Promise<number> {
    return (await this.database.query("SELECT 1 FROM pg_roles WHERE rolname LIKE 'v-%'")).rowCount ?? 0
  }

  /** @throws when the database doesn't let them in */
  async logIn(name: string, password: string): Promise<void> {
    const own = `//${name}:${encodeURIComponent(password)}@`
    const client = new Client({ connectionString: this.#postgres.url.replace(/\/\/[^@]*@/, own) })
    await client.connect()
    await client.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.database.end()
    await this.#server[Symbol.asyncDispose]()
    await this.#postgres[Symbol.asyncDispose]()
  }
}

const unable = (client: ForeignClient): string | false => postgresUnable() || client.unable()
const done = 204

test('hvac: all calls of databases and of their leases, on a real PostgreSQL', {
  skip: unable(pythonClient),
}, async () => {
  const { argv, env } = pythonClient.command(await obtain(pythonClient.artifact()))
  await using stage = await Stage.open()
  const said = await stage.run([argv[0]!, '-B', '-s', join(import.meta.dirname, 'credentials.py')], env)
  const gave = JSON.parse(said) as Readonly<Record<string, { readonly password: string }>>
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
  const [before, after] = [gave['static credentials']!.password, gave['static credentials after']!.password]
  assert.notEqual(before, after)
  await stage.logIn('reports', after)
  assert.equal(await stage.accounts(), 0, 'what was revoked is gone')
})

test('Go client: leases of a database are watched, renewed and revoked, on a real PostgreSQL', {
  skip: unable(goClient),
}, async () => {
  const { argv } = goClient.command(await obtain(goClient.artifact()))
  await using stage = await Stage.open()
  const said = await stage.run([...argv, 'credentials'])
  const steps = said
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { readonly step: string; readonly ok: boolean; readonly detail: unknown })
  assert.deepEqual(
    steps.filter(({ ok }) => !ok),
    [],
  )
  assert.equal(steps.at(-1)!.step, 'revoke force')
  const detail = Object.fromEntries(steps.map(one => [one.step, JSON.stringify(one.detail)]))
  assert.match(detail['watched']!, /database\/creds\/app\//)
  assert.match(detail['renew']!, /1800/)
  assert.equal(await stage.accounts(), 0, 'what was revoked is gone')
})

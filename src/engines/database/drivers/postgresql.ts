import type { Pool, PoolClient, PoolConfig } from 'pg'
import type { Instant } from '#ground/base/clock.ts'
import type { JsonObject } from '#ground/text/json.ts'
import { formatRfc3339 } from '#ground/text/time.ts'
import type { ConnectionSettings, DatabaseConnection, DatabaseDriver, NewUser } from '../driver.ts'
import { fillStatements, postgresDialect, type Values } from '../statements.ts'

/** ms */
const connectMsMax = 10_000
const statementMsMax = 30_000
const openDefault = 4
const openMax = 64

const defaultExtend = [`ALTER ROLE "{{name}}" VALID UNTIL '{{expiration}}';`]
const defaultSetPassword = [`ALTER ROLE "{{username}}" WITH PASSWORD '{{password}}';`]

/** Go's `2006-01-02 15:04:05-0700`, in UTC. */
const timestamp = (at: Instant): string => `${formatRfc3339(at).slice(0, 19).replace('T', ' ')}+0000`

/** @source openbao plugins/database/postgresql */
export const postgresql: DatabaseDriver = {
  plugins: ['postgresql-database-plugin'],
  hidden: ['password', 'private_key'],
  usernameTemplate:
    '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}',
  needsCreationStatements: true,
  // invalid_password, invalid_authorization_specification
  isWrongPassword: error => ['28P01', '28000'].includes(String((error as { code?: unknown } | null)?.code)),
  async connect(settings) {
    const config = poolConfig(settings)
    // Loaded when a connection of this kind is named.
    const { default: pg } = await import('pg')
    return new PostgresConnection(new pg.Pool(config))
  },
}

function poolConfig({ details, password }: ConnectionSettings): PoolConfig {
  const text = (name: string): string => (typeof details[name] === 'string' ? details[name] : '')
  const url = text('connection_url')
  if (url === '') throw new Error('connection_url cannot be empty')
  const isUrl = /^postgres(?:ql)?:\/\//.test(url)
  const escape = isUrl && details['disable_escaping'] !== true ? encodeURIComponent : (value: string) => value
  const filled = url
    .replaceAll(/\{\{\s*username\s*\}\}/g, () => escape(text('username')))
    .replaceAll(/\{\{\s*password\s*\}\}/g, () => escape(password))
  const open = Number(details['max_open_connections'] ?? 0) || openDefault
  return {
    ...(isUrl ? { connectionString: filled } : keyValues(filled)),
    ...tlsOf(details),
    max: Math.min(Math.max(1, open), openMax),
    connectionTimeoutMillis: connectMsMax,
    statement_timeout: statementMsMax,
    query_timeout: statementMsMax + 1_000,
    idleTimeoutMillis: 60_000,
    allowExitOnIdle: true,
    application_name: /application_name/.test(url) ? undefined : 'vault',
    options: '-c timezone=UTC',
  }
}

/** libpq's `host=db user='a b'`. */
function keyValues(text: string): PoolConfig {
  const pairs = new Map<string, string>()
  for (const [, name, quoted, plain] of text.matchAll(/(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S*))/g)) {
    pairs.set(name!, quoted === undefined ? (plain ?? '') : quoted.replaceAll(/\\(.)/g, '$1'))
  }
  const mode = pairs.get('sslmode') ?? 'prefer'
  return {
    ...(pairs.has('host') && { host: pairs.get('host')! }),
    ...(pairs.has('port') && { port: Number(pairs.get('port')) }),
    ...(pairs.has('user') && { user: pairs.get('user')! }),
    ...(pairs.has('password') && { password: pairs.get('password')! }),
    ...(pairs.has('dbname') && { database: pairs.get('dbname')! }),
    ...(!['disable', 'prefer', 'allow'].includes(mode) && { ssl: { rejectUnauthorized: mode.startsWith('verify') } }),
  }
}

function tlsOf(details: JsonObject): PoolConfig {
  const text = (name: string): string => (typeof details[name] === 'string' ? details[name] : '')
  const [ca, cert, key] = [text('tls_ca'), text('tls_certificate'), text('private_key')]
  if (ca === '' && cert === '') return {}
  return { ssl: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), rejectUnauthorized: true } }
}

class PostgresConnection implements DatabaseConnection {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
    // A connection that breaks is replaced by the next use, which is told by its own query; without listeners, on the pool
    // for idle ones and on each for those in use, it would end the process.
    pool.on('error', () => undefined)
    pool.on('connect', client => client.on('error', () => undefined))
  }

  async verify(signal: AbortSignal): Promise<void> {
    await this.#with(signal, client => client.query('SELECT 1'))
  }

  // The creation is one transaction: what fails half way leaves nothing to roll back.
  createUser({ username, password, expiresAt, statements }: NewUser, signal: AbortSignal): Promise<void> {
    const values = { name: username, username, password, expiration: timestamp(expiresAt) }
    return this.#run(statements, values, signal)
  }

  extendUser(user: Pick<NewUser, 'username' | 'expiresAt' | 'statements'>, signal: AbortSignal): Promise<void> {
    const { username, expiresAt, statements } = user
    const values = { name: username, username, expiration: timestamp(expiresAt) }
    return this.#run(statements.length > 0 ? statements : defaultExtend, values, signal)
  }

  setPassword(user: Pick<NewUser, 'username' | 'password' | 'statements'>, signal: AbortSignal): Promise<void> {
    const { username, password, statements } = user
    const values = { name: username, username, password }
    return this.#run(statements.length > 0 ? statements : defaultSetPassword, values, signal)
  }

  async dropUser({ username, statements }: Pick<NewUser, 'username' | 'statements'>, signal: AbortSignal) {
    await this.#with(signal, async client => {
      const found = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [username])
      if (found.rowCount === 0) return
      if (statements.length > 0) await transaction(client, filled(statements, { name: username, username }))
      else await transaction(client, await defaultDrop(client, username))
    })
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #run(statements: readonly string[], values: Values, signal: AbortSignal): Promise<void> {
    const whole = filled(statements, values)
    await this.#with(signal, client => transaction(client, whole))
  }

  async #with<R>(signal: AbortSignal, work: (client: PoolClient) => Promise<R>): Promise<R> {
    signal.throwIfAborted()
    const client = await this.#pool.connect()
    let isBroken = false
    const onAbort = (): void => {
      isBroken = true
      client.release(true)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await work(client)
    } finally {
      signal.removeEventListener('abort', onAbort)
      if (!isBroken) client.release()
    }
  }
}

const filled = (statements: readonly string[], values: Values): readonly string[] =>
  statements.flatMap(one => fillStatements(one, values, postgresDialect))

async function transaction(client: PoolClient, statements: readonly string[]): Promise<void> {
  await client.query('BEGIN')
  try {
    for (const statement of statements) await client.query(statement)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** What a role was granted is taken back, schema by schema, since a role that has rights can't be dropped. */
async function defaultDrop(client: PoolClient, username: string): Promise<readonly string[]> {
  const name = quoted(username)
  const found = await client.query<{ schema: string }>(
    `SELECT DISTINCT table_schema AS schema FROM information_schema.role_column_grants WHERE grantee = $1
     UNION SELECT nspname FROM pg_namespace WHERE has_schema_privilege($1, nspname, 'USAGE') AND nspname !~ '^pg_' AND nspname <> 'information_schema'`,
    [username],
  )
  const database = await client.query<{ name: string }>('SELECT current_database() AS name')
  const schemas = new Set(['public', ...found.rows.map(({ schema }) => schema)])
  const statements: string[] = []
  for (const schema of schemas) {
    const at = quoted(schema)
    if (schema === 'public' && !found.rows.some(row => row.schema === 'public')) continue
    for (const what of ['TABLES', 'SEQUENCES', 'FUNCTIONS']) {
      statements.push(`REVOKE ALL PRIVILEGES ON ALL ${what} IN SCHEMA ${at} FROM ${name}`)
    }
    statements.push(`REVOKE ALL PRIVILEGES ON SCHEMA ${at} FROM ${name}`)
  }
  statements.push(`REVOKE ALL PRIVILEGES ON DATABASE ${quoted(database.rows[0]!.name)} FROM ${name}`)
  statements.push(`DROP ROLE IF EXISTS ${name}`)
  return statements
}

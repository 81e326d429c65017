import { createHash } from 'node:crypto'
import type { Pool, PoolConnection, PoolOptions, RowDataPacket } from 'mysql2/promise'
import type { Instant } from '#ground/base/clock.ts'
import { formatRfc3339 } from '#ground/text/time.ts'
import {
  callMsMax,
  commonJs,
  connectMsMax,
  type Credential,
  type DatabaseConnection,
  type DatabaseDriver,
  DatabaseFailure,
  type NewUser,
  openConnections,
  secretsOf,
  withoutSecrets,
} from '../driver.ts'
import { type Dialect, fillStatements, mysqlDialect, StatementProblem, type Values } from '../statements.ts'
import { mysqlSettings } from './mysql-settings.ts'

const defaultSetPassword = [`ALTER USER '{{username}}'@'%' IDENTIFIED BY '{{password}}';`]
const lockSeconds = 25
const waitingMax = 256

const timestamp = (at: Instant): string => `${formatRfc3339(at).slice(0, 19).replace('T', ' ')}+0000`

/** MySQL and MariaDB. @source openbao plugins/database/mysql */
export const mysql: DatabaseDriver = {
  plugins: ['mysql-database-plugin', 'mysql-aurora-database-plugin', 'mysql-rds-database-plugin'],
  hidden: ['password', 'tls_certificate_key'],
  usernameTemplate:
    '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 10) (.RoleName | truncate 10) (random 20) (unix_time) | truncate 32 }}',
  // It refuses what is too long.
  usernameBytesMax: null,
  needsCreationStatements: true,
  needsUrl: true,
  credentials: ['password', 'rsa_private_key', 'client_certificate'],
  async connect(settings) {
    const config: PoolOptions = {
      ...mysqlSettings(settings),
      connectionLimit: openConnections(settings.details),
      queueLimit: waitingMax,
      connectTimeout: connectMsMax,
      idleTimeout: 60_000,
      multipleStatements: false,
      charset: 'utf8mb4',
    }
    return new MySqlConnection(config, settings.password)
  },
}

/** For servers whose names have 16 characters at most. */
export const mysqlLegacy: DatabaseDriver = {
  ...mysql,
  plugins: ['mysql-legacy-database-plugin'],
  usernameTemplate: '{{ printf "v-%s-%s-%s" (.RoleName | truncate 4) (random 20) (unix_time) | truncate 16 }}',
}

class MySqlConnection implements DatabaseConnection {
  readonly #config: PoolOptions
  readonly #password: string
  #pool: Promise<Pool> | null = null

  constructor(config: PoolOptions, password: string) {
    this.#config = config
    this.#password = password
  }

  async verify(signal: AbortSignal): Promise<void> {
    await this.#with(signal, [], async client => void (await run(client, 'SELECT 1')))
  }

  exists(username: string, signal: AbortSignal): Promise<boolean> {
    return this.#locked(username, signal, [], async client => ((await hostsOf(client, username)) ?? []).length > 0)
  }

  // No transaction holds CREATE USER: what fails half way is said to be refused, and the caller removes it.
  async createUser({ username, credential, expiresAt, statements }: NewUser, signal: AbortSignal): Promise<void> {
    // mysql.user holds three bytes a character and compares without the blanks at the end: it would be another's name.
    if (/[\u{10000}-\u{10ffff}]|^\s|\s$/u.test(username))
      throw new DatabaseFailure('refused', 'the name has characters that MySQL would change')
    const values = { ...valuesOf(username, credential), expiration: timestamp(expiresAt) }
    await this.#run(username, statements, values, secretsOf(credential), signal)
  }

  async extendUser(user: Pick<NewUser, 'username' | 'expiresAt' | 'statements'>, signal: AbortSignal): Promise<void> {
    const { username, expiresAt, statements } = user
    const values = { name: username, username, expiration: timestamp(expiresAt) }
    if (statements.length > 0) await this.#run(username, statements, values, [], signal)
  }

  async setCredential(user: Pick<NewUser, 'username' | 'credential' | 'statements'>, signal: AbortSignal) {
    const { username, credential, statements } = user
    const own = credential.kind === 'password' ? defaultSetPassword : []
    if (statements.length === 0 && own.length === 0)
      throw new DatabaseFailure('refused', `rotation_statements are needed for ${credential.kind}`)
    const values = valuesOf(username, credential)
    await this.#run(username, statements.length > 0 ? statements : own, values, secretsOf(credential), signal)
  }

  async dropUser({ username, statements }: Pick<NewUser, 'username' | 'statements'>, signal: AbortSignal) {
    await this.#locked(username, signal, [], async (client, dialect) => {
      const hosts = await hostsOf(client, username)
      if (hosts?.length === 0) return
      if (statements.length > 0) {
        for (const one of filled(statements, { name: username, username }, dialect)) await run(client, one)
        return
      }
      for (const host of hosts ?? ['%']) {
        const account = filled([`'{{name}}'@'{{host}}'`], { name: username, host }, dialect)[0]!
        await run(client, `REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${account}`)
        await run(client, `DROP USER IF EXISTS ${account}`)
      }
    })
  }

  async close(): Promise<void> {
    const pool = this.#pool
    this.#pool = null
    if (pool !== null) await (await pool).end()
  }

  #run(
    username: string,
    statements: readonly string[],
    values: Values,
    secrets: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    return this.#locked(username, signal, secrets, async (client, dialect) => {
      let done = 0
      for (const one of filled(statements, values, dialect)) {
        try {
          await run(client, one)
          done++
        } catch (error) {
          // CREATE USER of one that is there; later on it may be about any other.
          if (numberOf(error) === 1396 && done === 0 && /^\s*CREATE\s+USER\b/i.test(one))
            throw new DatabaseFailure('exists', withoutSecrets((error as Error).message, secrets))
          throw error
        }
      }
    })
  }

  /**
   * Alone with this name: the lock is the session's, and taken before the first statement is sent. Who gets it knows that
   * nothing of this name is under way any more, also of a process that was killed.
   */
  #locked<R>(
    username: string,
    signal: AbortSignal,
    secrets: readonly string[],
    work: (client: PoolConnection, dialect: Dialect) => Promise<R>,
  ): Promise<R> {
    return this.#with(signal, secrets, async client => {
      const name = `coffer ${createHash('sha256').update(username).digest('hex').slice(0, 40)}`
      const [rows] = await client.execute<RowDataPacket[]>({
        sql: 'SELECT GET_LOCK(?, ?) AS got, @@SESSION.sql_mode AS mode',
        values: [name, lockSeconds],
        timeout: callMsMax,
      })
      if (rows[0]?.['got'] !== 1) throw new DatabaseFailure('refused', 'something else is under way with this account')
      try {
        return await work(client, mysqlDialect(String(rows[0]['mode'])))
      } finally {
        await client.execute('SELECT RELEASE_LOCK(?)', [name]).catch(() => client.destroy())
      }
    })
  }

  async #with<R>(
    signal: AbortSignal,
    secrets: readonly string[],
    work: (client: PoolConnection) => Promise<R>,
  ): Promise<R> {
    signal.throwIfAborted()
    const hidden = [...secrets, this.#password]
    let client: PoolConnection
    try {
      this.#pool ??= this.#open()
      client = await (await this.#pool).getConnection()
    } catch (error) {
      throw failure(error, hidden, 'unreachable')
    }
    const onAbort = (): void => client.destroy()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      const result = await work(client)
      if (!signal.aborted) client.release()
      return result
    } catch (error) {
      if (isAnswer(error) || error instanceof DatabaseFailure) client.release()
      else client.destroy()
      throw failure(error, hidden, 'unknown')
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async #open(): Promise<Pool> {
    // Loaded when a connection of this kind is named.
    const { createPool } = commonJs(await import('mysql2/promise'))
    return createPool(this.#config)
  }
}

function valuesOf(username: string, credential: Credential): Values {
  const names = { name: username, username }
  switch (credential.kind) {
    case 'password':
      return { ...names, password: credential.password }
    case 'rsa_private_key':
      return { ...names, public_key: credential.publicKey }
    case 'client_certificate':
      return { ...names, subject: credential.subject }
  }
}

function filled(statements: readonly string[], values: Values, dialect: Dialect): readonly string[] {
  try {
    return statements.flatMap(one => fillStatements(one, values, dialect))
  } catch (error) {
    if (error instanceof StatementProblem) throw new DatabaseFailure('refused', error.message)
    throw error
  }
}

const run = (client: PoolConnection, sql: string) => client.query({ sql, timeout: callMsMax })

/** @returns null when we may not look. */
async function hostsOf(client: PoolConnection, username: string): Promise<readonly string[] | null> {
  try {
    const sql = 'SELECT Host AS host FROM mysql.user WHERE User = CONVERT(? USING utf8mb3)'
    const [rows] = await client.execute<RowDataPacket[]>({ sql, values: [username], timeout: callMsMax })
    return rows.map(row => String(row['host']))
  } catch (error) {
    // ER_TABLEACCESS_DENIED_ERROR, ER_DBACCESS_DENIED_ERROR
    if ([1142, 1044].includes(numberOf(error))) return null
    throw error
  }
}

const numberOf = (error: unknown): number => Number((error as { errno?: unknown } | null)?.errno ?? 0)

/** An error that the server answered with, after which it takes the next statement. */
function isAnswer(error: unknown): boolean {
  const { sqlState, fatal } = (error ?? {}) as { sqlState?: unknown; fatal?: unknown }
  return typeof sqlState === 'string' && sqlState !== '' && fatal !== true
}

function failure(error: unknown, secrets: readonly string[], otherwise: 'unreachable' | 'unknown'): DatabaseFailure {
  if (error instanceof DatabaseFailure) return error
  const { message, code } = (error ?? {}) as { message?: string; code?: string }
  const text = withoutSecrets(message || code || 'the database gave no reason', secrets)
  // ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR
  if ([1045, 1698].includes(numberOf(error)) && otherwise === 'unreachable')
    return new DatabaseFailure('wrong-password', text)
  return new DatabaseFailure(isAnswer(error) ? 'refused' : otherwise, text)
}

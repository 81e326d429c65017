import { createHash } from 'node:crypto'
import type { Pool, PoolClient, PoolConfig } from 'pg'
import type { Instant } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import { formatRfc3339 } from '#ground/text/time.ts'
import {
  callMsMax,
  connectMsMax,
  type ConnectionSettings,
  type Credential,
  type DatabaseConnection,
  type DatabaseDriver,
  DatabaseFailure,
  detail,
  type NewUser,
  openConnections,
  secretsOf,
  withoutSecrets,
} from '../driver.ts'
import { fillStatements, postgresDialect, StatementProblem, type Values } from '../statements.ts'
import { dropStatements } from './postgresql-drop.ts'
import { postgresSettings } from './postgresql-settings.ts'
import { scramVerifier } from './scram.ts'

const defaultExtend = [`ALTER ROLE "{{name}}" VALID UNTIL '{{expiration}}';`]
const defaultSetPassword = [`ALTER ROLE "{{username}}" WITH PASSWORD '{{password}}';`]
const passwordForms = ['', 'password', 'scram-sha-256']

/** Go's `2006-01-02 15:04:05-0700`, in UTC. */
const timestamp = (at: Instant): string => `${formatRfc3339(at).slice(0, 19).replace('T', ' ')}+0000`

/** @source openbao plugins/database/postgresql */
export const postgresql: DatabaseDriver = {
  plugins: ['postgresql-database-plugin'],
  hidden: ['password', 'private_key'],
  usernameTemplate:
    '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}',
  // NAMEDATALEN of every packaged server, less one.
  usernameBytesMax: 63,
  needsCreationStatements: true,
  needsUrl: true,
  credentials: ['password', 'rsa_private_key', 'client_certificate'],
  async connect(settings, world) {
    const form = detail(settings.details, 'password_authentication')
    if (!passwordForms.includes(form))
      throw new DatabaseFailure('refused', `'${form}' is not a valid password authentication type`)
    const { login, tls } = postgresSettings(settings)
    const config: PoolConfig = {
      ...login,
      ...(tls !== 'off' && { ssl: tls === 'prefer' ? { rejectUnauthorized: false } : tls }),
      max: openConnections(settings.details),
      connectionTimeoutMillis: connectMsMax,
      // The server ends what takes longer, too: nothing of ours is under way for longer than an intent waits.
      statement_timeout: callMsMax,
      query_timeout: callMsMax + 1_000,
      idle_in_transaction_session_timeout: callMsMax,
      idleTimeoutMillis: 60_000,
      allowExitOnIdle: true,
    }
    return new PostgresConnection(config, tls === 'prefer', { world, settings, isScram: form === 'scram-sha-256' })
  },
}

type Context = {
  readonly world: Pick<World, 'entropy'>
  readonly settings: ConnectionSettings
  readonly isScram: boolean
}

class PostgresConnection implements DatabaseConnection {
  readonly #config: PoolConfig
  readonly #prefersTls: boolean
  readonly #context: Context
  #pool: Promise<Pool> | null = null

  constructor(config: PoolConfig, prefersTls: boolean, context: Context) {
    this.#config = config
    this.#prefersTls = prefersTls
    this.#context = context
  }

  async verify(signal: AbortSignal): Promise<void> {
    await this.#with(signal, [], client => client.query('SELECT 1'))
  }

  exists(username: string, signal: AbortSignal): Promise<boolean> {
    return this.#with(signal, [], client =>
      transaction(client, async () => {
        await lock(client, username)
        return isThere(client, username)
      }),
    )
  }

  // One transaction: what fails half way leaves nothing.
  async createUser({ username, credential, expiresAt, statements }: NewUser, signal: AbortSignal): Promise<void> {
    const values = { ...(await this.#values(username, credential)), expiration: timestamp(expiresAt) }
    await this.#run(username, statements, values, secretsOf(credential), signal)
  }

  async extendUser(user: Pick<NewUser, 'username' | 'expiresAt' | 'statements'>, signal: AbortSignal): Promise<void> {
    const { username, expiresAt, statements } = user
    const values = { name: username, username, expiration: timestamp(expiresAt) }
    await this.#run(username, statements.length > 0 ? statements : defaultExtend, values, [], signal)
  }

  async setCredential(user: Pick<NewUser, 'username' | 'credential' | 'statements'>, signal: AbortSignal) {
    const { username, credential, statements } = user
    const own = credential.kind === 'password' ? defaultSetPassword : []
    if (statements.length === 0 && own.length === 0)
      throw new DatabaseFailure('refused', `rotation_statements are needed for ${credential.kind}`)
    const values = await this.#values(username, credential)
    await this.#run(username, statements.length > 0 ? statements : own, values, secretsOf(credential), signal)
  }

  async dropUser({ username, statements }: Pick<NewUser, 'username' | 'statements'>, signal: AbortSignal) {
    const own = filled(statements, { name: username, username })
    await this.#with(signal, [], client =>
      transaction(client, async () => {
        await lock(client, username)
        if (!(await isThere(client, username))) return
        for (const one of own.length > 0 ? own : await dropStatements(client, username)) await client.query(one)
      }),
    )
  }

  async close(): Promise<void> {
    const pool = this.#pool
    this.#pool = null
    if (pool !== null) await (await pool).end()
  }

  async #values(username: string, credential: Credential): Promise<Values> {
    const names = { name: username, username }
    switch (credential.kind) {
      case 'rsa_private_key':
        return { ...names, public_key: credential.publicKey }
      case 'client_certificate':
        return { ...names, subject: credential.subject }
      case 'password': {
        const { isScram, world } = this.#context
        const { password } = credential
        return { ...names, password: isScram ? await scramVerifier(password, world.entropy.bytes(16)) : password }
      }
    }
  }

  async #run(
    username: string,
    statements: readonly string[],
    values: Values,
    secrets: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const whole = filled(statements, values)
    await this.#with(signal, [...secrets, values['password'] ?? ''], client =>
      transaction(client, async () => {
        await lock(client, username)
        for (const one of whole) await client.query(one)
      }),
    )
  }

  async #with<R>(
    signal: AbortSignal,
    secrets: readonly string[],
    work: (client: PoolClient) => Promise<R>,
  ): Promise<R> {
    signal.throwIfAborted()
    const hidden = [...secrets, this.#context.settings.password]
    let client: PoolClient
    try {
      this.#pool ??= this.#open()
      client = await (await this.#pool).connect()
    } catch (error) {
      throw failure(error, hidden, 'unreachable')
    }
    try {
      return await lent(client, signal, work)
    } catch (error) {
      throw failure(error, hidden, 'unknown')
    }
  }

  async #open(): Promise<Pool> {
    try {
      // Loaded when a connection of this kind is named.
      const { default: pg } = await import('pg')
      const pool = new pg.Pool(this.#config)
      outlive(pool)
      if (!this.#prefersTls) return pool
      try {
        const client = await pool.connect()
        client.release()
        return pool
      } catch (error) {
        await pool.end()
        if (!(error as Error).message.includes('does not support SSL')) throw error
        const { ssl: _, ...plain } = this.#config
        const other = new pg.Pool(plain)
        outlive(other)
        return other
      }
    } catch (error) {
      this.#pool = null
      throw error
    }
  }
}

/** Gives the client back; broken off, it is closed, and the server rolls back what wasn't committed. */
async function lent<R>(client: PoolClient, signal: AbortSignal, work: (client: PoolClient) => Promise<R>): Promise<R> {
  let isGone = false
  const giveBack = (destroy: boolean): void => {
    if (isGone) return
    isGone = true
    client.release(destroy)
  }
  const onAbort = (): void => giveBack(true)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const result = await work(client)
    giveBack(false)
    return result
  } catch (error) {
    giveBack(!isAnswer(error))
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function filled(statements: readonly string[], values: Values): readonly string[] {
  try {
    return statements.flatMap(one => fillStatements(one, values, postgresDialect))
  } catch (error) {
    if (error instanceof StatementProblem) throw new DatabaseFailure('refused', error.message)
    throw error
  }
}

const attemptsMax = 10

/** Grants to several roles at once meet in the catalogs: what lost such a race left nothing, and is done again. */
async function transaction<R>(client: PoolClient, work: () => Promise<R>): Promise<R> {
  for (let attempt = 1; ; attempt++) {
    await client.query('BEGIN')
    try {
      const result = await work()
      await client.query('COMMIT')
      return result
    } catch (error) {
      if (isAnswer(error)) await client.query('ROLLBACK')
      if (attempt >= attemptsMax || !isRace(error)) throw error
    }
  }
}

// serialization_failure, deadlock_detected
const isRace = (error: unknown): boolean =>
  ['40001', '40P01'].includes(codeOf(error)) ||
  (isAnswer(error) && /^tuple concurrently (?:updated|deleted)$/.test((error as Error).message))

/**
 * Held to the end of the transaction, and taken before the first statement is sent: who gets it knows that nothing of
 * this name is under way any more, also of a process that was killed.
 */
async function lock(client: PoolClient, username: string): Promise<void> {
  const key = createHash('sha256').update(`coffer ${username}`).digest().readBigInt64BE(0)
  await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [key.toString()])
}

async function isThere(client: PoolClient, username: string): Promise<boolean> {
  const found = await client.query('SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1', [username])
  return found.rowCount !== 0
}

const codeOf = (error: unknown): string => (error as { code?: string } | null)?.code ?? ''
const severityOf = (error: unknown): string => (error as { severity?: string } | null)?.severity ?? ''

/** An error that the server answered with, after which it takes the next statement. */
const isAnswer = (error: unknown): boolean => severityOf(error) === 'ERROR'

function failure(error: unknown, secrets: readonly string[], otherwise: 'unreachable' | 'unknown'): DatabaseFailure {
  if (error instanceof DatabaseFailure) return error
  const text = withoutSecrets(error instanceof Error ? error.message || codeOf(error) : String(error), secrets)
  // invalid_password, invalid_authorization_specification
  if (['28P01', '28000'].includes(codeOf(error))) return new DatabaseFailure('wrong-password', text)
  // duplicate_object
  if (codeOf(error) === '42710') return new DatabaseFailure('exists', text)
  return new DatabaseFailure(isAnswer(error) ? 'refused' : otherwise, text)
}

/**
 * A connection that breaks is replaced by the next use, which is told by its own query; without listeners, on the pool for
 * idle ones and on each for those in use, it would end the process.
 */
function outlive(pool: Pool): void {
  pool.on('error', () => undefined)
  pool.on('connect', client => client.on('error', () => undefined))
}

import type { MongoClient, MongoClientOptions } from 'mongodb'
import {
  callMsMax,
  commonJs,
  connectMsMax,
  type ConnectionSettings,
  type Credential,
  type DatabaseConnection,
  type DatabaseDriver,
  DatabaseFailure,
  detail,
  fillUrl,
  isOn,
  type NewUser,
  openConnections,
  secretsOf,
  withoutSecrets,
} from '../driver.ts'

const databaseDefault = 'admin'

/** Accounts are documents and commands are BSON: no text is put together. @source fork plugins/database/mongodb */
export const mongodb: DatabaseDriver = {
  plugins: ['mongodb-database-plugin'],
  hidden: ['password', 'tls_certificate_key'],
  usernameTemplate:
    '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 15) (.RoleName | truncate 15) (random 20) (unix_time) | replace "." "-" | truncate 100 }}',
  usernameBytesMax: null,
  needsCreationStatements: true,
  needsUrl: true,
  credentials: ['password'],
  async connect(settings) {
    // Loaded when a connection of this kind is named.
    const { MongoClient } = commonJs(await import('mongodb'))
    const { url, options } = clientOf(settings)
    try {
      return new MongoConnection(new MongoClient(url, options), settings)
    } catch (error) {
      throw failure(error, [settings.password, encodeURIComponent(settings.password)], 'refused')
    }
  },
}

function clientOf({ details, password }: ConnectionSettings): { url: string; options: MongoClientOptions } {
  const template = detail(details, 'connection_url')
  if (template === '') throw new DatabaseFailure('refused', 'connection_url cannot be empty')
  const username = detail(details, 'username')
  const ca = detail(details, 'tls_ca')
  const pair = detail(details, 'tls_certificate_key')
  const url = fillUrl(template, { username: encodeURIComponent(username), password: encodeURIComponent(password) })
  return {
    url,
    options: {
      appName: 'vault',
      maxPoolSize: openConnections(details),
      minPoolSize: 0,
      maxIdleTimeMS: 60_000,
      connectTimeoutMS: connectMsMax,
      serverSelectionTimeoutMS: connectMsMax,
      socketTimeoutMS: callMsMax,
      retryWrites: false,
      // A login in the options works where the URL has none.
      ...(!/\{\{/.test(template) && !url.includes('@') && username !== '' && { auth: { username, password } }),
      ...((ca !== '' || pair !== '') && { tls: true, ...(ca && { ca }), ...(pair && { cert: pair, key: pair }) }),
      ...(isOn(details, 'tls_skip_verify') && { tlsAllowInvalidCertificates: true }),
    },
  }
}

type Statement = { readonly db?: string; readonly roles?: readonly unknown[] }

/** `{"db": "admin", "roles": [{"role": "readWrite"}]}` */
function readStatement(statements: readonly string[], what: string): Statement {
  const [first, ...rest] = statements
  if (first === undefined) return {}
  if (rest.length > 0) throw new DatabaseFailure('refused', `only one ${what} statement is supported`)
  let parsed: unknown
  try {
    parsed = JSON.parse(first)
  } catch {
    throw new DatabaseFailure('refused', `the ${what} statement is no JSON`)
  }
  const { db, roles } = (parsed ?? {}) as { db?: unknown; roles?: unknown }
  if (db !== undefined && typeof db !== 'string')
    throw new DatabaseFailure('refused', `db of the ${what} statement is no text`)
  if (roles !== undefined && !Array.isArray(roles))
    throw new DatabaseFailure('refused', `roles of the ${what} statement are no list`)
  return { ...(db && { db }), ...(roles && { roles: roles as unknown[] }) }
}

class MongoConnection implements DatabaseConnection {
  readonly #client: MongoClient
  readonly #settings: ConnectionSettings

  constructor(client: MongoClient, settings: ConnectionSettings) {
    this.#client = client
    this.#settings = settings
  }

  async verify(signal: AbortSignal): Promise<void> {
    await this.#ask(databaseDefault, { ping: 1 }, [], signal)
  }

  async exists(username: string, signal: AbortSignal): Promise<boolean> {
    const command = { usersInfo: { forAllDBs: true }, filter: { user: username } }
    const answer = await this.#ask(databaseDefault, command, [], signal)
    return Array.isArray(answer['users']) && answer['users'].length > 0
  }

  async createUser({ username, credential, statements }: NewUser, signal: AbortSignal): Promise<void> {
    const { db = databaseDefault, roles = [] } = readStatement(statements, 'creation')
    if (roles.length === 0) throw new DatabaseFailure('refused', 'roles array is required in creation statement')
    const command = { createUser: username, pwd: secretOf(credential), roles: [...roles], ...this.#writeConcern() }
    await this.#ask(db, command, secretsOf(credential), signal)
  }

  /** Accounts have no end of their own here. */
  async extendUser(): Promise<void> {}

  async setCredential({ username, credential }: Pick<NewUser, 'username' | 'credential'>, signal: AbortSignal) {
    const command = { updateUser: username, pwd: secretOf(credential), ...this.#writeConcern() }
    await this.#ask(this.#loginDatabase(), command, secretsOf(credential), signal)
  }

  async dropUser({ username, statements }: Pick<NewUser, 'username' | 'statements'>, signal: AbortSignal) {
    const { db } = readStatement(statements, 'revocation')
    // Without a word of the role's it is dropped wherever it is.
    const places = db === undefined ? await this.#placesOf(username, signal) : [db]
    for (const place of places) {
      try {
        await this.#ask(place, { dropUser: username, ...this.#writeConcern() }, [], signal)
      } catch (error) {
        if (!(error instanceof MissingUser)) throw error
      }
    }
  }

  close(): Promise<void> {
    return this.#client.close()
  }

  async #placesOf(username: string, signal: AbortSignal): Promise<readonly string[]> {
    const command = { usersInfo: { forAllDBs: true }, filter: { user: username } }
    const { users } = await this.#ask(databaseDefault, command, [], signal)
    return Array.isArray(users) ? (users as { db: string }[]).map(({ db }) => db) : []
  }

  /** Where the accounts of static roles are: the database of the URL. */
  #loginDatabase(): string {
    const path = /^mongodb(?:\+srv)?:\/\/[^/]*\/([^?]*)/.exec(detail(this.#settings.details, 'connection_url'))?.[1]
    return path === undefined || path === '' ? databaseDefault : path
  }

  #writeConcern(): { writeConcern: Record<string, unknown> } {
    const text = detail(this.#settings.details, 'write_concern')
    if (text === '') return { writeConcern: { w: 'majority' } }
    try {
      const parsed = JSON.parse(text.trim().startsWith('{') ? text : Buffer.from(text, 'base64').toString()) as object
      return { writeConcern: { ...parsed } }
    } catch {
      throw new DatabaseFailure('refused', 'write_concern is no JSON')
    }
  }

  async #ask(
    db: string,
    command: Record<string, unknown>,
    secrets: readonly string[],
    signal: AbortSignal,
  ): Promise<Record<string, unknown>> {
    signal.throwIfAborted()
    const { password } = this.#settings
    const hidden = [...secrets, password, encodeURIComponent(password)]
    try {
      await this.#client.connect()
    } catch (error) {
      throw failure(error, hidden, 'unreachable')
    }
    try {
      return await this.#client.db(db).command(command, { signal })
    } catch (error) {
      throw failure(error, hidden, 'unknown')
    }
  }
}

class MissingUser extends DatabaseFailure {}

function secretOf(credential: Credential): string {
  if (credential.kind === 'password') return credential.password
  throw new DatabaseFailure('refused', `${credential.kind} is not for this database`)
}

function failure(
  error: unknown,
  secrets: readonly string[],
  otherwise: 'refused' | 'unreachable' | 'unknown',
): DatabaseFailure {
  if (error instanceof DatabaseFailure) return error
  const { message = '', code, name = '' } = (error ?? {}) as { message?: string; code?: unknown; name?: string }
  const text = withoutSecrets(message || name || 'the database gave no reason', secrets)
  // AuthenticationFailed, UserNotFound, Location51003 (the user exists)
  if (code === 18) return new DatabaseFailure('wrong-password', text)
  if (code === 11) return new MissingUser('refused', text)
  if (code === 51003) return new DatabaseFailure('exists', text)
  return new DatabaseFailure(name === 'MongoServerError' ? 'refused' : otherwise, text)
}

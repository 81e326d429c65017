import type { Redis, RedisOptions as AllOptions } from 'ioredis'
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
  isOn,
  type NewUser,
  secretsOf,
  withoutSecrets,
} from '../driver.ts'

type RedisOptions = Omit<AllOptions, 'replyMapping'>

const defaultRules = ['~*', '+@read']
/** How changes of accounts outlive the server, which by itself forgets them. */
const persistence: Readonly<Record<string, readonly string[] | null>> = {
  '': null,
  ACLFILE: ['ACL', 'SAVE'],
  REWRITE: ['CONFIG', 'REWRITE'],
}

/**
 * Redis and Valkey: accounts are rules of `ACL SETUSER`, each an argument of its own.
 * @source openbao plugins/database/valkey; hv docs, redis
 */
export const redis: DatabaseDriver = {
  plugins: ['redis-database-plugin', 'valkey-database-plugin'],
  hidden: ['password'],
  usernameTemplate:
    '{{ printf "V_%s_%s_%s_%s" (.DisplayName | truncate 15) (.RoleName | truncate 15) (random 20) (unix_time) | truncate 100 | replace "-" "_" | uppercase }}',
  usernameBytesMax: null,
  needsCreationStatements: false,
  needsUrl: false,
  credentials: ['password'],
  async connect(settings) {
    const mode = detail(settings.details, 'persistence_mode').toUpperCase()
    const persist = persistence[mode]
    if (persist === undefined) throw new DatabaseFailure('refused', 'persistence_mode is none of ACLFILE, REWRITE')
    return new RedisConnection(optionsOf(settings), settings.password, persist)
  },
}

function optionsOf({ details, password }: ConnectionSettings): RedisOptions {
  const host = detail(details, 'host')
  const port = Number(details['port'] ?? 6379)
  if (host === '') throw new DatabaseFailure('refused', 'host cannot be empty')
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new DatabaseFailure('refused', 'port is no port')
  const username = detail(details, 'username')
  const ca = detail(details, 'ca_cert')
  return {
    host: host.replace(/^rediss?:\/\//, ''),
    port,
    ...(username !== '' && { username }),
    ...(password !== '' && { password }),
    ...((isOn(details, 'tls') || host.startsWith('rediss://')) && {
      tls: { ...(ca && { ca }), rejectUnauthorized: !isOn(details, 'insecure_tls') },
    }),
    connectTimeout: connectMsMax,
    commandTimeout: callMsMax,
    lazyConnect: true,
    disableClientInfo: true,
    // A command is sent once: what came of it after a break is not for the client to guess.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy: null,
  }
}

class RedisConnection implements DatabaseConnection {
  readonly #options: RedisOptions
  readonly #password: string
  readonly #persist: readonly string[] | null
  #client: Promise<Redis> | null = null

  constructor(options: RedisOptions, password: string, persist: readonly string[] | null) {
    this.#options = options
    this.#password = password
    this.#persist = persist
  }

  async verify(signal: AbortSignal): Promise<void> {
    await this.#ask(['PING'], [], signal)
  }

  async exists(username: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#ask(['ACL', 'GETUSER', username], [], signal)) !== null
  }

  async createUser({ username, credential, statements }: NewUser, signal: AbortSignal): Promise<void> {
    const rules = statements.length > 0 ? statements : defaultRules
    // `reset` first: it must have these rights and no others.
    await this.#change(
      ['ACL', 'SETUSER', username, 'reset', 'on', `>${secretOf(credential)}`, ...rules],
      credential,
      signal,
    )
  }

  /** Accounts have no end of their own here. */
  async extendUser(): Promise<void> {}

  async setCredential({ username, credential }: Pick<NewUser, 'username' | 'credential'>, signal: AbortSignal) {
    if (!(await this.exists(username, signal))) throw new DatabaseFailure('refused', 'there is no such account')
    await this.#change(['ACL', 'SETUSER', username, 'resetpass', `>${secretOf(credential)}`], credential, signal)
  }

  async dropUser({ username }: Pick<NewUser, 'username' | 'statements'>, signal: AbortSignal): Promise<void> {
    await this.#change(['ACL', 'DELUSER', username], null, signal)
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#client = null
    if (client !== null) (await client).disconnect()
  }

  async #change(command: readonly string[], credential: Credential | null, signal: AbortSignal): Promise<void> {
    await this.#ask(command, credential === null ? [] : secretsOf(credential), signal)
    if (this.#persist !== null) await this.#ask(this.#persist, [], signal)
  }

  async #ask(command: readonly string[], secrets: readonly string[], signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted()
    const hidden = [...secrets, this.#password]
    const [name = '', ...args] = command
    const client = await this.#connected(hidden)
    try {
      return await client.call(name, ...args)
    } catch (error) {
      throw failure(error, hidden, 'unknown')
    }
  }

  async #connected(hidden: readonly string[]): Promise<Redis> {
    try {
      this.#client ??= connect(this.#options)
      const client = await this.#client
      if (client.status === 'ready') return client
      client.disconnect()
      this.#client = connect(this.#options)
      return await this.#client
    } catch (error) {
      this.#client = null
      throw failure(error, hidden, 'unreachable')
    }
  }
}

async function connect(options: RedisOptions): Promise<Redis> {
  // Loaded when a connection of this kind is named.
  const { Redis } = commonJs(await import('ioredis'))
  const client = new Redis(options)
  // Each is thrown where it matters; without a listener it would end the process.
  let last: unknown = null
  client.on('error', (error: unknown) => (last = error))
  try {
    await client.connect()
    return client
  } catch (error) {
    client.disconnect()
    throw last ?? error
  }
}

function secretOf(credential: Credential): string {
  if (credential.kind === 'password') return credential.password
  throw new DatabaseFailure('refused', `${credential.kind} is not for this database`)
}

function failure(error: unknown, secrets: readonly string[], otherwise: 'unreachable' | 'unknown'): DatabaseFailure {
  if (error instanceof DatabaseFailure) return error
  const { message = '', code = '', name = '' } = (error ?? {}) as { message?: string; code?: string; name?: string }
  const text = withoutSecrets(message || code || 'the database gave no reason', secrets)
  if (/^(?:WRONGPASS|NOAUTH)\b/.test(message)) return new DatabaseFailure('wrong-password', text)
  return new DatabaseFailure(name === 'ReplyError' ? 'refused' : otherwise, text)
}

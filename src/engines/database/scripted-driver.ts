import type { Json } from '#ground/text/json.ts'
import {
  type Credential,
  type DatabaseConnection,
  type DatabaseDriver,
  DatabaseFailure,
  type FailureKind,
  type NewUser,
} from './driver.ts'

type Call = 'verify' | 'exists' | 'createUser' | 'extendUser' | 'dropUser' | 'setCredential'

/**
 * A database in memory, for tests of what the engine makes of one: its accounts outlive the server, and each call can be
 * made to fail, before it is done or after, or to hang.
 */
export class ScriptedDatabase {
  readonly accounts = new Map<string, { credential: Credential; expiresAt: number }>([
    ['root', { credential: { kind: 'password', password: 'first' }, expiresAt: Number.POSITIVE_INFINITY }],
  ])
  /** Every call that came through, in order, with what it was told. */
  readonly calls: { call: Call; told: Json }[] = []
  /** The next call of a kind fails so; `done`: after it was done. */
  readonly failures = new Map<Call, { kind: FailureKind; done?: true }>()
  closed = 0

  told(call: Call): Json[] {
    return this.calls.filter(one => one.call === call).map(one => one.told)
  }

  passwordOf(username: string): string | null {
    const credential = this.accounts.get(username)?.credential
    return credential?.kind === 'password' ? credential.password : null
  }

  async ask<R>(login: { username: string; password: string }, call: Call, told: Json, work: () => R): Promise<R> {
    if (this.passwordOf(login.username) !== login.password)
      throw new DatabaseFailure('wrong-password', `password of ${login.username} is wrong`)
    this.calls.push({ call, told })
    const failure = this.failures.get(call)
    this.failures.delete(call)
    if (failure?.done) work()
    if (failure !== undefined) throw new DatabaseFailure(failure.kind, `${call} failed as it was told`)
    return work()
  }

  driver(): DatabaseDriver {
    return {
      plugins: ['scripted-database-plugin'],
      hidden: ['password'],
      usernameTemplate: 'v-{{.DisplayName}}-{{.RoleName}}-{{random 6}}',
      usernameBytesMax: 32,
      needsCreationStatements: true,
      needsUrl: false,
      credentials: ['password', 'rsa_private_key'],
      connect: async ({ details, password }) =>
        new ScriptedConnection(this, { username: details['username'] as string, password }),
    }
  }
}

class ScriptedConnection implements DatabaseConnection {
  readonly #database: ScriptedDatabase
  readonly #login: { username: string; password: string }

  constructor(database: ScriptedDatabase, login: { username: string; password: string }) {
    this.#database = database
    this.#login = login
  }

  verify(): Promise<void> {
    return this.#database.ask(this.#login, 'verify', null, () => undefined)
  }

  exists(username: string): Promise<boolean> {
    return this.#database.ask(this.#login, 'exists', username, () => this.#database.accounts.has(username))
  }

  createUser({ username, credential, expiresAt, statements }: NewUser): Promise<void> {
    return this.#database.ask(this.#login, 'createUser', { username, statements, expiresAt }, () => {
      this.#database.accounts.set(username, { credential, expiresAt })
    })
  }

  extendUser({
    username,
    expiresAt,
    statements,
  }: Pick<NewUser, 'username' | 'expiresAt' | 'statements'>): Promise<void> {
    return this.#database.ask(this.#login, 'extendUser', { username, statements, expiresAt }, () => undefined)
  }

  dropUser({ username, statements }: Pick<NewUser, 'username' | 'statements'>): Promise<void> {
    return this.#database.ask(this.#login, 'dropUser', { username, statements }, () => {
      this.#database.accounts.delete(username)
    })
  }

  setCredential(user: Pick<NewUser, 'username' | 'credential' | 'statements'>): Promise<void> {
    const { username, credential, statements } = user
    return this.#database.ask(this.#login, 'setCredential', { username, statements }, () => {
      const account = this.#database.accounts.get(username)
      if (account === undefined) throw new DatabaseFailure('refused', `no account ${username}`)
      this.#database.accounts.set(username, { ...account, credential })
    })
  }

  async close(): Promise<void> {
    this.#database.closed++
  }
}

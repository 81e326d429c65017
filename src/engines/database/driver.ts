import type { Instant } from '#ground/base/clock.ts'
import type { JsonObject } from '#ground/text/json.ts'

/** How one connection is made; what the driver needs of it, it reads itself. */
export type ConnectionSettings = {
  /** All that `config` got beside its own fields: `connection_url`, `username`, TLS, …; the password is in `password`. */
  readonly details: JsonObject
  readonly password: string
}

export type NewUser = {
  readonly username: string
  readonly password: string
  /** After it the database itself refuses the user. */
  readonly expiresAt: Instant
  readonly statements: readonly string[]
  /** Run when the creation fails half way; empty = the driver's own. */
  readonly rollback: readonly string[]
}

/**
 * A database, as its server's account sees it. Every call is bounded in time, and aborted by its signal. What is thrown
 * has the database's own words, and no secret.
 */
export interface DatabaseConnection {
  /** @throws Error */
  verify(signal: AbortSignal): Promise<void>
  createUser(user: NewUser, signal: AbortSignal): Promise<void>
  extendUser(user: Pick<NewUser, 'username' | 'expiresAt' | 'statements'>, signal: AbortSignal): Promise<void>
  /** Of a user that isn't there nothing is left to do. */
  dropUser(user: Pick<NewUser, 'username' | 'statements'>, signal: AbortSignal): Promise<void>
  setPassword(user: Pick<NewUser, 'username' | 'password' | 'statements'>, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export type DatabaseDriver = {
  /** Values of `plugin_name`. */
  readonly plugins: readonly string[]
  /** Fields of `connection_details` that are never shown. */
  readonly hidden: readonly string[]
  readonly usernameTemplate: string
  readonly needsCreationStatements: boolean
  /** The account's password is wrong: not that the database is away, or something else is. */
  isWrongPassword(error: unknown): boolean
  /** Connects when it is first used. @throws Error for settings that can't be */
  connect(settings: ConnectionSettings): Promise<DatabaseConnection>
}

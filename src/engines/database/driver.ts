import type { Instant } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import type { JsonObject } from '#ground/text/json.ts'

/** How one connection is made; what the driver needs of it, it reads itself. */
export type ConnectionSettings = {
  /** All that `config` got beside its own fields: `connection_url`, `username`, TLS, …; the password is in `password`. */
  readonly details: JsonObject
  readonly password: string
}

/** What an account proves itself by, as the database is told. */
export type Credential =
  | { readonly kind: 'password'; readonly password: string }
  /** PEM, SubjectPublicKeyInfo. */
  | { readonly kind: 'rsa_private_key'; readonly publicKey: string }
  /** The common name of the certificate. */
  | { readonly kind: 'client_certificate'; readonly subject: string }

export type NewUser = {
  readonly username: string
  readonly credential: Credential
  /** After it the database itself refuses the user. */
  readonly expiresAt: Instant
  readonly statements: readonly string[]
}

/**
 * - `refused`: the server answered with an error, and nothing of what was asked is under way any more.
 * - `exists`: refused since there is something of that name already; nothing was made.
 * - `wrong-password`: the account of the connection is refused; nothing was done.
 * - `unreachable`: nothing was sent.
 * - `unknown`: no answer came; what was asked may yet be done.
 */
export type FailureKind = 'refused' | 'exists' | 'wrong-password' | 'unreachable' | 'unknown'

/** What a database, or the way to it, says; the text has no secret in it. */
export class DatabaseFailure extends Error {
  override readonly name = 'DatabaseFailure'
  readonly kind: FailureKind

  constructor(kind: FailureKind, message: string) {
    super(message)
    this.kind = kind
  }
}

/** A text of the database's without the secrets that a statement of ours held. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let out = text
  for (const secret of secrets) if (secret !== '') out = out.replaceAll(secret, '[secret]')
  return out
}

/** The secret of a credential as a statement holds it. */
export const secretsOf = (credential: Credential): readonly string[] =>
  credential.kind === 'password' ? [credential.password] : []

type Named<K extends keyof NewUser> = Pick<NewUser, 'username' | K>

/**
 * A database, as its server's account sees it. Every call is bounded in time, and aborted by its signal; what fails is a
 * `DatabaseFailure`. `exists` and `dropUser` wait for a creation of the same name that another process, ended meanwhile,
 * left under way: after them it is decided.
 */
export interface DatabaseConnection {
  verify(signal: AbortSignal): Promise<void>
  exists(username: string, signal: AbortSignal): Promise<boolean>
  createUser(user: NewUser, signal: AbortSignal): Promise<void>
  extendUser(user: Named<'expiresAt' | 'statements'>, signal: AbortSignal): Promise<void>
  /** @param user.statements empty = the driver's own. Of a user that isn't there nothing is left to do. */
  dropUser(user: Named<'statements'>, signal: AbortSignal): Promise<void>
  setCredential(user: Named<'credential' | 'statements'>, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export type DatabaseDriver = {
  /** Values of `plugin_name`. */
  readonly plugins: readonly string[]
  /** Fields of `connection_details` that are never shown. */
  readonly hidden: readonly string[]
  readonly usernameTemplate: string
  /** A longer name would be cut by the database, and be somebody else's. */
  readonly usernameBytesMax: number | null
  readonly needsCreationStatements: boolean
  readonly needsUrl: boolean
  readonly credentials: readonly Credential['kind'][]
  /** Connects when it is first used. @throws DatabaseFailure for settings that can't be */
  connect(settings: ConnectionSettings, world: Pick<World, 'entropy'>): Promise<DatabaseConnection>
}

/** The exports of a CommonJS package: in a bundle they stand under `default` alone. */
export function commonJs<M extends object>(loaded: M): M {
  const { default: whole } = loaded as { default?: unknown }
  return typeof whole === 'object' || typeof whole === 'function' ? ((whole ?? loaded) as M) : loaded
}

/** Text of the details, empty when it isn't there. */
export function detail(details: JsonObject, name: string): string {
  const value = details[name]
  return typeof value === 'string' ? value : ''
}

/** Vault's clients send `true` as well as `"true"`. */
export const isOn = (details: JsonObject, name: string): boolean =>
  details[name] === true || ['true', '1', 't', 'T', 'TRUE', 'True'].includes(detail(details, name))

const openDefault = 4
const openMax = 64

/** `max_open_connections`, within our own bound. */
export function openConnections(details: JsonObject): number {
  const asked = Number(details['max_open_connections'] ?? 0)
  return Number.isFinite(asked) && asked >= 1 ? Math.min(Math.trunc(asked), openMax) : openDefault
}

/** Fills `{{username}}` and `{{password}}` of a URL. */
export function fillUrl(url: string, values: { username: string; password: string }): string {
  return url.replaceAll(/\{\{\s*(username|password)\s*\}\}/g, (_, name: 'username' | 'password') => values[name])
}

/** ms that one call of a driver may take at most, its waiting included. */
export const callMsMax = 30_000
/** ms for reaching the server. */
export const connectMsMax = 10_000

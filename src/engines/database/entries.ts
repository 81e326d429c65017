import type { Instant, Seconds } from '#ground/base/clock.ts'
import type { JsonObject } from '#ground/text/json.ts'
import { jsonEntries } from '#backend/storage.ts'
import type { Credential } from './driver.ts'

/** A connection as it is kept. */
export type Config = {
  readonly pluginName: string
  readonly pluginVersion: string
  readonly verifyConnection: boolean
  /** Names and globs; empty = nobody. */
  readonly allowedRoles: readonly string[]
  readonly rootRotationStatements: readonly string[]
  readonly passwordPolicy: string
  /** As sent, but for the password. */
  readonly details: JsonObject
  readonly password: string
  /**
   * Written before the database is told, and never dropped for the old one: what was asked of the database may be done
   * late. One of the two is right at every moment; the next rotation gives the same.
   */
  readonly pendingPassword: string | null
  /** Another one means: connect anew. */
  readonly generation: string
}

export type CredentialKind = Credential['kind']

/** What credentials a role gives: its type, and the options of it as sent. */
export type CredentialPlan = {
  readonly kind: CredentialKind
  readonly options: Readonly<Record<string, string>>
}

export type Role = {
  readonly dbName: string
  readonly creationStatements: readonly string[]
  readonly revocationStatements: readonly string[]
  readonly rollbackStatements: readonly string[]
  readonly renewStatements: readonly string[]
  /** 0 = the mount's. */
  readonly defaultTtl: Seconds
  readonly maxTtl: Seconds
  readonly credential: CredentialPlan
}

/** What a static role's account proves itself by; the private half is what readers get. */
export type Material =
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'rsa_private_key'; readonly privateKey: string; readonly publicKey: string }

export type StaticRole = {
  readonly dbName: string
  readonly username: string
  /** 0 where a schedule says when. */
  readonly rotationPeriod: Seconds
  /** Five fields of cron; empty where a period says how often. */
  readonly rotationSchedule: string
  /** How long after its time a scheduled rotation may still be done; 0 = without end. */
  readonly rotationWindow: Seconds
  readonly rotationStatements: readonly string[]
  readonly credential: CredentialPlan
  /** null until the first rotation is done. */
  readonly current: Material | null
  /** As in `Config`. */
  readonly pending: Material | null
  readonly rotatedAt: Instant | null
  readonly nextAt: Instant
}

export const configEntries = jsonEntries<Config>('config/')
export const roleEntries = jsonEntries<Role>('role/')
export const staticRoleEntries = jsonEntries<StaticRole>('static-role/')

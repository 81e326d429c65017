import type { Instant, Seconds } from '#ground/base/clock.ts'
import type { JsonObject } from '#ground/text/json.ts'
import { jsonEntries } from '#backend/storage.ts'

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
  /** Written before the database is told: after a crash in between one of the two is right. */
  readonly pendingPassword: string | null
  /** Another one means: connect anew. */
  readonly generation: string
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
  readonly passwordPolicy: string
}

export type StaticRole = {
  readonly dbName: string
  readonly username: string
  readonly rotationPeriod: Seconds
  readonly rotationStatements: readonly string[]
  readonly passwordPolicy: string
  /** null until the first rotation is done. */
  readonly password: string | null
  /** As in `Config`. */
  readonly pendingPassword: string | null
  readonly rotatedAt: Instant
}

export const configEntries = jsonEntries<Config>('config/')
export const roleEntries = jsonEntries<Role>('role/')
export const staticRoleEntries = jsonEntries<StaticRole>('static-role/')

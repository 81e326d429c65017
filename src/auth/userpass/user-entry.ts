import { jsonEntries } from '#backend/storage.ts'
import type { StoredParameters } from '#backend/token-parameters.ts'

/** Somebody with a password. */
export type User = {
  /** bcrypt, in its text form. Never shown. */
  readonly hash: string
  readonly stored: StoredParameters
}

/** By name, in lower case. */
export const userEntries = jsonEntries<User>('user/')

/** The highest cost of any hash that this mount was ever given: what a refused login costs. Never lowered. */
export type Floor = { readonly cost: number }

export const floorEntries = jsonEntries<Floor>('floor/')
export const floorKey = floorEntries.key('floor')

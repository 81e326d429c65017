import { accessSync, chmodSync, closeSync, constants, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import type { Log } from '#ground/base/log.ts'
import { StoreError } from '#stores/store.ts'
import { damaged } from './sqlite-error.ts'

export type Layout = {
  readonly folder: string
  /** The database; SQLite puts `-wal` and `-shm` beside it, with its mode. */
  readonly database: string
  /** Locked for as long as the store is open. */
  readonly lock: string
  /** Says who holds the lock, for people. */
  readonly holder: string
}

const databaseName = 'coffer.db'

/** @param path a folder, for `coffer.db` in it, or a file: one that exists, or a name that ends in `.db`. */
export function layoutOf(path: string): Layout {
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() ?? extname(path) === '.db'
  const database = isFile ? path : join(path, databaseName)
  return { folder: dirname(database), database, lock: `${database}.lock`, holder: `${database}.holder` }
}

/**
 * Makes the folder, 0700, when it isn't there.
 * @throws StoreError `failed` when it can't be made or written to
 */
export function prepareFolder(layout: Layout, log: Log): void {
  const { folder } = layout
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw unusable(`the storage folder ${folder} can't be made or written to`, cause)
  }
  const mode = statSync(folder).mode & 0o777
  // The folder may be shared on purpose, or owned by someone else: its mode is not ours to change.
  if (mode & 0o007)
    log.warn('the storage folder is open to every user of this machine', { folder, mode: mode.toString(8) })
}

/**
 * Makes the empty database file, 0600, when it isn't there. To be called under the lock only: to close a descriptor
 * of a database drops the locks that this process holds on it.
 * @throws StoreError `failed`
 */
export function prepareDatabase(layout: Layout): void {
  const { database } = layout
  // SQLite would drop the log, and with it what was acknowledged: a new store has none.
  if (sizeOf(database) === 0 && sizeOf(`${database}-wal`) > 0) {
    throw new StoreError('failed', `${database} is missing or empty, but its log is there: ${damaged}`)
  }
  try {
    const isNew = statSync(database, { throwIfNoEntry: false }) === undefined
    closeSync(openSync(database, constants.O_RDWR | constants.O_CREAT, 0o600))
    if (isNew) syncFolder(layout.folder)
    else if (statSync(database).mode & 0o077) chmodSync(database, 0o600)
  } catch (cause) {
    throw unusable(`the storage file ${database} can't be made or written to`, cause)
  }
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, constants.O_RDONLY)
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function unusable(what: string, cause: unknown): StoreError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  const user = process.geteuid?.()
  return new StoreError('failed', `${what} (${code}) as user ${user ?? 'unknown'}: check its owner and mode`, { cause })
}

import { StoreError } from '#stores/store.ts'

/** What SQLite said, in a form that crosses threads. `code` is the primary result code; 0 when it wasn't SQLite. */
export type SqliteFailure = { readonly code: number; readonly message: string }

/** What is wrong, and the way out. */
export const damaged =
  'the file is damaged: move it away with its -wal and -shm, start, and restore a snapshot (coffer operator snapshot restore -force FILE)'

/** Primary result codes, https://sqlite.org/rescode.html */
const meanings: Readonly<Record<number, string>> = {
  5: 'the database is locked by another program',
  6: 'the database is locked by another program',
  8: 'the file or its folder is read-only',
  10: 'reading or writing failed',
  11: damaged,
  13: 'the disk is full',
  14: 'the file, its -wal or its -shm file cannot be opened: check owner, mode and free descriptors',
  23: 'access is denied',
  26: 'the file is no coffer store',
}

export const sqliteBusy = 5
export const sqliteFull = 13

export function sqliteFailure(error: unknown): SqliteFailure {
  const message = error instanceof Error ? error.message : String(error)
  const code =
    error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : 0
  return { code, message }
}

/** Nothing of it is there. @param doing as of `failed` */
export function full(doing: string, database: string): StoreError {
  return new StoreError(
    'full',
    `${doing} of ${database} was refused: the disk is full. Make room; no restart is needed`,
  )
}

/** @param doing `commit`, `read`, … @param database the file's path */
export function failed(doing: string, database: string, failure: SqliteFailure): StoreError {
  const meaning = meanings[failure.code]
  const why = meaning === undefined ? failure.message : `${meaning} (${failure.message})`
  return new StoreError('failed', `${doing} of ${database} failed: ${why}`)
}

import { chmodSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { StoreEntry } from '#stores/store.ts'
import type { Opened } from './messages.ts'
import { damaged } from './sqlite-error.ts'

// `coff`: what `file` and this program tell a coffer store by.
const applicationId = 0x636f6666
const formatVersion = 1

// A database up to this is checked as a whole when it is opened: a tenth of a second on a common disk. Bytes.
const checkedBytesMax = 64 * 1024 * 1024

// A log that grew past this in a burst is cut when it begins anew, bytes.
const logBytesKept = 64 * 1024 * 1024

/** How long a connection waits for another's lock, ms. Only the recovery of the log takes one that matters. */
const lockWaitMs = 5_000

/**
 * The one connection that writes. A rowid table with a unique text key: without the rowid, entries of 300 bytes cost
 * half as much again in written bytes.
 * @throws Error from SQLite, or one that says what the file is
 */
export function openForWriting(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: lockWaitMs, enableForeignKeyConstraints: false })
  try {
    const isNew = numberOf(database, 'SELECT count(*) FROM sqlite_schema') === 0
    checkFormat(database, isNew)
    if (isNew) database.exec('PRAGMA page_size = 4096')
    const mode = database.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode']
    if (mode !== 'wal')
      throw new Error('its file system has no shared memory for the write-ahead log: use a local disk')
    database.exec(
      `PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = ${logBytesKept};
       PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY`,
    )
    if (isNew) create(database)
    else if (statSync(path).size <= checkedBytesMax) checkPages(database)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** Finds pages that are none of a tree. What a value says only the barrier can tell: it authenticates each that is read. */
function checkPages(database: DatabaseSync): void {
  const found = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check']
  if (found !== 'ok') throw new Error(`${damaged} (${String(found).replaceAll('\n', ' ')})`)
}

function checkFormat(database: DatabaseSync, isNew: boolean): void {
  const id = numberOf(database, 'PRAGMA application_id')
  if (id !== applicationId && !(isNew && id === 0)) throw new Error('the file belongs to another program')
  const version = numberOf(database, 'PRAGMA user_version')
  if (version > formatVersion)
    throw new Error(`it was written by a newer coffer (format ${version}), this one knows ${formatVersion}: update it`)
}

function create(database: DatabaseSync): void {
  database.exec(
    `BEGIN IMMEDIATE;
     CREATE TABLE entry (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL) STRICT;
     CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, term INTEGER NOT NULL) STRICT;
     INSERT INTO state VALUES (1, 0, 0);
     PRAGMA application_id = ${applicationId};
     PRAGMA user_version = ${formatVersion};
     COMMIT`,
  )
}

/** A database that is being filled and that nobody reads: no journal, and no sync until it is whole. */
export function openForStaging(path: string): {
  put(entries: readonly StoreEntry[]): void
  finish(state: Opened): void
  close(): void
} {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: false })
  try {
    chmodSync(path, 0o600)
    database.exec('PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF')
    create(database)
  } catch (error) {
    database.close()
    throw error
  }
  const put = database.prepare('INSERT INTO entry (key, value) VALUES (?, ?)')
  return {
    put(entries) {
      database.exec('BEGIN')
      for (const { key, value } of entries) put.run(key, value)
      database.exec('COMMIT')
    },
    finish({ revision, term }) {
      database.prepare('UPDATE state SET revision = ?, term = ? WHERE id = 1').run(revision, term)
    },
    close: () => database.close(),
  }
}

export function readState(database: DatabaseSync): Opened {
  return {
    revision: numberOf(database, 'SELECT revision FROM state WHERE id = 1'),
    term: numberOf(database, 'SELECT term FROM state WHERE id = 1'),
  }
}

function numberOf(database: DatabaseSync, query: string): number {
  const statement = database.prepare(query)
  statement.setReturnArrays(true)
  const row: unknown = statement.get()
  const value: unknown = Array.isArray(row) ? row[0] : undefined
  if (typeof value !== 'number') throw new Error(`${query} gives no number`)
  return value
}

/** A connection for checkpoints: it writes to the database what is in the log, and nothing to the log. */
export function openForCheckpoints(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: lockWaitMs })
  database.exec('PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0')
  return database
}

/** @param cacheBytes of pages; no mmap, which would count the file into this process's memory. */
export function openForReading(path: string, cacheBytes: number): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: true, timeout: lockWaitMs })
  database.exec(
    `PRAGMA cache_size = -${Math.ceil(cacheBytes / 1024)}; PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF`,
  )
  return database
}

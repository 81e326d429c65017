import type { DatabaseSync } from 'node:sqlite'
import type { StoreCopy, StoreEntry } from '#stores/store.ts'
import { openForReading, readState } from './schema.ts'

/** Read in one turn of the event loop; others are served between. */
const pageBytes = 128 * 1024
const cacheBytes = 1024 * 1024

/**
 * Reads all entries through a connection of its own, in one read transaction: the log keeps what is newer until this is
 * disposed of.
 */
export function copyOf(path: string): StoreCopy {
  const database = openForReading(path, cacheBytes)
  try {
    database.exec('BEGIN')
    const { revision } = readState(database)
    return { revision, pages: pagesOf(database), [Symbol.dispose]: () => close(database) }
  } catch (error) {
    database.close()
    throw error
  }
}

function close(database: DatabaseSync): void {
  if (database.isOpen) database.close()
}

async function* pagesOf(database: DatabaseSync): AsyncGenerator<readonly StoreEntry[]> {
  const statement = database.prepare('SELECT key, value FROM entry ORDER BY key')
  statement.setReturnArrays(true)
  let page: StoreEntry[] = []
  let bytes = 0
  for (const row of statement.iterate()) {
    const [key, value] = row as unknown as [string, Uint8Array]
    page.push({ key, value })
    bytes += key.length + value.length
    if (bytes < pageBytes) continue
    yield page
    page = []
    bytes = 0
    await new Promise(setImmediate)
  }
  if (page.length > 0) yield page
}

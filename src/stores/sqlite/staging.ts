import { existsSync, renameSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Revision, StoreEntry } from '#stores/store.ts'
import { type Layout, syncFolder } from './layout.ts'
import { openForStaging } from './schema.ts'

/**
 * Another content on its way in. `incoming` is being written and means nothing; once it is whole and on the disk it is
 * renamed to `staged`, and from that instant on it is the store's next content: who opens the store installs it first.
 */
const incomingOf = ({ database }: Layout): string => `${database}.incoming`
const stagedOf = ({ database }: Layout): string => `${database}.staged`

export type StagedState = {
  /** Beyond all that the present content has. */
  readonly revision: Revision
  readonly term: number
}

/** Durable when it resolves. @throws what `pages` throws, and what SQLite does; nothing is left then. */
export async function stage(
  layout: Layout,
  pages: AsyncIterable<readonly StoreEntry[]>,
  state: () => StagedState,
): Promise<void> {
  const incoming = incomingOf(layout)
  discard(incoming)
  try {
    const database = openForStaging(incoming)
    try {
      for await (const page of pages) {
        database.put(page)
        await new Promise(setImmediate)
      }
      database.finish(state())
    } finally {
      database.close()
    }
    const file = await open(incoming, 'r+')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    renameSync(incoming, stagedOf(layout))
    syncFolder(layout.folder)
  } catch (error) {
    discard(incoming)
    throw error
  }
}

/**
 * Puts what is staged in the place of the database, which nobody has open. Interrupted at any instant it is done again at
 * the next opening: the staged file goes last.
 */
export function installStaged(layout: Layout): boolean {
  discard(incomingOf(layout))
  const staged = stagedOf(layout)
  if (!existsSync(staged)) return false
  // The log of the old content would be played into the new one.
  for (const suffix of ['-wal', '-shm']) rmSync(`${layout.database}${suffix}`, { force: true })
  renameSync(staged, layout.database)
  syncFolder(layout.folder)
  return true
}

function discard(path: string): void {
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
}

import { writeSync } from 'node:fs'
import { systemClock } from '#ground/base/clock.ts'
import { silentLog } from '#ground/base/log.ts'
import { never, put } from '#stores/store.lab.ts'
import { type Store, StoreError } from '#stores/store.ts'
import { openSqliteStore } from './sqlite.ts'

/** A process that writes to a store until it is killed, or until the store fails; run by the crash tests. */
export const writerPath = import.meta.filename

/**
 * Where the writer kills itself: with its n-th group not yet sent, just sent, or when the n-th commit was acknowledged.
 * `never`: it writes until the store fails or all is written. `hold`: it opens the store and waits.
 */
export type WriterMode = 'before' | 'sent' | 'acknowledged' | 'never' | 'hold'

/** Commits in all, and how many are under way at a time. */
export const writerCommits = 80
const width = 4

// So large that a few dozen commits pass a file size limit.
const padding = 'x'.repeat(3_000)

const tell = (line: string): void => {
  writeSync(1, `${line}\n`)
}
const die = (): void => {
  process.kill(process.pid, 'SIGKILL')
}

async function write(store: Store, mode: WriterMode, at: number): Promise<void> {
  const term = await store.campaign(never)
  tell(`term ${term.term}`)
  let acknowledged = 0
  for (let first = 0; first < writerCommits; first += width) {
    const commits = Array.from({ length: width }, async (_, offset) => {
      const i = first + offset
      const value = `${i} ${padding}`
      await store.commit([put(`a/${i}`, value), put(`b/${i}`, value), put('last', String(i))], term)
      tell(`acknowledged ${i}`)
      if (mode === 'acknowledged' && ++acknowledged === at) die()
    })
    // All of them, before the first failure is told.
    const failure = (await Promise.allSettled(commits)).find(result => result.status === 'rejected')
    if (failure) throw failure.reason
  }
}

async function main(path: string, mode: WriterMode, at: number): Promise<void> {
  let groups = 0
  const beforeCommit = (): void => {
    if (++groups !== at) return
    if (mode === 'before') die()
    if (mode === 'sent') setImmediate(die)
  }
  const store = await openSqliteStore({ path, world: { clock: systemClock, log: silentLog }, beforeCommit })
  tell('open')
  if (mode === 'hold') {
    process.stdin.resume()
    return
  }
  try {
    await write(store, mode, at)
  } catch (error) {
    tell(`write ${code(error)}`)
    tell(`read ${await Promise.try(() => store.head()).catch(code)}`)
    tell(`commit ${await store.commit([], { term: 1_000_000 }).catch(code)}`)
  }
  await store.close()
  tell('closed')
}

function code(error: unknown): string {
  return error instanceof StoreError ? error.code : String(error)
}

if (import.meta.main) {
  const [, , path = '', mode = 'never', at = '0'] = process.argv
  await main(path, mode as WriterMode, Number(at)).catch(error => tell(`open ${code(error)}`))
}

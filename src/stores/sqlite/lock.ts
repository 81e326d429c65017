import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { StoreError } from '#stores/store.ts'
import type { Layout } from './layout.ts'
import { failed, sqliteBusy, sqliteFailure } from './sqlite-error.ts'

/**
 * Takes the store for this process. The lock is the kernel's, on a database of its own that stays empty, so it ends
 * with the process, however that ends; a pid file would outlive `kill -9`, and its pid may be anyone's by then.
 * @throws StoreError `busy`, with the holder when it is known; `failed`
 */
export function takeLock(layout: Layout): Disposable {
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(layout.lock, { timeout: 0 })
    // No journal file: nothing is ever written.
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    lock?.close()
    const failure = sqliteFailure(error)
    if (failure.code === sqliteBusy) throw new StoreError('busy', `${layout.database} is in use${byWhom(layout)}`)
    throw failed('locking', layout.database, failure)
  }
  const held = lock
  try {
    // By path: to open and close a descriptor here would drop the lock.
    chmodSync(layout.lock, 0o600)
    writeFileSync(layout.holder, `${process.pid} ${hostname()}\n`, { mode: 0o600 })
  } catch (cause) {
    held.close()
    throw new StoreError('failed', `${layout.holder} can't be written`, { cause })
  }
  return {
    [Symbol.dispose]: () => {
      rmSync(layout.holder, { force: true })
      held.close()
    },
  }
}

function byWhom(layout: Layout): string {
  try {
    const [, pid, host] = /^(\d+) (\S+)\n$/.exec(readFileSync(layout.holder, 'utf8')) ?? []
    return pid === undefined ? '' : ` by process ${pid} on ${host}`
  } catch {
    return ''
  }
}

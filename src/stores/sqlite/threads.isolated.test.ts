import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Packer } from './packing.ts'
import { Threads } from './threads.ts'
import { failureOf } from './worker-link.ts'

async function withThreads(
  body: (threads: Threads, database: string, deaths: string[]) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'coffer-threads-'))
  try {
    const database = join(folder, 'coffer.db')
    closeSync(openSync(database, 'a'))
    const deaths: string[] = []
    const threads = new Threads({
      database,
      pagesMax: null,
      env: process.env,
      onDeath: failure => deaths.push(failure.message),
    })
    assert.deepEqual(await threads.committer.opened, { revision: 0, term: 0 })
    await threads.startCheckpointer()
    await body(threads, database, deaths)
    await threads.close()
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Bytes that differ each time: SQLite writes no page for a value that is overwritten by itself. */
async function commit(threads: Threads, revision: number, bytes: number): Promise<void> {
  const packer = new Packer()
  for (const key of ['a', 'b']) packer.add([{ key, value: new Uint8Array(bytes).fill(revision) }])
  const { memory, length } = packer
  await threads.committer.call({ kind: 'commit', memory, length, revision, term: 1 }, [memory])
}

/** The log's sequence number, which grows when it begins anew; https://sqlite.org/fileformat2.html#walformat */
function sequence(database: string): number {
  const head = Buffer.alloc(16)
  const descriptor = openSync(`${database}-wal`, 'r')
  readSync(descriptor, head, 0, 16, 0)
  closeSync(descriptor)
  return head.readUInt32BE(12)
}

test('sqlite store: a long log is handed over and begins anew, a short one is not', async () => {
  await withThreads(async (threads, database) => {
    let revision = 0
    await commit(threads, ++revision, 250_000)
    assert.deepEqual(await threads.checkpoint(), { isHandOverDue: false })
    await commit(threads, ++revision, 250_000)
    const before = sequence(database)
    // 8,000 frames of 4 kB are long.
    for (let i = 0; i < 72; i++) await commit(threads, ++revision, 250_000)
    assert.equal(sequence(database), before)
    assert.deepEqual(await threads.checkpoint(), { isHandOverDue: true })
    await commit(threads, ++revision, 10)
    await threads.committer.call({ kind: 'checkpoint' })
    await commit(threads, ++revision, 10)
    assert.ok(sequence(database) > before)
  })
})

test('sqlite store: after a failed group the committer writes no other, and an ended thread answers nothing', async () => {
  await withThreads(async (threads, _, deaths) => {
    // A head that is cut: any failure within a group will do.
    const memory = new ArrayBuffer(4)
    await assert.rejects(
      threads.committer.call({ kind: 'commit', memory, length: 4, revision: 1, term: 1 }, []),
      error => failureOf(error).message !== '',
    )
    await assert.rejects(commit(threads, 2, 10), error => failureOf(error).message === 'an earlier commit failed')
    await threads.committer.end()
    await assert.rejects(commit(threads, 3, 10), error => failureOf(error).message === 'the thread was ended')
    assert.deepEqual(deaths, [])
  })
})

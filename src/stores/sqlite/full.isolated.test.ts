import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { virtualClock } from '#ground/base/clock.ts'
import { createLog } from '#ground/base/log.ts'
import { isCode, never, put } from '#stores/store.lab.ts'
import type { Store, StoreError } from '#stores/store.ts'
import { openSqliteStore } from './sqlite.ts'

const large = 'v'.repeat(100_000)
const clock = virtualClock()

function open(path: string, lines: string[], pagesMax?: number): Promise<Store> {
  const log = createLog({ level: 'info', format: 'json', write: line => lines.push(line), now: Date.now })
  return openSqliteStore({ path, world: { clock, log }, ...(pagesMax !== undefined && { pagesMax }) })
}

test('sqlite store: what finds no room is refused with all that came after it, and nothing else is lost', async () => {
  const path = mkdtempSync(join(tmpdir(), 'coffer-full-'))
  const lines: string[] = []
  try {
    const store = await open(path, lines, 100)
    const term = await store.campaign(never)
    await store.commit([put('kept', 'old'), put('big', large)], term)
    const head = await store.head()
    // Four of a size that does not fit; the small ones came in time, but after one that is lost.
    const tried = await Promise.allSettled(
      [0, 1, 2, 3].flatMap(i => [
        store.commit([put(`lost/${i}`, large), put('kept', `new ${i}`)], term),
        store.commit([put(`after/${i}`)], term),
      ]),
    )
    for (const one of tried) assert.ok(one.status === 'rejected' && isCode('full')(one.reason))
    assert.match(((tried[0] as PromiseRejectedResult).reason as StoreError).message, /coffer\.db .*the disk is full/)
    // Not even one that would fit is taken at once: its caller may have read what is lost.
    await assert.rejects(store.commit([put('soon')], term), isCode('full'))
    await assert.rejects(store.campaign(never), isCode('full'))
    assert.equal(Buffer.from((await store.get('kept'))!).toString(), 'old')
    assert.deepEqual(await store.list('', { limit: 9 }), { names: ['big', 'kept'], more: false })
    // A second later there may be room: the value is removed, and another takes its place.
    await clock.advance(1_000)
    await store.commit([{ key: 'big', value: null }], term)
    assert.ok((await store.head()) > head)
    await store.commit([put('other', large)], term)
    const next = await store.campaign(never)
    await store.commit([put('last')], next)
    await store.close()
    const again = await open(path, lines)
    assert.deepEqual(await again.list('', { limit: 9 }), { names: ['kept', 'last', 'other'], more: false })
    await again.close()
    assert.equal(lines.filter(line => line.includes('the disk is full: writes')).length, 1)
    assert.equal(lines.filter(line => line.includes('the disk has room again')).length, 1)
  } finally {
    rmSync(path, { recursive: true })
  }
})

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '#ground/base/clock.ts'
import { silentLog } from '#ground/base/log.ts'
import { storeContract } from '#stores/store.contract.ts'
import { faultContract } from '#stores/store.fault.contract.ts'
import { never, put, type StoreLab } from '#stores/store.lab.ts'
import type { Store, Term } from '#stores/store.ts'
import { Packer, unpack } from './packing.ts'
import { openSqliteStore, type SqliteStoreOptions } from './sqlite.ts'

const lab = async (): Promise<StoreLab> => {
  const path = mkdtempSync(join(tmpdir(), 'coffer-store-'))
  return {
    open: () => openSqliteStore({ path, world: { clock: systemClock, log: silentLog } }),
    [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true }),
  }
}

storeContract({ name: 'sqlite store', modelRuns: 15, lab })
faultContract({ name: 'sqlite store', lab })

async function withStore(
  options: Partial<SqliteStoreOptions>,
  body: (store: Store, term: Term, path: string) => Promise<void>,
): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'coffer-store-'))
  try {
    const store = await openSqliteStore({ path, world: { clock: systemClock, log: silentLog }, ...options })
    await body(store, await store.campaign(never), path)
    await store.close()
  } finally {
    rmSync(path, { recursive: true })
  }
}

test('sqlite store: beforeCommit is called before each group leaves, and commits of one turn share a group', async () => {
  let calls = 0
  const beforeCommit = (): void => {
    calls++
  }
  await withStore({ beforeCommit }, async (store, term) => {
    const before = calls
    await Promise.all(Array.from({ length: 50 }, (_, i) => store.commit([put(`k${i}`)], term)))
    assert.equal(calls, before + 1)
    // The first leaves alone, the others wait together for its return.
    const first = store.commit([put('first')], term)
    await new Promise(resolve => setImmediate(resolve))
    await Promise.all([first, store.commit([put('second')], term), store.commit([put('third')], term)])
    assert.equal(calls, before + 3)
  })
})

test('sqlite store: what beforeCommit throws refuses the group, nothing is written, and the store goes on', async () => {
  const failure = new Error('the audit file is gone')
  let isBroken = false
  const beforeCommit = (): void => {
    if (isBroken) throw failure
  }
  await withStore({ beforeCommit }, async (store, term) => {
    isBroken = true
    const refused = [store.commit([put('a')], term), store.commit([put('b')], term)]
    for (const commit of refused) await assert.rejects(commit, failure)
    isBroken = false
    const revision = await store.commit([put('c')], term)
    assert.equal(store.head(), revision)
    assert.deepEqual(await store.list('', { limit: 9 }), { names: ['c'], more: false })
  })
})

test('packing: operations come out as they went in, whatever the buffer grows to', () => {
  const batch = [
    { key: 'a', value: new Uint8Array([1, 2, 3]) },
    { key: 'é/\u{1f511}', value: null },
    { key: 'empty', value: new Uint8Array(0) },
    { key: 'k'.repeat(2_048), value: new Uint8Array(200_000).fill(7) },
  ]
  const packer = new Packer()
  for (let i = 0; i < 3; i++) packer.add(batch)
  const seen: { key: string; value: Uint8Array | null }[] = []
  unpack(packer.memory, packer.length, (key, value) => seen.push({ key, value: value && new Uint8Array(value) }))
  assert.deepEqual(seen, [...batch, ...batch, ...batch])
})

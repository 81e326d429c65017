import assert from 'node:assert/strict'
import { gunzipSync, gzipSync } from 'node:zlib'
import { test } from 'node:test'
import { instant } from '#ground/base/clock.ts'
import type { StoreCopy, StoreEntry } from '#stores/store.ts'
import { readSnapshot, SnapshotError, summariseSnapshot, writeSnapshot } from './snapshot.ts'

/** Seals by writing down who did. */
const keysOf = (name: string) => ({
  seal: (key: string, plain: Uint8Array) => Buffer.concat([Buffer.from(`${name} ${key} `), plain]),
  open(key: string, sealed: Uint8Array) {
    const head = `${name} ${key} `
    if (Buffer.from(sealed).toString('latin1', 0, head.length) !== head) throw new Error('other keys')
    return sealed.subarray(head.length)
  },
})
const own = keysOf('own')
const facts = { id: 'id-1', at: instant(1_767_225_600_000), format: 1, storageType: 'sqlite', programVersion: '1.21.0' }

const entries: readonly StoreEntry[] = Array.from({ length: 250 }, (_, n) => ({
  key: `root/logical/ä/${String(n).padStart(4, '0')}`,
  value: new Uint8Array(n * 40).fill(n),
}))

function copyOf(all: readonly StoreEntry[]): StoreCopy & { isDisposed: boolean } {
  return {
    revision: 7,
    isDisposed: false,
    pages: (async function* () {
      for (let at = 0; at < all.length; at += 100) yield all.slice(at, at + 100)
    })(),
    [Symbol.dispose]() {
      this.isDisposed = true
    },
  }
}

async function archiveOf(all = entries, format = 1): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of writeSnapshot(copyOf(all), { ...facts, format }, own)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(
  archive: Uint8Array,
  barrier: typeof own | null = own,
  size = 1_000,
): Promise<readonly StoreEntry[]> {
  const seen: StoreEntry[] = []
  for await (const page of readSnapshot(inPieces(archive, size), { format: 1, barrier })) seen.push(...page)
  return seen
}

const refused = (code: SnapshotError['code'], text: RegExp) => (error: unknown) =>
  error instanceof SnapshotError && error.code === code && text.test(error.message)

for (const size of [1, 777, 10_000_000]) {
  test(`snapshot: what was written is read again, in pieces of ${size} bytes`, async () => {
    const seen = await read(await archiveOf(), own, size)
    assert.deepEqual(
      seen.map(({ key, value }) => [key, Buffer.from(value).toString('hex')]),
      entries.map(({ key, value }) => [key, Buffer.from(value).toString('hex')]),
    )
  })
}

test('snapshot: an empty store has one, too', async () => {
  assert.deepEqual(await read(await archiveOf([])), [])
})

test('snapshot: it says what it is of', async () => {
  const summary = await summariseSnapshot(inPieces(await archiveOf(), 500))
  const bytes = entries.reduce((sum, { key, value }) => sum + Buffer.byteLength(key) + value.length, 0)
  assert.deepEqual(summary, {
    id: 'id-1',
    created: '2026-01-01T00:00:00Z',
    format: 1,
    storageType: 'sqlite',
    programVersion: '1.21.0',
    entries: 250,
    bytes,
  })
})

test('snapshot: who leaves it early lets the copy go', async () => {
  const copy = copyOf(entries)
  for await (const _ of writeSnapshot(copy, facts, own)) break
  assert.equal(copy.isDisposed, true)
})

test('snapshot: of other keys it is refused, unless nobody asks', async () => {
  const archive = await archiveOf()
  await assert.rejects(
    read(archive, keysOf('other')),
    refused('keys', /^could not verify hash file, possibly the snapshot/),
  )
  assert.equal((await read(archive, null)).length, 250)
})

test('snapshot: of a newer format it is refused by name', async () => {
  await assert.rejects(
    read(await archiveOf(entries, 2)),
    refused('newer', /made by a newer coffer \(archive 1, format 2\)/),
  )
})

test('snapshot: cut off anywhere it is refused', async () => {
  const archive = await archiveOf(entries.slice(0, 20))
  for (let length = 0; length < archive.length; length += 97) {
    await assert.rejects(read(archive.subarray(0, length)), refused('damaged', /./), `at ${length}`)
  }
  // Whole blocks of the archive, so that it isn't gzip that finds it.
  const plain = gunzipSync(archive)
  for (let length = 0; length < plain.length - 1_024; length += 512) {
    const error = await read(gzipSync(plain.subarray(0, length))).then(
      () => assert.fail(`taken at ${length}`),
      (one: unknown) => one,
    )
    assert.ok(error instanceof SnapshotError, `at ${length}`)
  }
})

test('snapshot: any changed byte of what it holds is found', async () => {
  const plain = gunzipSync(await archiveOf(entries.slice(0, 3)))
  // Of a header's sum only the digits count.
  const isHeader = (at: number): boolean => plain.toString('latin1', at + 257, at + 262) === 'ustar'
  const isPadding = (at: number): boolean => plain[at] === 0 || (at % 512 === 155 && isHeader(at - 155))
  for (let at = 0; at < plain.length - 1_024; at++) {
    if (isPadding(at)) continue
    const changed = Buffer.from(plain)
    changed[at]! ^= 0x01
    await assert.rejects(read(gzipSync(changed)), SnapshotError, `byte ${at}`)
  }
})

for (const [what, bytes] of [
  ['nothing', Buffer.alloc(0)],
  ['text', Buffer.from('hello')],
  ['gzip of something else', gzipSync('x'.repeat(5_000))],
] as const) {
  test(`snapshot: ${what} is none`, async () => {
    await assert.rejects(read(bytes), refused('damaged', /^the snapshot is damaged|^this is no snapshot/))
  })
}

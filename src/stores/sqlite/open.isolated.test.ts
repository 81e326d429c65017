import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { systemClock } from '#ground/base/clock.ts'
import { silentLog } from '#ground/base/log.ts'
import { isCode, never, put } from '#stores/store.lab.ts'
import type { Store } from '#stores/store.ts'
import { openSqliteStore } from './sqlite.ts'

const open = (path: string): Promise<Store> => openSqliteStore({ path, world: { clock: systemClock, log: silentLog } })

function temporary(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'coffer-open-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8)

test('sqlite store: makes its folder 0700 and every file 0600', async () => {
  using folder = temporary()
  const path = join(folder.path, 'deep', 'store')
  const store = await open(path)
  await store.commit([put('a')], await store.campaign(never))
  assert.equal(mode(path), '700')
  const files = readdirSync(path).sort()
  assert.deepEqual(files, ['coffer.db', 'coffer.db-shm', 'coffer.db-wal', 'coffer.db.holder', 'coffer.db.lock'])
  for (const file of files) assert.equal(mode(join(path, file)), '600', file)
  await store.close()
  assert.deepEqual(readdirSync(path).sort(), ['coffer.db', 'coffer.db.lock'])
})

test('sqlite store: a path that ends in .db or is a file names the file', async () => {
  using folder = temporary()
  const path = join(folder.path, 'own.db')
  const store = await open(path)
  await store.commit([put('a')], await store.campaign(never))
  await store.close()
  const again = await open(path)
  assert.ok(await again.get('a'))
  await again.close()
})

const strangers: readonly (readonly [string, RegExp, (file: string) => void])[] = [
  ['a file that is no database', /no coffer store/, file => writeFileSync(file, 'x'.repeat(5_000))],
  [
    "another program's database",
    /another program/,
    file => {
      const database = new DatabaseSync(file)
      database.exec('CREATE TABLE t (a)')
      database.close()
    },
  ],
  [
    'a database of a newer format',
    /written by a newer coffer \(format 99\), this one knows 1/,
    file => {
      const database = new DatabaseSync(file)
      database.exec('PRAGMA application_id = 0x636f6666; PRAGMA user_version = 99; CREATE TABLE t (a)')
      database.close()
    },
  ],
]
for (const [name, message, make] of strangers) {
  test(`sqlite store: ${name} is refused and left as it is`, async () => {
    using folder = temporary()
    const file = join(folder.path, 'coffer.db')
    make(file)
    const before = readFileSync(file)
    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(open(folder.path), error => {
        assert.ok(isCode('failed')(error) && error instanceof Error)
        assert.match(error.message, message)
        assert.ok(error.message.includes(file))
        return true
      })
    }
    assert.deepEqual(readFileSync(file), before)
  })
}

test('sqlite store: a folder that cannot be made is named with the reason', async () => {
  using folder = temporary()
  const file = join(folder.path, 'file')
  writeFileSync(file, '')
  await assert.rejects(open(join(file, 'store')), error => {
    assert.ok(isCode('failed')(error) && error instanceof Error)
    assert.match(error.message, /storage folder .*\/file\/store can't be made or written to \(ENOTDIR\)/)
    return true
  })
})

const damages: readonly (readonly [string, (file: string, bytes: Buffer) => void])[] = [
  ['cut off', (file, bytes) => writeFileSync(file, bytes.subarray(0, bytes.length - 3 * 4_096))],
  ['with pages overwritten', (file, bytes) => writeFileSync(file, bytes.fill(0xff, 10 * 4_096))],
  ['with one page of zeros', (file, bytes) => writeFileSync(file, bytes.fill(0, 12 * 4_096, 13 * 4_096))],
  [
    'gone, with its log left',
    file => {
      rmSync(file)
      writeFileSync(`${file}-wal`, 'a log')
    },
  ],
  [
    'empty, with its log left',
    file => {
      writeFileSync(file, '')
      writeFileSync(`${file}-wal`, 'a log')
    },
  ],
]
for (const [name, damage] of damages) {
  test(`sqlite store: a file that is ${name} is found when it is opened, with the way out`, async () => {
    using folder = temporary()
    const store = await open(folder.path)
    const term = await store.campaign(never)
    for (let i = 0; i < 200; i++) await store.commit([put(`k/${i}`, 'v'.repeat(2_000))], term)
    await store.close()
    const file = join(folder.path, 'coffer.db')
    damage(file, readFileSync(file))
    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(open(folder.path), error => {
        assert.ok(isCode('failed')(error) && error instanceof Error)
        assert.ok(error.message.includes(file))
        assert.match(error.message, /damaged: .*coffer operator snapshot restore -force/)
        return true
      })
    }
  })
}

test('sqlite store: damage done while it is open fails the read that meets it, and every call after', async () => {
  using folder = temporary()
  const store = await open(folder.path)
  const term = await store.campaign(never)
  for (let i = 0; i < 200; i++) await store.commit([put(`k/${i}`, 'v'.repeat(2_000))], term)
  await store.close()
  const again = await openSqliteStore({
    path: folder.path,
    world: { clock: systemClock, log: silentLog },
    readCacheBytes: 4_096,
  })
  const file = join(folder.path, 'coffer.db')
  const bytes = readFileSync(file)
  writeFileSync(file, bytes.fill(0xff, 10 * 4_096), { flag: 'r+' })
  const readAll = async (): Promise<void> => {
    for (let i = 0; i < 200; i++) await again.get(`k/${i}`)
  }
  await assert.rejects(readAll(), isCode('failed'))
  await assert.rejects(async () => again.head(), isCode('failed'))
  await assert.rejects(again.commit([], { term: 100 }), isCode('failed'))
  await again.close()
})

test('sqlite store: what was staged is the content at the next opening, however the last one ended', async () => {
  using folder = temporary()
  const path = join(folder.path, 'store')
  const store = await open(path)
  await store.commit([put('a', 'old')], await store.campaign(never))
  await store.stage(
    (async function* () {
      yield [put('b', 'new')]
    })(),
  )
  // As kill -9 leaves it: the log of the old content beside the new one.
  const copy = join(folder.path, 'killed')
  cpSync(path, copy, { recursive: true, filter: source => !source.endsWith('.holder') })
  assert.ok(statSync(join(copy, 'coffer.db-wal')).size > 0)
  await store.close()
  writeFileSync(join(copy, 'coffer.db.incoming'), 'half of another')
  for (let opening = 0; opening < 2; opening++) {
    const again = await open(copy)
    assert.equal(await again.get('a'), null)
    assert.equal(Buffer.from((await again.get('b'))!).toString(), 'new')
    await again.commit([put('c')], await again.campaign(never))
    await again.close()
  }
  assert.deepEqual(readdirSync(copy).sort(), ['coffer.db', 'coffer.db.lock'])
})

import assert from 'node:assert/strict'
import type { Store, StoreEntry } from './store.ts'
import { drop, isCode, keysOf, never, put, type Rule, settle, text } from './store.lab.ts'

async function* pages(...all: readonly (readonly StoreEntry[])[]): AsyncGenerator<readonly StoreEntry[]> {
  yield* all
}

async function read(store: Store): Promise<Record<string, string>> {
  using copy = await store.copy()
  const seen: Record<string, string> = {}
  for await (const page of copy.pages) {
    for (const { key, value } of page) seen[key] = Buffer.from(value).toString()
  }
  return seen
}

/** Copies of one instant, and other contents that take a store's place. */
export function copyRules(rule: Rule): void {
  rule('a copy has what was there when it was made, whatever is written meanwhile', async (store, fence) => {
    await store.commit([put('a', '1'), put('b', '1'), put('c', '1')], fence)
    using copy = await store.copy()
    assert.equal(copy.revision, await store.head())
    await store.commit([put('a', '2'), drop('b'), put('d', '2')], fence)
    const seen: [string, string][] = []
    for await (const page of copy.pages) {
      for (const { key, value } of page) seen.push([key, Buffer.from(value).toString()])
    }
    assert.deepEqual(seen, [
      ['a', '1'],
      ['b', '1'],
      ['c', '1'],
    ])
    assert.deepEqual(await read(store), { a: '2', c: '1', d: '2' })
  })

  rule('a copy may be left before its end', async (store, fence) => {
    await store.commit([put('a')], fence)
    using copy = await store.copy()
    for await (const _ of copy.pages) break
    await store.commit([put('b')], fence)
    assert.deepEqual(await keysOf(store, 'a', 'z'), ['a', 'b'])
  })

  rule('what is staged takes the place of what was there, and every term ends', async (store, fence) => {
    await store.commit([put('a', 'old'), put('gone')], fence)
    const before = await store.head()
    await store.stage(pages([put('a', 'new')], [put('b', 'new')]))
    assert.deepEqual(await read(store), { a: 'old', gone: 'gone' }, 'not before it is installed')
    await store.install()
    assert.deepEqual(await read(store), { a: 'new', b: 'new' })
    await assert.rejects(store.commit([put('c')], fence), isCode('fenced'))
    const next = await store.campaign(never)
    assert.ok(next.term > fence.term)
    await store.commit([put('c')], next)
    assert.ok((await store.head()) > before)
    assert.deepEqual(Buffer.from((await store.get('c'))!).toString(), 'c')
  })

  rule('who reads while a content is installed waits for it', async (store, fence) => {
    await store.commit([put('a', 'old')], fence)
    await store.stage(pages([put('a', 'new')]))
    const installed = store.install()
    const value = settle(() => store.get('a'))
    const listed = settle(() => store.list('', { limit: 10 }))
    await installed
    assert.equal(Buffer.from((await value)!).toString(), 'new')
    assert.deepEqual((await listed).names, ['a'])
  })

  rule('who reads changes is told that they end', async (store, fence) => {
    await store.commit([put('a')], fence)
    const ended = (async () => {
      for await (const _ of store.changes(await store.head(), never));
    })()
    await store.stage(pages([put('b')]))
    await store.install()
    await ended
  })

  rule('a content that fails on its way in changes nothing', async (store, fence) => {
    await store.commit([put('a')], fence)
    async function* broken(): AsyncGenerator<readonly StoreEntry[]> {
      yield [put('b')]
      throw new Error('cut off')
    }
    await assert.rejects(store.stage(broken()), { message: 'cut off' })
    assert.deepEqual(await read(store), { a: 'a' })
    await store.commit([put('c')], fence)
    assert.deepEqual(Object.keys(await read(store)), ['a', 'c'])
  })

  rule('a large content goes in and out in pages', async (store, fence) => {
    const value = 'x'.repeat(1_000)
    async function* many(): AsyncGenerator<readonly StoreEntry[]> {
      for (let page = 0; page < 20; page++) {
        yield Array.from({ length: 100 }, (_, n) => ({ key: `p/${page}/${n}`, value: text(value) }))
      }
    }
    await store.stage(many())
    await store.install()
    using copy = await store.copy()
    let count = 0
    let pagesSeen = 0
    for await (const page of copy.pages) {
      pagesSeen++
      count += page.length
    }
    assert.equal(count, 2_000)
    assert.ok(pagesSeen > 1)
    await assert.rejects(store.commit([put('c')], fence), isCode('fenced'))
  })
}

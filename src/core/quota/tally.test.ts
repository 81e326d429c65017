import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Counted } from '#core/leases/census.ts'
import { compareUtf8 } from '#ground/text/compare.ts'
import { type ReadCounted, Tally } from './tally.ts'

const named = (kind: Counted['kind'], key: string): Counted => ({ kind, key, path: `p/${key[0]}`, role: null })
const sort = ({ path }: Counted): string => path
const pause = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A store whose reads take a turn and whose commits take one, too; pages of two. */
class Shelf {
  readonly there = new Map<string, Counted>()

  readonly read: ReadCounted = async (kind, after) => {
    await pause()
    const keys = [...this.there.values()]
      .filter(one => one.kind === kind && (after === null || compareUtf8(one.key, after) > 0))
      .sort((a, b) => compareUtf8(a.key, b.key))
    return { counted: keys.slice(0, 2), next: keys.length > 2 ? keys[1]!.key : null }
  }

  set(one: Counted, isThere: boolean): () => Promise<boolean> {
    return async () => {
      await pause()
      const id = `${one.kind}/${one.key}`
      if (this.there.has(id) === isThere) return false
      if (isThere) this.there.set(id, one)
      else this.there.delete(id)
      return true
    }
  }

  count(name: string): number {
    return [...this.there.values()].filter(one => sort(one) === name).length
  }
}

test('tally: what comes and goes while it counts is counted once', async () => {
  const kinds = fc.constantFrom('lease' as const, 'token' as const)
  const step = fc.record({ kind: kinds, key: fc.integer({ min: 10, max: 39 }), isThere: fc.boolean(), wait: fc.nat(3) })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), fc.array(step, { maxLength: 40 }), async (before, during) => {
      const shelf = new Shelf()
      const tally = new Tally(shelf.read, () => undefined)
      for (const one of before) shelf.there.set(`${one.kind}/${one.key}`, named(one.kind, String(one.key)))
      const walk = tally.begin(sort)
      const commits: Promise<boolean>[] = []
      for (const { kind, key, isThere, wait } of during) {
        for (let i = 0; i < wait; i++) await pause()
        const one = named(kind, String(key))
        commits.push(tally.during(one, isThere ? 1 : -1, shelf.set(one, isThere)))
      }
      await Promise.all([walk, ...commits])
      for (const name of ['p/1', 'p/2', 'p/3']) assert.equal(tally.of(name), shelf.count(name), name)
    }),
    { numRuns: 60, seed: 1 },
  )
})

test('tally: a second count takes the place of one that is under way', async () => {
  const shelf = new Shelf()
  const tally = new Tally(shelf.read, () => undefined)
  for (let key = 10; key < 30; key++) shelf.there.set(`lease/${key}`, named('lease', String(key)))
  const first = tally.begin(() => 'old')
  const second = tally.begin(() => 'new')
  await Promise.all([first, second])
  assert.deepEqual([tally.of('old'), tally.of('new'), tally.isReady], [0, 20, true])
})

test('tally: a walk that fails is told to who waits, and holds up no commit', async () => {
  const tally = new Tally(
    () => Promise.reject(new Error('the store is gone')),
    () => undefined,
  )
  await assert.rejects(tally.begin(sort), /the store is gone/)
  assert.equal(await tally.during(named('lease', 'a'), 1, () => Promise.resolve(true)), true)
  assert.equal(tally.isReady, false)
})

test('tally: a walk that is called off ends in silence, also when its page fails', async () => {
  let fail = (_error: Error): void => undefined
  const read = (): Promise<never> => new Promise((_, reject) => void (fail = reject))
  const tally = new Tally(read, () => undefined)
  const walk = tally.begin(sort)
  await pause()
  await tally.begin(null)
  fail(new Error('sealed'))
  await walk
  assert.equal(tally.isReady, true)
})

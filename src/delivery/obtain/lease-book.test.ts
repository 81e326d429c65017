import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '#ground/base/secret.ts'
import { simWorld } from '#ground/base/world.ts'
import { scriptedClient } from '#client/scripted-wire.ts'
import type { Identity } from './identity.ts'
import { LeaseBook } from './lease-book.ts'

const hourMs = 3_600_000

function start(tokenMs: number | null = null) {
  const { clock } = simWorld({ seed: 1 })
  const startMs = clock.now()
  const owner: Identity = {
    client: scriptedClient([]).client,
    endsAtMs: () => (tokenMs === null ? null : startMs + tokenMs),
  }
  const book = new LeaseBook(clock)
  const before = (): string | null => book.superseded?.id ?? null
  const took = (id: string): void => book.took(id, hourMs, clock.now() + hourMs, owner)
  return { clock, book, took, before, startMs }
}

test('a lease that is superseded counts until it ends, and not when the one in use is dead', async () => {
  const { clock, book, took, before, startMs } = start()
  took('a')
  assert.equal(before(), null)
  await clock.advance(hourMs / 2)
  took('b')
  assert.deepEqual(book.superseded, { id: 'a', endsAtMs: startMs + hourMs, isSure: true })
  book.lost()
  assert.deepEqual([book.isAlive, before()], [false, null])
  took('c')
  assert.equal(before(), 'a', 'what was lost is not the one before')
  await clock.advance(hourMs / 2)
  assert.equal(before(), null)
})

test('a lease ends with the token that made it, as one of a batch token does, whatever it was granted', async () => {
  const { clock, book, took, startMs } = start(hourMs / 4)
  took('a')
  assert.equal(book.endsAtMs, startMs + hourMs / 4)
  book.renewed(clock.now() + 2 * hourMs)
  assert.equal(book.grantEndsAtMs, startMs + 2 * hourMs)
  assert.equal(book.endsAtMs, startMs + hourMs / 4)
  await clock.advance(hourMs / 4)
  assert.equal(book.isAlive, false)
})

test('a change-over takes a tenth of the lease, and no more than five minutes', () => {
  const { clock, book, took } = start()
  const { client } = scriptedClient([])
  book.took('short', 60_000, clock.now() + 60_000, { client, endsAtMs: () => null })
  assert.equal(book.marginMs, 6_000)
  took('a')
  assert.equal(book.marginMs, 300_000)
})

test('what is noted of a book is what another goes on with: both leases, and whether the one in use is orphaned', async () => {
  const { clock, book, took, startMs } = start(2 * hourMs)
  const later: Identity = { client: scriptedClient([]).client.with({ token: new Secret('t2') }), endsAtMs: () => null }
  assert.equal(book.note(later), null)
  took('a')
  await clock.advance(hourMs / 2)
  took('b')
  book.renewed(startMs + 3 * hourMs)
  const before = { id: 'a', endsAtMs: startMs + hourMs }
  assert.deepEqual(book.note(later), { endsAtMs: startMs + 2 * hourMs, isOrphaned: true, before })
  const next = new LeaseBook(clock)
  next.tookOver('b', hourMs, { endsAtMs: startMs + 3 * hourMs, isOrphaned: false, before }, later)
  assert.deepEqual([next.endsAtMs, next.superseded], [startMs + 3 * hourMs, { ...before, isSure: true }])
  assert.deepEqual(next.note(later), { endsAtMs: startMs + 3 * hourMs, isOrphaned: false, before })
})

test('a lease whose last renewal got no answer counts as long as it may live, and works as long as it surely does', async () => {
  const { clock, book, took, startMs } = start()
  took('a')
  await clock.advance(hourMs / 2)
  book.renewedPerhaps()
  assert.equal(book.endsAtMs, startMs + hourMs)
  took('b')
  assert.deepEqual(book.superseded, { id: 'a', endsAtMs: startMs + 1.5 * hourMs, isSure: false })
  book.supersededEnds(startMs + 1.25 * hourMs)
  assert.deepEqual(book.superseded, { id: 'a', endsAtMs: startMs + 1.25 * hourMs, isSure: true })
  book.renewed(startMs + 3 * hourMs)
  await clock.advance(hourMs)
  assert.equal(book.superseded, null)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { virtualClock } from './clock.ts'

test('virtual clock: moments are whole milliseconds, however it is moved', async () => {
  const clock = virtualClock(1_000)
  await clock.advance(0.4)
  await clock.advance(0.4)
  assert.equal(clock.now(), 1_000)
  await clock.advance(0.4)
  assert.equal(clock.now(), 1_001)
})

test('virtual clock: what waits is called in the order of its time, never early, and not once it is disposed', async () => {
  const clock = virtualClock(0)
  const called: string[] = []
  clock.after(20, () => called.push(`b at ${clock.now()}`))
  clock.after(10, () => called.push(`a at ${clock.now()}`))
  clock.after(15, () => called.push('never'))[Symbol.dispose]()
  await clock.advance(19)
  assert.deepEqual(called, ['a at 10'])
  await clock.advance(1)
  assert.deepEqual(called, ['a at 10', 'b at 20'])
  assert.equal(clock.waiting, 0)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { virtualClock } from '#ground/base/clock.ts'
import { Checkpoints } from './checkpoints.ts'

type Fake = { readonly log: string[]; isLong: boolean; failure: Error | null; isDelay: boolean }

function start(): { clock: ReturnType<typeof virtualClock>; fake: Fake; checkpoints: Checkpoints } {
  const clock = virtualClock()
  const fake: Fake = { log: [], isLong: false, failure: null, isDelay: true }
  const checkpoints = new Checkpoints({
    clock,
    run: async () => {
      fake.log.push('run')
      if (fake.failure) throw fake.failure
      return { isHandOverDue: fake.isLong }
    },
    handOver: async () => fake.log.push('hand over'),
    onFailure: () => fake.isDelay,
  })
  return { clock, fake, checkpoints }
}

test('checkpoints: one after commits, none while nothing is committed', async () => {
  const { clock, fake, checkpoints } = start()
  await clock.advance(1_000)
  assert.deepEqual(fake.log, [])
  checkpoints.note()
  checkpoints.note()
  await clock.advance(199)
  assert.deepEqual(fake.log, [])
  await clock.advance(5_000)
  assert.deepEqual(fake.log, ['run'])
  assert.equal(clock.waiting, 0)
})

test('checkpoints: the rest of a long log is handed over', async () => {
  const { clock, fake, checkpoints } = start()
  fake.isLong = true
  checkpoints.note()
  await clock.advance(200)
  assert.deepEqual(fake.log, ['run', 'hand over'])
})

test('checkpoints: a full disk is tried again later, though nothing more is committed', async () => {
  const { clock, fake, checkpoints } = start()
  fake.failure = new Error('full')
  checkpoints.note()
  await clock.advance(200)
  fake.failure = null
  await clock.advance(4_999)
  assert.deepEqual(fake.log, ['run'])
  await clock.advance(1)
  assert.deepEqual(fake.log, ['run', 'run'])
})

test('checkpoints: none after a failure for good, nor after stop', async () => {
  for (const isStopped of [false, true]) {
    const { clock, fake, checkpoints } = start()
    if (isStopped) await checkpoints.stop()
    fake.failure = new Error('broken')
    fake.isDelay = false
    checkpoints.note()
    await clock.advance(10_000)
    checkpoints.note()
    await clock.advance(10_000)
    assert.deepEqual(fake.log, isStopped ? [] : ['run'])
    assert.equal(clock.waiting, 0)
  }
})

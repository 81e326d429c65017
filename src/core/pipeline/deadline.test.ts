import assert from 'node:assert/strict'
import { test } from 'node:test'
import { captured } from '#ground/fields/kit.ts'
import { type Engine, rowOf } from '#backend/engine.ts'
import { empty, type Reply } from '#backend/reply.ts'
import { openTestMount } from '#core/testing/mount.ts'
import { fault } from '#protocol/fault.ts'

const row = rowOf<null>()

/** Each way in which a handler that looks at its signal can end. */
const ends: Readonly<Record<string, (signal: AbortSignal) => Reply | Promise<Reply>>> = {
  'at once': () => empty,
  'by a fault at once': () => {
    throw fault('request.invalid', 'as asked')
  },
  later: async () => {
    await Promise.resolve()
    return empty
  },
  'by a fault later': async () => {
    await Promise.resolve()
    throw fault('request.invalid', 'as asked')
  },
  never: signal =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    }),
}

const waiter: Engine<null> = {
  type: 'waiter',
  kind: 'secret',
  version: 'v1',
  description: 'looks at the signal',
  codecs: [],
  open: () => null,
  rows: [
    row({
      path: 'wait/:how',
      fields: { how: captured('Which.') },
      help: { synopsis: '', description: '' },
      // A write makes two calls: one to be asked whether the entry exists, one for the handler.
      exists: call => call.signal === null,
      operations: {
        read: { access: 'policy', handler: call => ends[call.input.how.replaceAll('-', ' ')]!(call.signal) },
        update: { access: 'policy', handler: call => ends[call.input.how.replaceAll('-', ' ')]!(call.signal) },
      },
    }),
  ],
}

for (const how of Object.keys(ends).filter(name => name !== 'never')) {
  for (const method of ['GET', 'PUT']) {
    test(`deadline: it is not watched any more when a ${method} ends ${how}`, async () => {
      await using server = await openTestMount(waiter)
      const before = server.world.clock.waiting
      await server.ask(method, `waiter/wait/${how.replaceAll(' ', '-')}`)
      assert.equal(server.world.clock.waiting, before)
    })
  }
}

test('deadline: a handler that does not end is told after it', async () => {
  await using server = await openTestMount(waiter, { settings: { requestSecondsMax: 7 } })
  const before = server.world.clock.waiting
  const asked = server.ask('GET', 'waiter/wait/never')
  assert.equal(server.world.clock.waiting, before + 1)
  const seen: number[] = []
  void asked.then(({ status }) => seen.push(status))
  await server.world.clock.advance(6_999)
  assert.deepEqual(seen, [])
  await server.world.clock.advance(1)
  assert.equal((await asked).status, 500)
  assert.equal(server.world.clock.waiting, before)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Engine, rowOf } from '#backend/engine.ts'
import { jsonEntries, put, type View } from '#backend/storage.ts'
import { empty } from '#backend/reply.ts'
import { openTestMount } from '#core/testing/mount.ts'

const marks = jsonEntries<{ at: string }>('mark/')

/** Writes once it is let. */
function slowEngine(events: string[], gate: Promise<void>): Engine<View> {
  return {
    type: 'slow',
    kind: 'secret',
    version: 'v1',
    description: 'takes its time',
    codecs: [marks],
    open: ({ view }) => view,
    close: () => {
      events.push('closed')
    },
    rows: [
      rowOf<View>()({
        path: 'mark',
        fields: {},
        help: { synopsis: '', description: '' },
        operations: {
          update: {
            access: 'policy',
            async handler(_call, view) {
              await gate
              await view.commit([put(marks.key('one'), { at: 'end' })])
              events.push('written')
              return empty
            },
          },
        },
      }),
    ],
  }
}

test('hold: a mount is disabled after the answers of the requests that it had, and takes no new ones', async () => {
  const events: string[] = []
  const gate = Promise.withResolvers<void>()
  await using server = await openTestMount(slowEngine(events, gate.promise))
  const { uuid } = server.house.mounts.at('slow/')!.entry
  const asked = server.ask('PUT', 'slow/mark')
  const disabled = server.ask('DELETE', 'sys/mounts/slow')
  for (let turn = 0; turn < 100; turn++) await server.world.clock.advance(10)
  assert.equal((await server.ask('PUT', 'slow/mark')).status, 404)
  assert.deepEqual(events, [])
  gate.resolve()
  assert.deepEqual([(await asked).status, (await disabled).status], [204, 204])
  assert.deepEqual(events, ['written', 'closed'])
  const left = await server.house.keeper.list(`root/logical/${uuid}/`, { limit: 10 })
  assert.deepEqual(left.names, [], 'what it wrote at the last moment is gone, too')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { captured, text } from '#ground/fields/kit.ts'
import { type Engine, rowOf } from '#backend/engine.ts'
import { empty } from '#backend/reply.ts'
import { jsonEntries, put, type View } from '#backend/storage.ts'
import { openTestMount } from '#core/testing/mount.ts'

const notes = jsonEntries<{ text: string }>('note/')
const row = rowOf<View>()

/** One path that keeps a text. */
const notebook: Engine<View> = {
  type: 'notebook',
  kind: 'secret',
  version: 'v1',
  description: 'keeps notes',
  codecs: [notes],
  open: ({ view }) => view,
  rows: [
    row({
      path: 'note/:name',
      fields: { name: captured('Name of the note.'), text: text({ description: 'What it says.' }) },
      help: { synopsis: 'A note.', description: 'A note.' },
      operations: {
        read: {
          access: 'policy',
          async handler(call, view) {
            const found = await view.get(notes.key(call.input.name))
            return found === null ? empty : { kind: 'data', data: found }
          },
        },
        update: {
          access: 'policy',
          async handler(call, view) {
            await view.commit([put(notes.key(call.input.name), { text: call.input.text })])
            return empty
          },
        },
      },
    }),
  ],
}

test('node: what was acknowledged is there after a restart, with its mount and the token', async () => {
  await using server = await openTestMount(notebook)
  assert.equal((await server.ask('POST', 'notebook/note/a', { body: { text: 'kept' } })).status, 204)
  await server.restart()
  const answer = await server.ask('GET', 'notebook/note/a')
  assert.deepEqual([answer.status, answer.data], [200, { text: 'kept' }])
})

test('node: sealed, it says so to every request but those that are for a sealed server', async () => {
  await using server = await openTestMount(notebook)
  await server.node.seal()
  const answer = await server.ask('GET', 'notebook/note/a')
  assert.deepEqual([answer.status, answer.errors], [503, ['Vault is sealed']])
  assert.equal((await server.ask('GET', 'sys/health', { token: null })).status, 503)
  assert.equal((await server.ask('GET', 'sys/seal-status', { token: null })).status, 200)
})

test('node: without a token, or with one that nobody made, nothing is answered', async () => {
  await using server = await openTestMount(notebook)
  for (const token of [null, 'hvs.nobody-made-this'] as const) {
    const answer = await server.ask('GET', 'notebook/note/a', { token })
    assert.equal(answer.status, 403)
    assert.match(answer.errors.join(), /permission denied/)
  }
})

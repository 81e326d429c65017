import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notebook } from '#core/testing/engines.ts'
import { openTestMount } from '#core/testing/mount.ts'

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

test('node: the query of a write adds nothing to its body', async () => {
  await using server = await openTestMount(notebook)
  await server.ask('POST', 'notebook/note/a?text=query', { body: { other: 'body' } })
  assert.deepEqual((await server.ask('GET', 'notebook/note/a')).data, { text: '' })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notebook } from '#core/testing/engines.ts'
import { openTestMount } from '#core/testing/mount.ts'

test('token: a lookup of oneself shows the uses that are left after it, -1 at the last', async () => {
  await using server = await openTestMount(notebook)
  const token = await server.tokenWith('path "auth/token/lookup" { capabilities = ["update"] }', { num_uses: 3 })
  const shown: unknown[] = []
  for (const [method, path] of [
    ['GET', 'auth/token/lookup-self'],
    ['POST', 'auth/token/lookup'],
    ['GET', 'auth/token/lookup-self'],
  ] as const) {
    const answer = await server.ask(method, path, { token })
    shown.push((answer.data as { num_uses: number } | null)?.num_uses)
  }
  assert.deepEqual(shown, [2, 1, -1])
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 403)
})

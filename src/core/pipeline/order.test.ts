import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notebook } from '#core/testing/engines.ts'
import { openTestMount, type TestAsk, type TestServer } from '#core/testing/mount.ts'

/** Two things are wrong; the step that comes first decides. */
type Case = { rule: string; isSealed?: true; method?: string; path: string; ask: TestAsk; status: number; text: RegExp }

const bad = 'hvs.unknown'
const cases: readonly Case[] = [
  {
    rule: 'the verb before the seal',
    isSealed: true,
    method: 'BREW',
    path: 'notebook/note/a',
    ask: {},
    status: 405,
    text: /^$/,
  },
  {
    rule: 'the form of the path before the seal',
    isSealed: true,
    path: 'notebook//note',
    ask: {},
    status: 400,
    text: /relative paths/,
  },
  {
    rule: 'the seal before the namespace',
    isSealed: true,
    path: 'notebook/note/a',
    ask: { headers: { 'x-vault-namespace': 'no' } },
    status: 503,
    text: /Vault is sealed/,
  },
  {
    rule: 'the seal before the token',
    isSealed: true,
    path: 'notebook/note/a',
    ask: { token: bad },
    status: 503,
    text: /Vault is sealed/,
  },
  {
    rule: 'the namespace before the token',
    path: 'notebook/note/a',
    ask: { token: bad, headers: { 'x-vault-namespace': 'no' } },
    status: 404,
    text: /namespace not found/,
  },
  {
    rule: 'the namespace before the body',
    method: 'POST',
    path: 'notebook/note/a',
    ask: { text: '{', headers: { 'x-vault-namespace': 'no' } },
    status: 404,
    text: /namespace not found/,
  },
  {
    rule: 'the size of the body before the token',
    method: 'POST',
    path: 'notebook/note/a',
    ask: { token: bad, text: 'x'.repeat(2_000) },
    status: 413,
    text: /http: request body too large/,
  },
  {
    rule: 'the body before the token',
    method: 'POST',
    path: 'notebook/note/a',
    ask: { token: bad, text: '{' },
    status: 400,
    text: /failed to decode JSON input/,
  },
  {
    rule: 'the token before the fields',
    method: 'POST',
    path: 'notebook/echo/a',
    ask: { token: bad, body: { count: 'x' } },
    status: 403,
    text: /invalid token/,
  },
  { rule: 'the token before the path', path: 'nowhere/x', ask: { token: bad }, status: 403, text: /invalid token/ },
  {
    rule: 'the policy before the fields',
    method: 'POST',
    path: 'notebook/echo/a',
    ask: { token: 'weak', body: { count: 'x' } },
    status: 403,
    text: /permission denied/,
  },
  {
    rule: 'the policy before the path',
    path: 'nowhere/x',
    ask: { token: 'weak' },
    status: 403,
    text: /permission denied/,
  },
  {
    rule: 'the path before its verbs',
    method: 'POST',
    path: 'notebook/nowhere',
    ask: {},
    status: 404,
    text: /unsupported path/,
  },
  {
    rule: 'the existence check, with its fields, before the policy',
    method: 'POST',
    path: 'notebook/note/a',
    ask: { token: 'weak', body: { stars: 'x' } },
    status: 400,
    text: /Field validation failed/,
  },
]
for (const { rule, isSealed, method = 'GET', path, ask, status, text } of cases) {
  test(`order of checks: ${rule}`, async () => {
    await using server = await openTestMount(notebook, { settings: { requestBytesMax: 1_000 } })
    const token = ask.token === 'weak' ? await server.tokenWith('path "x" { capabilities = ["read"] }') : ask.token
    if (isSealed) await server.node.seal()
    const answer = await server.ask(method, path, { ...ask, ...(token !== undefined && { token }) })
    assert.equal(answer.status, status)
    assert.match(answer.errors.join(), text)
  })
}

test('order: a refused request costs a use of its token, as does one that fails', async () => {
  await using server = await openTestMount(notebook)
  const token = await server.tokenWith('path "notebook/fail" { capabilities = ["update"] }', { num_uses: 3 })
  const left = async (): Promise<unknown> => (await lookup(server, token))?.num_uses
  assert.equal(await left(), 3)
  assert.equal((await server.ask('GET', 'notebook/note/a', { token })).status, 403)
  assert.equal(await left(), 2)
  assert.equal((await server.ask('POST', 'notebook/fail', { token })).status, 500)
  assert.equal(await left(), 1)
  assert.equal((await server.ask('POST', 'notebook/echo/a', { token, text: '{' })).status, 400)
  assert.equal(await left(), 1)
  assert.equal((await server.ask('GET', 'sys/nowhere', { token })).status, 403)
  assert.equal(await left(), undefined)
})

test('order: two requests at once do not share the last use', async () => {
  await using server = await openTestMount(notebook)
  const token = await server.tokenWith('path "notebook/echo/*" { capabilities = ["read"] }', { num_uses: 1 })
  const answers = await Promise.all(Array.from({ length: 5 }, () => server.ask('GET', 'notebook/echo/a', { token })))
  assert.deepEqual(
    answers.map(one => one.status).sort((a, b) => a - b),
    [200, 403, 403, 403, 403],
  )
})

async function lookup(server: TestServer, token: string): Promise<{ num_uses: number } | null> {
  return (await server.ask('POST', 'auth/token/lookup', { body: { token } })).data as { num_uses: number } | null
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TokenKey } from '#backend/engine.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'

const started =
  "Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs."

/** All keys below a folder of the store. */
async function keys(server: TestServer, folder: string): Promise<readonly string[]> {
  const to = `${folder.slice(0, -1)}0`
  return (await server.house.keeper.scanKeys({ from: folder, to }, { limit: 1_000 })).keys
}

const make = async (server: TestServer, token = server.rootToken): Promise<string> => {
  const body = { policies: token === server.rootToken ? ['root'] : [], ttl: '1h' }
  const answer = await server.ask('POST', 'auth/token/create', { token, body })
  return (answer.body as { auth: { client_token: string } }).auth.client_token
}

async function tidied(server: TestServer, lines: readonly string[]): Promise<Record<string, unknown>> {
  const answer = await server.ask('POST', 'auth/token/tidy')
  assert.deepEqual([answer.status, (answer.body as { warnings: unknown }).warnings], [202, [started]])
  for (let i = 0; i < 100; i++) {
    const line = lines.map(one => JSON.parse(one) as Record<string, unknown>).findLast(one => 'removed' in one)
    if (line !== undefined) return line['removed'] as Record<string, unknown>
    await new Promise<void>(resolve => setImmediate(resolve))
  }
  throw new Error('it never ended')
}

test('token tidy: where all ended in good order there is nothing to do, and what lives stays', async () => {
  const lines: string[] = []
  await using server = await openTestMount(accountsEngine(new Outside()), { log: line => lines.push(line) })
  const parent = await make(server)
  const child = await make(server, parent)
  await server.ask('POST', 'cubbyhole/x', { token: child, body: { a: 1 } })
  await server.ask('POST', 'auth/token/revoke', { body: { token: await make(server, parent) } })
  const before = await keys(server, 'root/token/')
  assert.deepEqual(await tidied(server, lines), { accessors: 0, children: 0, tokens: 0, cubbyholes: 0 })
  assert.deepEqual(await keys(server, 'root/token/'), before)
  assert.equal((await server.ask('GET', 'cubbyhole/x', { token: child })).status, 200)
})

test('token tidy: what nothing stands behind goes, and only that', async () => {
  const lines: string[] = []
  await using server = await openTestMount(accountsEngine(new Outside()), { log: line => lines.push(line) })
  const { keeper, tokens } = server.house
  const { shelf } = tokens
  const parent = await make(server)
  const child = await make(server, parent)
  const grandchild = await make(server, child)
  const before = await keys(server, 'root/token/')
  const nobody = 'f'.repeat(32) as TokenKey
  const orphaned = await make(server)
  const orphanKey = tokens.key(orphaned)
  const late = await make(server)
  await server.ask('POST', 'cubbyhole/x', { token: orphaned, body: { a: 1 } })
  const entry = (await shelf.entry(orphanKey))!
  // Its entry is gone and nothing else is: as a damaged store would have it.
  await shelf.update(orphanKey, () => ({ entry: null, result: undefined }))
  await shelf.update(tokens.key(late), now => ({ entry: { ...now!, expiresAt: 1 as never }, result: undefined }))
  await keeper.commit([
    shelf.childWrite(nobody, tokens.key(child), true),
    shelf.childWrite(tokens.key(parent), nobody, true),
    shelf.childWrite(tokens.key(parent), tokens.key(grandchild), true),
  ])
  const removed = await tidied(server, lines)
  assert.deepEqual(removed, { accessors: 1, children: 4, tokens: 1, cubbyholes: 1 })
  assert.deepEqual(await keys(server, 'root/token/'), before)
  for (const token of [parent, child, grandchild])
    assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
  assert.equal((await shelf.byAccessor(entry.accessor)) ?? null, null)
})

test('token tidy: children of a token that is gone end with all below them', async () => {
  const lines: string[] = []
  await using server = await openTestMount(accountsEngine(new Outside()), { log: line => lines.push(line) })
  const { tokens } = server.house
  const before = await keys(server, 'root/token/')
  const parent = await make(server)
  await make(server, await make(server, parent))
  await tokens.shelf.update(tokens.key(parent), now => ({
    entry: null,
    also: [
      tokens.shelf.accessorWrite(now!.accessor, null),
      tokens.shelf.childWrite(now!.parent!, tokens.key(parent), null),
    ],
    result: undefined,
  }))
  await tidied(server, lines)
  assert.deepEqual(await keys(server, 'root/token/'), before)
})

test('token tidy: leases whose token is gone end, too', async () => {
  const outside = new Outside()
  const lines: string[] = []
  await using server = await openTestMount(accountsEngine(outside), { log: line => lines.push(line) })
  const token = await make(server)
  await server.ask('GET', 'accounts/creds/a?ttl=600', { token })
  await server.house.tokens.shelf.update(server.house.tokens.key(token), () => ({ entry: null, result: undefined }))
  await tidied(server, lines)
  await server.world.clock.advance(1_000)
  assert.equal(outside.accounts.size, 0)
})

test('token tidy: a second one waits for the first, and says so', async () => {
  await using server = await openTestMount(accountsEngine(new Outside()))
  const answers = await Promise.all([server.ask('POST', 'auth/token/tidy'), server.ask('POST', 'auth/token/tidy')])
  assert.deepEqual(
    answers.map(one => (one.body as { warnings: unknown }).warnings),
    [[started], ['Tidy operation already in progress.']],
  )
  assert.deepEqual(
    answers.map(one => one.status),
    [202, 202],
  )
})

test('token tidy: it takes the right to do so, and no more', async () => {
  await using server = await openTestMount(accountsEngine(new Outside()))
  const none = await server.tokenWith('path "auth/token/lookup-self" { capabilities = ["read"] }')
  const may = await server.tokenWith('path "auth/token/tidy" { capabilities = ["update"] }')
  const ask = async (token: string) => (await server.ask('POST', 'auth/token/tidy', { token })).status
  assert.deepEqual([await ask(none), await ask(may)], [403, 202])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bytes } from '#ground/base/brand.ts'
import { headersOf } from '#ground/http/headers.ts'
import type { HttpResponse } from '#ground/http/message.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { openTestServer, type TestServer } from '#core/testing/mount.ts'

// A whole server, its store in memory.

const open = async (outside: Outside): Promise<TestServer> => {
  const server = await openTestServer({ catalog: [accountsEngine(outside)] })
  assert.equal((await server.ask('POST', 'sys/mounts/db', { body: { type: 'accounts' } })).status, 204)
  return server
}

async function stream(server: TestServer, method: string, path: string, body: Bytes = Buffer.alloc(0)) {
  const answer = (await server.node.handler({
    method,
    path: `/v1/sys/storage/raft/${path}`,
    query: '',
    headers: headersOf([['x-vault-token', server.rootToken]]),
    body: {
      length: body.length,
      bytes: () => assert.fail('the body was gathered'),
      async *stream() {
        for (let at = 0; at < body.length; at += 100) yield body.subarray(at, at + 100)
      },
    },
    peer: { transport: 'tcp', address: '192.0.2.7', port: 4711, tls: null },
    signal: new AbortController().signal,
  })) as HttpResponse
  if (answer.body === null || typeof answer.body === 'string' || answer.body instanceof Uint8Array) {
    return { status: answer.status, body: Buffer.from(answer.body ?? '') }
  }
  const chunks: Bytes[] = []
  for await (const chunk of answer.body) chunks.push(chunk)
  return { status: answer.status, body: Buffer.concat(chunks) }
}

/** Restores, and waits until the server has the content. */
async function restore(server: TestServer, snapshot: Bytes, path = 'snapshot'): Promise<void> {
  assert.equal((await stream(server, 'POST', path, snapshot)).status, 204)
  const before = server.node.house
  for (let turn = 0; server.node.house === before || server.node.house === null; turn++) {
    assert.ok(turn < 1_000, 'the server comes back')
    await new Promise(setImmediate)
  }
}

const lease = async (server: TestServer, ttl: number): Promise<string> =>
  ((await server.ask('GET', `db/creds/app?ttl=${ttl}`)).body as { lease_id: string }).lease_id

test('snapshot: restored into the same server, what came after it is gone, and what it holds works on', async () => {
  const outside = new Outside()
  await using server = await open(outside)
  const token = await server.tokenWith('path "db/*" { capabilities = ["read"] }')
  const kept = await lease(server, 3_600)
  const saved = await stream(server, 'GET', 'snapshot')
  assert.equal(saved.status, 200)
  await server.ask('POST', 'sys/mounts/later', { body: { type: 'accounts' } })
  await restore(server, saved.body)
  assert.equal((await server.ask('GET', 'sys/mounts/later')).status, 400)
  assert.equal((await server.ask('GET', 'db/creds/app', { token })).status, 200)
  assert.equal((await server.ask('POST', 'sys/leases/renew', { body: { lease_id: kept } })).status, 200)
})

test('snapshot: leases of a restored store end at their time, and those at once that came due meanwhile', async () => {
  const outside = new Outside()
  await using server = await open(outside)
  await lease(server, 60)
  await lease(server, 3_600)
  const { body } = await stream(server, 'GET', 'snapshot')
  const accounts = [...outside.accounts]
  await server.world.clock.advance(120_000)
  assert.equal(outside.accounts.size, 1)
  // As if the other system had been restored with it.
  for (const account of accounts) outside.accounts.add(account)
  await restore(server, body)
  await server.world.clock.advance(1_000)
  assert.equal(outside.accounts.size, 1)
  await server.world.clock.advance(3_600_000)
  assert.equal(outside.accounts.size, 0)
})

test('snapshot: of another server it is refused, unless forced; then its tokens are good and the own are not', async () => {
  const outside = new Outside()
  await using one = await open(outside)
  await using other = await openTestServer({ catalog: [accountsEngine(outside)], seed: 2 })
  const { body } = await stream(one, 'GET', 'snapshot')
  const refused = await stream(other, 'POST', 'snapshot', body)
  assert.equal(refused.status, 400)
  assert.match(
    refused.body.toString(),
    /could not verify hash file, possibly the snapshot is using a different set of unseal keys/,
  )
  assert.equal((await other.ask('GET', 'sys/mounts')).status, 200)
  await restore(other, body, 'snapshot-force')
  assert.equal((await other.ask('GET', 'sys/mounts')).status, 403)
  assert.equal((await other.ask('GET', 'db/creds/app', { token: one.rootToken })).status, 200)
})

test('snapshot: what is damaged changes nothing', async () => {
  await using server = await open(new Outside())
  const { body } = await stream(server, 'GET', 'snapshot')
  for (const broken of [body.subarray(0, body.length - 5), Buffer.from('hello'), Buffer.alloc(0)]) {
    const answer = await stream(server, 'POST', 'snapshot', broken)
    assert.equal(answer.status, 400)
    assert.match(answer.body.toString(), /the snapshot is damaged/)
  }
  assert.equal((await server.ask('GET', 'db/creds/app')).status, 200)
})

test('snapshot: saving takes read on its path, restoring update; neither is done while sealed', async () => {
  await using server = await open(new Outside())
  const token = await server.tokenWith('path "sys/storage/raft/snapshot" { capabilities = ["read"] }')
  assert.equal((await server.ask('POST', 'sys/storage/raft/snapshot', { token, text: 'x' })).status, 403)
  assert.equal((await server.ask('POST', 'sys/storage/raft/snapshot-force', { token, text: 'x' })).status, 403)
  const nobody = await server.tokenWith('path "sys/mounts" { capabilities = ["read"] }')
  assert.equal((await server.ask('GET', 'sys/storage/raft/snapshot', { token: nobody })).status, 403)
  await server.node.seal()
  assert.equal((await server.ask('GET', 'sys/storage/raft/snapshot')).status, 503)
})

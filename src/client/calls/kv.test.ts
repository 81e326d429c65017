import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scriptedClient } from '../scripted-wire.ts'
import { kvPath, preflight, readKv } from './kv.ts'

for (const [rule, path, mount, want] of [
  ['a key gets data/ after its mount', 'secret/app', 'secret/', 'secret/data/app'],
  ['a deep key too', 'secret/a/b/c', 'secret/', 'secret/data/a/b/c'],
  ['the mount itself', 'secret', 'secret/', 'secret/data'],
  ['the mount with its slash', 'secret/', 'secret/', 'secret/data'],
  ['a mount of two segments', 'team/kv/app', 'team/kv/', 'team/kv/data/app'],
  ['namespaces that only the mount path has are dropped', 'kv/app', 'ns1/ns2/kv/', 'kv/data/app'],
  ['a key named like the mount', 'secret/secret', 'secret/', 'secret/data/secret'],
] as const) {
  test(`kv path: ${rule}`, () => assert.equal(kvPath(path, mount, 'data'), want))
}

const mountAnswer = (version: string | null): string =>
  JSON.stringify({ data: { path: 'secret/', type: 'kv', options: version === null ? null : { version } } })

for (const [rule, answer, want] of [
  ['version "2" is 2', { status: 200, body: mountAnswer('2') }, { path: 'secret/', version: 2 }],
  ['version "1" is 1', { status: 200, body: mountAnswer('1') }, { path: 'secret/', version: 1 }],
  ['no options are version 1', { status: 200, body: mountAnswer(null) }, { path: 'secret/', version: 1 }],
  ['404 is an old server: version 1', { status: 404, body: '{"errors":[]}' }, { path: '', version: 1 }],
] as const) {
  test(`preflight: ${rule}`, async () => {
    const { client, settle, sent } = scriptedClient([answer], { wrapTtlSeconds: 60 })
    assert.deepEqual(await settle(preflight(client, 'secret/app')), want)
    assert.equal(sent[0]?.target, '/v1/sys/internal/ui/mounts/secret/app')
    assert.ok(!sent[0]?.headers.some(([name]) => name === 'X-Vault-Wrap-TTL'), 'the preflight is never wrapped')
  })
}

test('preflight: a refusal is passed on', async () => {
  const { client, settle } = scriptedClient([
    { status: 403, body: '{"errors":["preflight capability check returned 403"]}' },
  ])
  await assert.rejects(settle(preflight(client, 'secret/app')), { status: 403 })
})

const v2 = { path: 'secret/', version: 2 } as const

for (const path of ['secret/app', 'secret/data/app', '/secret/app']) {
  test(`readKv takes ${path} for the same secret`, async () => {
    const { client, settle, sent } = scriptedClient([
      { status: 200, body: '{"data":{"data":{"a":"b"},"metadata":{"version":3}}}' },
    ])
    const secret = await settle(readKv(client, path, { mount: v2 }))
    assert.equal(sent[0]?.target, '/v1/secret/data/app')
    assert.deepEqual(secret?.data, { a: 'b' })
    assert.equal(secret?.version, 3)
    assert.equal(secret?.isDeleted, false)
  })
}

test('readKv shows a deleted version by its metadata', async () => {
  const { client, settle } = scriptedClient([
    { status: 404, body: '{"data":{"data":null,"metadata":{"version":2,"deletion_time":"2026-01-01T00:00:00Z"}}}' },
  ])
  const secret = await settle(readKv(client, 'secret/app', { mount: v2 }))
  assert.equal(secret?.isDeleted, true)
  assert.equal(secret?.version, 2)
})

test('readKv of a missing key is null', async () => {
  const { client, settle } = scriptedClient([{ status: 404, body: '{"errors":[]}' }])
  assert.equal(await settle(readKv(client, 'secret/app', { mount: v2 })), null)
})

test('readKv of version 1 reads the path as it is', async () => {
  const { client, settle, sent } = scriptedClient([{ status: 200, body: '{"data":{"a":"b"},"lease_duration":60}' }])
  const secret = await settle(readKv(client, 'kv/app', { mount: { path: 'kv/', version: 1 } }))
  assert.equal(sent[0]?.target, '/v1/kv/app')
  assert.deepEqual(secret?.data, { a: 'b' })
  assert.equal(secret?.metadata, null)
})

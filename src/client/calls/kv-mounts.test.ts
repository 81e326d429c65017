import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Script, scriptedClient } from '../scripted-wire.ts'
import { KvMounts } from './kv-mounts.ts'

const answer = (path: string, version: string | null) => ({
  status: 200,
  body: JSON.stringify({ data: { path, options: version === null ? null : { version } } }),
})

function start(script: Script) {
  const { client, sent, world, settle } = scriptedClient(script, { maxRetries: 0 })
  const mounts = new KvMounts(world.clock)
  return { mounts, sent, clock: world.clock, of: (path: string) => settle(mounts.of(client, path)) }
}

test('kv mounts: one question serves all paths of a mount, and each mount has its own', async () => {
  const run = start(({ target }) => (target.includes('/secret') ? answer('secret/', '2') : answer('deep/er/', null)))
  for (const [path, want, asked] of [
    ['secret/a', { path: 'secret/', version: 2 }, 1],
    ['secret/b/c', { path: 'secret/', version: 2 }, 1],
    ['secret/data/a', { path: 'secret/', version: 2 }, 1],
    ['deep/er/a', { path: 'deep/er/', version: 1 }, 2],
    ['deep/er/b', { path: 'deep/er/', version: 1 }, 2],
    ['secrets/a', { path: 'secret/', version: 2 }, 3],
    ['secrets/a', { path: 'secret/', version: 2 }, 4],
  ] as const) {
    assert.deepEqual(await run.of(path), want)
    assert.equal(run.sent.length, asked, path)
  }
})

test('kv mounts: asked again when it was forgotten, and after ten minutes', async () => {
  let version = '1'
  const run = start(() => answer('secret/', version))
  const first = await run.of('secret/a')
  version = '2'
  assert.equal((await run.of('secret/a')).version, 1)
  run.mounts.forget(first)
  assert.equal((await run.of('secret/a')).version, 2)
  await run.clock.advance(599_999)
  await run.of('secret/b')
  assert.equal(run.sent.length, 2)
  await run.clock.advance(1)
  await run.of('secret/b')
  assert.equal(run.sent.length, 3)
})

test('kv mounts: a refusal and an old server are not kept', async () => {
  let status = 403
  const run = start(() => ({ status, body: '{"errors":["preflight capability check returned 403"]}' }))
  for (let n = 0; n < 2; n++) await assert.rejects(run.of('secret/a'), { status: 403 })
  status = 404
  for (let n = 0; n < 2; n++) assert.deepEqual(await run.of('secret/a'), { path: '', version: 1 })
  assert.equal(run.sent.length, 4)
})

test('kv mounts: no more than 256 are kept', async () => {
  const run = start(({ target }) => answer(`${target.split('/').at(-2)}/`, '2'))
  for (let n = 0; n < 257; n++) await run.of(`m${n}/a`)
  await run.of('m256/b')
  await run.of('m1/b')
  assert.equal(run.sent.length, 257)
  await run.of('m0/b')
  assert.equal(run.sent.length, 258)
})

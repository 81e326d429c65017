import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { BoundedQueue } from '#ground/base/queue.ts'
import { systemClock } from '#ground/base/clock.ts'
import { seededEntropy } from '#ground/base/entropy.ts'
import { silentLog } from '#ground/base/log.ts'
import type { World } from '#ground/base/world.ts'
import { KubeCache, keyOf } from './cache.ts'
import { createKubeClient, type KubeClient } from './client.ts'
import type { KubeObject } from './objects.ts'
import { configMaps } from './resources.ts'
import { watch } from './watch.ts'

/** Each request waits until the test takes and answers it. */
type Turn = { url: URL; response: ServerResponse }

async function scripted(): Promise<{ url: string; next(): Promise<Turn> } & AsyncDisposable> {
  const queue = new BoundedQueue<Turn>(100)
  const turns = queue.read()
  const server = createServer((request, response) => {
    queue.push({ url: new URL(request.url ?? '', 'http://x'), response })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    next: async () => {
      const { value } = await turns.next()
      assert.ok(value)
      return value
    },
    [Symbol.asyncDispose]: async () => {
      queue.close()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const world: World = {
  // Waits between attempts take no time.
  clock: {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic(),
    after: (ms, callback, options) => systemClock.after(ms, callback, options),
    sleep: (_ms, signal) => systemClock.sleep(0, signal),
  },
  entropy: seededEntropy(1),
  log: silentLog,
  signal: new AbortController().signal,
}

const clientOf = (server: string): KubeClient =>
  createKubeClient({
    config: {
      server,
      ca: { kind: 'system' },
      isInsecure: false,
      serverName: null,
      namespace: 'default',
      auth: { kind: 'none' },
      clientCertificate: null,
      impersonate: null,
      origin: 'test',
    },
    world,
  })

const object = (name: string, resourceVersion: string): KubeObject => ({
  metadata: { name, namespace: 'n', uid: `u-${name}`, resourceVersion, managedFields: [{}] },
})
const answer = (turn: Turn, body: unknown, status = 200): void => {
  turn.response.writeHead(status, { 'content-type': 'application/json' })
  turn.response.end(JSON.stringify(body))
}
const list = (resourceVersion: string, ...items: KubeObject[]): unknown => ({ metadata: { resourceVersion }, items })
const event = (turn: Turn, type: string, object: unknown): void => {
  turn.response.write(`${JSON.stringify({ type, object })}\n`)
}

/** The keys that a cache tells, one by one. */
function told(cache: KubeCache): { next(): Promise<string> } {
  const queue = new BoundedQueue<string>(100)
  cache.onChange(key => void queue.push(key))
  const keys = queue.read()
  return { next: async () => String((await keys.next()).value) }
}

test('a cache lists in pages, then watches from there, and tells keys', async () => {
  await using api = await scripted()
  using client = clientOf(api.url)
  await using cache = new KubeCache(client, { target: configMaps, labelSelector: 'a=b' })
  const keys = told(cache)
  const first = await api.next()
  assert.equal(first.url.searchParams.get('limit'), '500')
  answer(first, { metadata: { continue: 'c' }, items: [object('a', '1')] })
  const second = await api.next()
  assert.equal(second.url.searchParams.get('continue'), 'c')
  assert.equal(cache.isSynced, false)
  answer(second, list('10', object('b', '2')))
  await cache.synced()
  assert.deepEqual([await keys.next(), await keys.next()], ['n/a', 'n/b'])
  assert.equal(cache.get('n/a')?.metadata?.managedFields, undefined)
  const watching = await api.next()
  const query = watching.url.searchParams
  assert.deepEqual(
    ['watch', 'allowWatchBookmarks', 'resourceVersion', 'labelSelector'].map(name => query.get(name)),
    ['true', 'true', '10', 'a=b'],
  )
  const seconds = Number(query.get('timeoutSeconds'))
  assert.ok(seconds >= 240 && seconds <= 300)
  event(watching, 'ADDED', object('c', '11'))
  assert.equal(await keys.next(), 'n/c')
  event(watching, 'DELETED', object('a', '12'))
  assert.equal(await keys.next(), 'n/a')
  assert.deepEqual([...cache.keys()].toSorted(), ['n/b', 'n/c'])
})

test('a watch that ended goes on from the last bookmark', async () => {
  await using api = await scripted()
  using client = clientOf(api.url)
  await using _cache = new KubeCache(client, { target: configMaps })
  answer(await api.next(), list('10'))
  const watching = await api.next()
  event(watching, 'BOOKMARK', { metadata: { resourceVersion: '99' } })
  watching.response.end()
  const again = await api.next()
  assert.equal(again.url.searchParams.get('resourceVersion'), '99')
})

const expiries: readonly (readonly [rule: string, refuse: (turn: Turn) => void])[] = [
  ['as an event', turn => event(turn, 'ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' })],
  ['as an answer', turn => answer(turn, { kind: 'Status', code: 410, reason: 'Expired' }, 410)],
]
for (const [rule, refuse] of expiries) {
  test(`a version that is too old (410 ${rule}) is listed anew, and only the difference is told`, async () => {
    await using api = await scripted()
    using client = clientOf(api.url)
    await using cache = new KubeCache(client, { target: configMaps })
    const keys = told(cache)
    answer(await api.next(), list('10', object('same', '1'), object('changed', '2'), object('gone', '3')))
    for (let i = 0; i < 3; i++) await keys.next()
    refuse(await api.next())
    const again = await api.next()
    assert.equal(again.url.searchParams.get('watch'), null)
    answer(again, list('20', object('same', '1'), object('changed', '12'), object('new', '13')))
    assert.deepEqual([await keys.next(), await keys.next(), await keys.next()], ['n/gone', 'n/changed', 'n/new'])
    assert.equal((await api.next()).url.searchParams.get('resourceVersion'), '20')
    assert.equal(cache.failure, null)
  })
}

test('a refusal is kept as the failure and tried again', async () => {
  await using api = await scripted()
  using client = clientOf(api.url)
  await using cache = new KubeCache(client, { target: configMaps })
  answer(await api.next(), { kind: 'Status', code: 403, reason: 'Forbidden', message: 'configmaps is forbidden' }, 403)
  const again = await api.next()
  assert.match(String(cache.failure), /configmaps is forbidden/)
  answer(again, list('10'))
  await cache.synced()
  assert.equal(cache.failure, null)
})

test('a watch that says nothing for too long ends without an error', async () => {
  await using api = await scripted()
  using client = clientOf(api.url)
  const signal = new AbortController().signal
  const events = watch(client, configMaps, { resourceVersion: '1', idleMsMax: 300, signal })
  const reading = events.next()
  const turn = await api.next()
  event(turn, 'ADDED', object('a', '2'))
  assert.equal((await reading).value?.type, 'ADDED')
  assert.equal((await events.next()).done, true)
})

test('more objects than the bound are a failure that names the kind', async () => {
  await using api = await scripted()
  using client = clientOf(api.url)
  await using cache = new KubeCache(client, { target: configMaps, entriesMax: 1 })
  answer(await api.next(), list('10', object('a', '1'), object('b', '2')))
  await api.next()
  assert.match(String(cache.failure), /more than 1 configmaps; narrow them/)
})

test('a cache that is closed before its first list rejects who waits for it', async () => {
  await using api = await scripted()
  using client = clientOf(api.url)
  const cache = new KubeCache(client, { target: configMaps })
  await api.next()
  const waiting = assert.rejects(cache.synced(), /the cache was closed/)
  await cache[Symbol.asyncDispose]()
  await waiting
})

test('a key has the namespace where there is one', () => {
  assert.equal(keyOf({ metadata: { name: 'a', namespace: 'b' } }), 'b/a')
  assert.equal(keyOf({ metadata: { name: 'a' } }), 'a')
})

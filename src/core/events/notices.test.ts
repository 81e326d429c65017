import assert from 'node:assert/strict'
import { test } from 'node:test'
import { doorman, notebook } from '#core/testing/engines.ts'
import { openTestMount } from '#core/testing/mount.ts'
import type { Notice } from '#protocol/event.ts'
import { NoticeHub, queueMax } from './notices.ts'

const never = new AbortController().signal

async function next(notices: AsyncIterator<Notice>): Promise<Notice> {
  const one = await notices.next()
  assert.ok(!one.done)
  return one.value
}

test('notices: who watches a path is told of it, in order, and of nothing else', async () => {
  const hub = new NoticeHub()
  using subscription = hub.subscribe(new Set(['a', 'b']))
  hub.publish('c', 1)
  hub.publish('a', 1)
  hub.publish('b', null)
  hub.publish('a', 2)
  const notices = subscription.read(never)[Symbol.asyncIterator]()
  const told = [await next(notices), await next(notices), await next(notices)]
  assert.deepEqual(told, [
    { path: 'a', version: 1 },
    { path: 'b', version: null },
    { path: 'a', version: 2 },
  ])
})

test('notices: a reader that is too slow is told once that it lost some, and goes on from there', async () => {
  const hub = new NoticeHub()
  using subscription = hub.subscribe(new Set(['a']))
  for (let version = 1; version <= queueMax + 2; version++) hub.publish('a', version)
  const notices = subscription.read(never)[Symbol.asyncIterator]()
  assert.deepEqual(await next(notices), { lost: true })
  assert.deepEqual(await next(notices), { path: 'a', version: queueMax + 2 })
})

test('notices: a full queue whose next notice never comes tells of the loss all the same', async () => {
  const hub = new NoticeHub()
  using subscription = hub.subscribe(new Set(['a']))
  for (let version = 1; version <= queueMax + 1; version++) hub.publish('a', version)
  const stop = new AbortController()
  const notices = subscription.read(stop.signal)[Symbol.asyncIterator]()
  const first = next(notices)
  await new Promise(resolve => setImmediate(resolve))
  stop.abort()
  assert.deepEqual(await first, { lost: true })
})

test('notices: who has left is forgotten, and closing the hub ends all readers', async () => {
  const hub = new NoticeHub()
  const left = hub.subscribe(new Set(['a', 'b']))
  const stays = hub.subscribe(new Set(['a']))
  assert.equal(hub.subscribers, 2)
  left[Symbol.dispose]()
  left[Symbol.dispose]()
  assert.equal(hub.subscribers, 1)
  hub.publish('b', 1)
  const ended = stays.read(never)[Symbol.asyncIterator]().next()
  hub.close()
  assert.equal((await ended).done, true)
  assert.equal(hub.subscribers, 0)
})

test('notices: the path asks for a WebSocket, and for a token', async () => {
  await using server = await openTestMount(notebook, { others: [doorman()] })
  assert.equal((await server.ask('GET', 'sys/notices', { token: null })).status, 403)
  const plain = await server.ask('GET', 'sys/notices')
  assert.equal(plain.status, 400)
  assert.match(plain.errors[0]!, /WebSocket/)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BoundedQueue } from '#ground/base/queue.ts'
import { followNotices, type Notice, type NoticeSocket, type OpenNotices, parseNotice } from './notices.ts'
import { scriptedClient } from './scripted-wire.ts'

for (const [rule, text, want] of [
  ['a change', '{"path":"secret/data/app","version":4}', { kind: 'changed', path: 'secret/data/app', version: 4 }],
  ['an overflow', '{"lost":true}', { kind: 'lost' }],
  ['what is not known is passed over', '{"hello":1}', null],
  ['what is no JSON is passed over', 'hello', null],
  ['a list is passed over', '[]', null],
] as const) {
  test(`notice: ${rule}`, () => assert.deepEqual(parseNotice(text), want))
}

type Fake = { readonly socket: NoticeSocket; readonly sent: string[]; readonly queue: BoundedQueue<string> }

function fakeSocket(): Fake {
  const queue = new BoundedQueue<string>(16)
  const sent: string[] = []
  const socket: NoticeSocket = {
    send: text => void sent.push(text),
    messages: signal => queue.read(signal),
    [Symbol.dispose]: () => queue.close(),
  }
  return { socket, sent, queue }
}

function follow(open: OpenNotices, pollMs = 60_000) {
  const { client, world } = scriptedClient([{ status: 404 }])
  const stop = new AbortController()
  const heard: Notice[] = []
  const modes: string[] = []
  const done = (async () => {
    const options = { paths: ['secret/data/app'], pollMs, signal: stop.signal, open }
    for await (const notice of followNotices(world, client, { ...options, onMode: mode => void modes.push(mode) })) {
      heard.push(notice)
    }
  })()
  return { heard, modes, clock: world.clock, stop: () => stop.abort(), done }
}

test('changes are told as they come, after a first lost', async () => {
  const fake = fakeSocket()
  const f = follow(async () => fake.socket)
  await f.clock.advance(0)
  assert.deepEqual(fake.sent, ['{"watch":["secret/data/app"]}'])
  fake.queue.push('{"path":"secret/data/app","version":2}')
  await f.clock.advance(0)
  assert.deepEqual(f.heard, [{ kind: 'lost' }, { kind: 'changed', path: 'secret/data/app', version: 2 }])
  f.stop()
  await f.done
  assert.equal(f.clock.waiting, 0)
})

test('a lost connection is made again and everything is looked at', async () => {
  const fakes = [fakeSocket(), fakeSocket()]
  let opened = 0
  const f = follow(async () => {
    const fake = fakes[opened++]
    if (!fake) throw new Error('refused')
    return fake.socket
  })
  await f.clock.advance(0)
  fakes[0]?.queue.close()
  await f.clock.advance(0)
  await f.clock.advance(1_000)
  assert.equal(opened, 2)
  assert.deepEqual(f.heard, [{ kind: 'lost' }, { kind: 'lost' }])
  f.stop()
  await f.done
})

test('a server that refuses connections is asked with a growing wait', async () => {
  let opened = 0
  const f = follow(async () => {
    opened++
    throw new Error('refused')
  })
  await f.clock.advance(0)
  for (let i = 0; i < 600; i++) await f.clock.advance(1_000)
  assert.ok(opened >= 20 && opened <= 45, String(opened))
  assert.deepEqual(f.heard, [])
  f.stop()
  await f.done
})

test('without notices it polls, and asks again now and then', async () => {
  let opened = 0
  const f = follow(async () => {
    opened++
    return null
  }, 1_000)
  await f.clock.advance(0)
  for (let i = 0; i < 60; i++) await f.clock.advance(1_000)
  assert.ok(f.heard.length >= 59, String(f.heard.length))
  assert.ok(opened >= 2)
  assert.equal(f.modes[0], 'polled')
  f.stop()
  await f.done
  assert.equal(f.clock.waiting, 0)
})

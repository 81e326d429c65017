import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { systemClock, virtualClock } from '#ground/base/clock.ts'
import { silentLog } from '#ground/base/log.ts'
import { HttpClientError } from './dial.ts'
import { headersOf } from './headers.ts'
import { listen } from './server.ts'
import {
  acceptWebSocket,
  connectWebSocket,
  type WebSocketBounds,
  type WebSocketPeer,
  WebSocketRefused,
} from './websocket.ts'

type Serve = (peer: WebSocketPeer, signal: AbortSignal) => Promise<void>

async function serve(onSocket: Serve, bounds: WebSocketBounds = {}) {
  const errors: unknown[] = []
  const server = await listen({
    address: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    log: silentLog,
    onError: error => errors.push(error),
    handler: request => {
      if (request.path === '/none') return { status: 404, headers: [], body: '{"errors":[]}\n' }
      const accepted = acceptWebSocket(request.headers, onSocket, bounds)
      if (accepted === null) return { status: 400, headers: [], body: '' }
      return { status: 101, headers: accepted.headers, upgrade: (socket, head) => accepted.run(socket, head) }
    },
  })
  const { port } = server.address as { port: number }
  return {
    errors,
    port,
    url: `http://127.0.0.1:${port}`,
    server,
    [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }),
  }
}

const never = new AbortController().signal
const open = (url: string, more: WebSocketBounds = {}): Promise<WebSocketPeer> =>
  connectWebSocket(url, { clock: systemClock, signal: never, ...more })

const echo: Serve = async peer => {
  for await (const message of peer.messages) {
    if (message === 'bye') return
    await peer.send(`<${message}>`)
  }
}

async function take(peer: WebSocketPeer, count: number): Promise<string[]> {
  const got: string[] = []
  if (count === 0) return got
  for await (const message of peer.messages) if (got.push(message) === count) break
  return got
}

test('WebSocket: texts go both ways, and the server closes when its handler returns', async () => {
  await using served = await serve(echo)
  const peer = await open(`${served.url}/x?y`)
  await peer.send('a')
  await peer.send('é')
  assert.deepEqual(await take(peer, 2), ['<a>', '<é>'])
  await peer.send('bye')
  assert.deepEqual(await peer.closed, { code: 1000, reason: '' })
})

test('WebSocket: a close code and reason arrive, cut to what a frame holds', async () => {
  await using served = await serve(async peer => peer.close(4001, 'é'.repeat(100)))
  const peer = await open(served.url)
  assert.deepEqual(await peer.closed, { code: 4001, reason: 'é'.repeat(61) })
})

test('WebSocket: what was sent before the close is still read', async () => {
  await using served = await serve(async peer => {
    await Promise.all(['1', '2', '3'].map(text => peer.send(text)))
  })
  const peer = await open(served.url)
  await peer.closed
  const got: string[] = []
  for await (const message of peer.messages) got.push(message)
  assert.deepEqual(got, ['1', '2', '3'])
})

test('WebSocket: a handler that throws closes with 1011 and is told to the server', async () => {
  await using served = await serve(async () => {
    throw new Error('bug')
  })
  const peer = await open(served.url)
  assert.equal((await peer.closed).code, 1011)
  while (served.errors.length === 0) await new Promise(resolve => setImmediate(resolve))
  assert.match(String(served.errors[0]), /bug/)
})

test('WebSocket: the signal of the server side is aborted when the client goes', async () => {
  const gone = Promise.withResolvers<void>()
  await using served = await serve(async (_, signal) => {
    await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
    gone.resolve()
  })
  const ended = new AbortController()
  const peer = await connectWebSocket(served.url, { clock: systemClock, signal: ended.signal })
  ended.abort(new Error('enough'))
  await gone.promise
  assert.equal((await peer.closed).code, 1006)
  assert.deepEqual(served.errors, [])
})

test('WebSocket: a message above the bound closes with 1009, a binary one with 1003', async () => {
  await using served = await serve(echo, { messageBytesMax: 10 })
  const peer = await open(served.url)
  await peer.send('x'.repeat(11))
  assert.equal((await peer.closed).code, 1009)
  const socket = connect(served.port, '127.0.0.1')
  const key = 'dGhlIHNhbXBsZSBub25jZQ=='
  // A masked binary frame right behind the head, as a hasty client may send it.
  socket.write(
    `GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  )
  socket.write(Buffer.from([0x82, 0x81, 0, 0, 0, 0, 65]))
  let got = ''
  for await (const chunk of socket.setEncoding('latin1')) {
    got += chunk as string
    if (got.includes('text only')) break
  }
  // The example of RFC 6455 section 1.3.
  assert.match(got, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/)
  assert.match(got, /\x88\x0b\x03\xebtext only$/)
  socket.destroy()
})

test('WebSocket: a reader that is slow makes the other end wait, and gets all', async () => {
  const count = 5_000
  let sent = 0
  await using served = await serve(async peer => {
    while (sent < count) {
      await peer.send('x'.repeat(4_000))
      sent++
    }
  })
  const peer = await open(served.url, { queueMax: 8 })
  for (let i = 0; i < 200; i++) await new Promise(resolve => setImmediate(resolve))
  assert.ok(sent < count, 'the sender waits')
  assert.equal((await take(peer, count)).length, count)
  assert.equal((await peer.closed).code, 1000)
})

test('WebSocket: who sends without waiting to a peer that takes nothing is cut off', async () => {
  const stopped = Promise.withResolvers<void>()
  await using served = await serve(
    async (peer, signal) => {
      for (let i = 0; i < 10_000 && !signal.aborted; i++) void peer.send('x'.repeat(10_000))
      stopped.resolve()
    },
    { unsentBytesMax: 100_000 },
  )
  const peer = await open(served.url)
  await stopped.promise
  let bytes = 0
  for await (const message of peer.messages) bytes += message.length
  assert.ok(bytes < 10_000_000, `${bytes} bytes were kept`)
  assert.equal((await peer.closed).code, 1008)
})

test('WebSocket: a peer that gives no sign of life is ended', async () => {
  const clock = virtualClock()
  const ended = Promise.withResolvers<void>()
  await using served = await serve(
    async (_, signal) => {
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
      ended.resolve()
    },
    { heartbeat: { clock, periodMs: 30_000 } },
  )
  const socket = connect(served.port, '127.0.0.1').on('error', () => undefined)
  const key = 'dGhlIHNhbXBsZSBub25jZQ=='
  socket.write(
    `GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  )
  await new Promise(resolve => socket.once('data', resolve))
  while (clock.waiting === 0) await new Promise(resolve => setImmediate(resolve))
  await clock.advance(30_000)
  await clock.advance(30_000)
  await ended.promise
  assert.equal(clock.waiting, 0)
  socket.destroy()
})

test('WebSocket: a server that answers otherwise is told by its status', async () => {
  await using served = await serve(echo)
  await assert.rejects(
    open(`${served.url}/none`),
    (error: unknown) => error instanceof WebSocketRefused && error.status === 404,
  )
})

test('WebSocket: the time for the handshake runs out', async () => {
  const clock = virtualClock()
  const asked = Promise.withResolvers<void>()
  const server = await listen({
    address: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    log: silentLog,
    handler: () => {
      asked.resolve()
      return new Promise(() => undefined)
    },
  })
  const { port } = server.address as { port: number }
  const opening = connectWebSocket(`http://127.0.0.1:${port}`, { clock, signal: never, timeoutMs: 1_000 })
  const rejected = assert.rejects(
    opening,
    (error: unknown) => error instanceof HttpClientError && error.code === 'timeout',
  )
  await asked.promise
  await clock.advance(1_000)
  await rejected
  await server.close({ graceMs: 0 })
})

const handshake = [
  ['Upgrade', 'WebSocket'],
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
] as const
for (const [rule, changed, isAccepted] of [
  ['a handshake', [], true],
  ['no upgrade', ['Upgrade', 'h2c'], false],
  ['another version', ['Sec-WebSocket-Version', '8'], false],
  ['a key of another length', ['Sec-WebSocket-Key', 'abc'], false],
] as const) {
  test(`WebSocket: ${rule} is ${isAccepted ? 'accepted' : 'refused'}`, () => {
    const headers = handshake.map(
      ([name, value]) => [name, name === changed[0] ? (changed[1] ?? value) : value] as const,
    )
    assert.equal(acceptWebSocket(headersOf(headers), echo) !== null, isAccepted)
  })
}

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { type WebSocket, WebSocketServer } from 'ws'
import { silentLog } from '#ground/base/log.ts'
import { Secret } from '#ground/base/secret.ts'
import { systemWorld } from '#ground/base/world.ts'
import { createKubeClient, type KubeClient } from './client.ts'
import { openPodStream, openPort } from './portforward.ts'

type Serve = (socket: WebSocket, request: IncomingMessage) => void
const world = systemWorld(silentLog, new AbortController().signal)

/** A container runtime's port-forward, by its WebSocket protocol; JSON answers for the rest. */
async function fakeRuntime(
  serve: Serve,
  answers: Readonly<Record<string, unknown>> = {},
): Promise<{ client: KubeClient } & AsyncDisposable> {
  const server = createServer((request, response) => {
    const body = answers[new URL(request.url ?? '', 'http://x').pathname]
    response.writeHead(body ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}))
  })
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: all => [...all][0] ?? false })
  server.on('upgrade', (request, socket, head) => {
    if (request.headers.authorization !== 'Bearer t') {
      const body = JSON.stringify({ kind: 'Status', reason: 'Forbidden', message: 'no right!' })
      socket.end(`HTTP/1.1 403 Forbidden\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
      return
    }
    sockets.handleUpgrade(request, socket, head, web => serve(web, request))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = clientOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return {
    client,
    [Symbol.asyncDispose]: async () => {
      client.close()
      for (const socket of sockets.clients) socket.terminate()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const clientOf = (server: string, token = 't'): KubeClient =>
  createKubeClient({
    config: {
      server,
      ca: { kind: 'system' },
      isInsecure: false,
      serverName: null,
      namespace: 'default',
      auth: { kind: 'token', token: new Secret(token) },
      clientCertificate: null,
      impersonate: null,
      origin: 'test',
    },
    world,
  })

const place = { namespace: 'n', pod: 'p', port: 8200 }
const start = (socket: WebSocket): void => {
  // 8200, little-endian, on each channel; the data channel's in two pieces.
  socket.send(Buffer.from([0, 0x08]))
  socket.send(Buffer.from([0, 0x20]))
  socket.send(Buffer.from([1, 0x08, 0x20]))
}

test('bytes go both ways, whole and in order', async () => {
  await using runtime = await fakeRuntime((socket, request) => {
    assert.equal(request.url, '/api/v1/namespaces/n/pods/p/portforward?ports=8200')
    start(socket)
    socket.on('message', (data: Buffer) => socket.send(data))
  })
  const stream = await openPort(runtime.client, place)
  const sent = Buffer.alloc(300_000, 'abcdefghijklmnopqrstuvwxyz0123')
  stream.write(sent)
  const got: Buffer[] = []
  let length = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    got.push(chunk)
    length += chunk.length
    if (length >= sent.length) break
  }
  assert.ok(Buffer.concat(got).equals(sent))
})

test('a reader that stands still slows the sender down', async () => {
  let sentBytes = 0
  const total = 64 * 1024 * 1024
  await using runtime = await fakeRuntime(socket => {
    start(socket)
    const frame = Buffer.alloc(256 * 1024)
    const more = (): void => {
      if (sentBytes >= total) return
      sentBytes += frame.length
      socket.send(frame, more)
    }
    more()
  })
  const stream = await openPort(runtime.client, place)
  await once(stream, 'readable')
  let before = -1
  for (let i = 0; i < 100 && before !== sentBytes; i++) {
    before = sentBytes
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  assert.ok(sentBytes < total, 'the kernel’s buffers are all that fills')
  stream.destroy()
})

test('the runtime’s words on the error channel end the stream with an error that names pod and port', async () => {
  await using runtime = await fakeRuntime(socket => {
    start(socket)
    socket.send(Buffer.concat([Buffer.from([1]), Buffer.from('connection refused\n')]))
  })
  const stream = await openPort(runtime.client, place)
  stream.resume()
  const [error] = (await once(stream, 'error')) as [Error]
  assert.equal(error.message, 'port 8200 of pod n/p: connection refused')
})

test('the other side’s end is the stream’s end', async () => {
  await using runtime = await fakeRuntime(socket => {
    start(socket)
    socket.send(Buffer.from([0, 104, 105]))
    socket.close(1000)
  })
  const stream = await openPort(runtime.client, place)
  let text = ''
  for await (const chunk of stream as AsyncIterable<Buffer>) text += chunk.toString()
  assert.equal(text, 'hi')
})

test('a refused upgrade gives the API server’s reason', async () => {
  await using runtime = await fakeRuntime(start)
  using stranger = clientOf(runtime.client.config.server, 'other')
  await assert.rejects(openPort(stranger, place), { code: 403, reason: 'Forbidden', message: 'no right!' })
})

test('aborting ends a stream that is open', async () => {
  await using runtime = await fakeRuntime(start)
  const controller = new AbortController()
  const stream = await openPort(runtime.client, place, { signal: controller.signal })
  const failed = once(stream, 'error')
  controller.abort(new Error('enough'))
  assert.match(String((await failed)[0]), /enough/)
})

test('a Service leads to a ready pod and the port that its name means there', async () => {
  let url = ''
  const pod = {
    metadata: { name: 'web-1' },
    spec: { containers: [{ name: 'c', ports: [{ name: 'api', containerPort: 8201 }] }] },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  }
  const answers = {
    '/api/v1/namespaces/n/services/web': {
      spec: { selector: { app: 'web' }, ports: [{ port: 443, targetPort: 'api' }] },
    },
    '/api/v1/namespaces/n/pods': { metadata: {}, items: [pod] },
  }
  await using runtime = await fakeRuntime((socket, request) => {
    url = request.url ?? ''
    start(socket)
  }, answers)
  const stream = await openPodStream(runtime.client, { namespace: 'n', service: 'web', port: '443' })
  stream.destroy()
  assert.equal(url, '/api/v1/namespaces/n/pods/web-1/portforward?ports=8201')
})

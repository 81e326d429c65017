import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { instant, systemClock, virtualClock } from '#ground/base/clock.ts'
import { systemEntropy } from '#ground/base/entropy.ts'
import { silentLog } from '#ground/base/log.ts'
import { issueAuthority, issueLeaf } from '#ground/crypto/issue-certificate.ts'
import { createHttpClient, type HttpClientOptions } from './client.ts'
import { HttpClientError } from './dial.ts'
import type { HttpHandler } from './message.ts'
import { listen, type ListenOptions } from './server.ts'

async function serve(handler: HttpHandler, more: Partial<ListenOptions> = {}) {
  const server = await listen({
    address: { host: '127.0.0.1', port: 0 },
    handler,
    clock: systemClock,
    log: silentLog,
    ...more,
  })
  const { port = 0 } = server.address as { port?: number }
  return { server, port, url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }) }
}

/** A server that does with the bytes what it likes. */
async function raw(onConnection: (socket: Socket) => void) {
  const server = createServer(socket => onConnection(socket.on('error', () => undefined)))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as { port: number }
  return { url: `http://127.0.0.1:${port}/`, port, [Symbol.dispose]: () => void server.close() }
}

function open(options: Partial<HttpClientOptions> = {}) {
  const client = createHttpClient({ clock: systemClock, ...options })
  return { client, [Symbol.dispose]: () => client.close() }
}

const echo: HttpHandler = async request => {
  const body = Buffer.from(await request.body.bytes(1_000_000)).toString()
  const headers = [...request.headers].map(pair => pair.join(': '))
  return {
    status: 201,
    headers: [
      ['X-A', 'b'],
      ['x-a', 'c'],
    ],
    body: [request.method, request.path, request.query, ...headers, body].join('\n'),
  }
}

const isCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof HttpClientError && error.code === code

test('client: sends what it is given and gives what came', async () => {
  await using served = await serve(echo)
  using opened = open()
  const answer = await opened.client.request({
    method: 'PUT',
    url: `${served.url}/v1/a%20b?c=d`,
    headers: [
      ['X-Vault-Token', 't'],
      ['X-M', '1'],
      ['X-M', '2'],
    ],
    body: 'é',
  })
  assert.equal(answer.status, 201)
  assert.deepEqual(answer.headers.all('x-a'), ['b', 'c'])
  const host = `host: 127.0.0.1:${served.port}`
  const want = [
    'PUT',
    '/v1/a%20b',
    'c=d',
    host,
    'x-vault-token: t',
    'x-m: 1',
    'x-m: 2',
    'connection: keep-alive',
    'content-length: 2',
    'é',
  ]
  assert.equal(Buffer.from(answer.body).toString(), want.join('\n'))
})

test('client: a body may be bytes or a stream', async () => {
  await using served = await serve(async request => ({ status: 200, headers: [], body: await request.body.bytes(100) }))
  using opened = open()
  async function* stream() {
    yield Buffer.from('ab')
    yield Buffer.from('c')
  }
  for (const body of [Buffer.from('abc'), stream()]) {
    const answer = await opened.client.request({ method: 'POST', url: served.url, body })
    assert.equal(Buffer.from(answer.body).toString(), 'abc')
  }
})

test('client: a connection is kept, and no more than allowed are opened', async () => {
  const ports = new Set<number>()
  await using served = await serve(async ({ peer }) => {
    ports.add(peer.port)
    await new Promise(resolve => setImmediate(resolve))
    return { status: 200, headers: [], body: '' }
  })
  using opened = open({ connectionsMax: 2 })
  const request = () => opened.client.request({ method: 'GET', url: served.url })
  await request()
  await request()
  assert.equal(ports.size, 1)
  await Promise.all(Array.from({ length: 20 }, request))
  assert.equal(ports.size, 2)
})

test('client: more requests than may wait are refused', async () => {
  await using served = await serve(() => new Promise(() => undefined))
  using opened = open({ connectionsMax: 1, waitingMax: 1 })
  const ended = new AbortController()
  const request = () => opened.client.request({ method: 'GET', url: served.url, signal: ended.signal })
  const waiting = [request(), request()]
  await assert.rejects(request(), isCode('busy'))
  ended.abort(new Error('enough'))
  const reasons = (await Promise.allSettled(waiting)).map(each => String((each as PromiseRejectedResult).reason))
  assert.deepEqual(reasons, ['Error: enough', 'Error: enough'])
})

test('client: a verb that Node can not send is refused with what to send', async () => {
  using opened = open()
  await assert.rejects(opened.client.request({ method: 'LIST', url: 'http://127.0.0.1/' }), /GET with \?list=true/)
})

test('client: nobody listens', async () => {
  using opened = open()
  let port = 0
  {
    using closed = await raw(() => undefined)
    port = closed.port
  }
  const failure = await opened.client
    .request({ method: 'GET', url: `http://127.0.0.1:${port}/` })
    .catch((error: unknown) => error)
  assert.ok(failure instanceof HttpClientError && failure.code === 'connect')
  assert.equal((failure.cause as NodeJS.ErrnoException).code, 'ECONNREFUSED')
})

for (const [rule, answer, code] of [
  ['nothing', '', 'broken'],
  ['half a head', 'HTTP/1.1 200 OK\r\nA', 'broken'],
  ['half a body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc', 'broken'],
  ['half a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc', 'broken'],
  ['no HTTP', 'hello\r\n\r\n', 'broken'],
  [
    'a length beside chunked',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'broken',
  ],
  ['an upgrade', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n', 'broken'],
  ['too much', `HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n${'x'.repeat(101)}`, 'too-large'],
] as const) {
  test(`client: a server that answers ${rule} is ${code}`, async () => {
    using server = await raw(socket => socket.once('data', () => socket.end(answer)))
    using opened = open()
    await assert.rejects(opened.client.request({ method: 'GET', url: server.url, responseBytesMax: 100 }), isCode(code))
  })
}

test('client: a kept connection that broke is told from a new one', async () => {
  let requests = 0
  using server = await raw(socket => {
    socket.on('data', () => {
      if (++requests === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      else socket.destroy()
    })
  })
  using opened = open()
  const request = () => opened.client.request({ method: 'GET', url: server.url }).catch((error: unknown) => error)
  await request()
  const [kept, fresh] = [await request(), await request()]
  assert.deepEqual([(kept as HttpClientError).isReused, (fresh as HttpClientError).isReused], [true, false])
})

test('client: the time for an answer runs out by the clock that was handed in', async () => {
  const clock = virtualClock()
  const asked = Promise.withResolvers<void>()
  await using served = await serve(() => {
    asked.resolve()
    return new Promise(() => undefined)
  })
  using opened = open({ clock })
  const answer = opened.client.request({ method: 'GET', url: served.url, timeoutMs: 5_000 })
  const rejected = assert.rejects(answer, isCode('timeout'))
  await asked.promise
  await clock.advance(5_000)
  await rejected
  assert.equal(clock.waiting, 0)
})

test('client: the signal ends a request at any time, with its reason', async () => {
  const asked = Promise.withResolvers<void>()
  await using served = await serve(() => {
    asked.resolve()
    return new Promise(() => undefined)
  })
  using opened = open()
  await assert.rejects(
    opened.client.request({ method: 'GET', url: served.url, signal: AbortSignal.abort(new Error('before')) }),
    /before/,
  )
  const ended = new AbortController()
  const rejected = assert.rejects(
    opened.client.request({ method: 'GET', url: served.url, signal: ended.signal }),
    /while/,
  )
  await asked.promise
  ended.abort(new Error('while'))
  await rejected
})

test('client: a stream is read piece by piece, and left early ends the connection', async () => {
  const gone = Promise.withResolvers<void>()
  await using served = await serve(request => {
    async function* body() {
      try {
        for (let i = 0; ; i++) {
          yield Buffer.from(`${i};`)
          if (i === 2) await new Promise<void>(resolve => request.signal.addEventListener('abort', () => resolve()))
        }
      } finally {
        gone.resolve()
      }
    }
    return { status: 200, headers: [], body: body() }
  })
  using opened = open()
  const { status, chunks } = await opened.client.stream({ method: 'GET', url: served.url })
  let got = ''
  for await (const chunk of chunks) {
    got += Buffer.from(chunk).toString()
    if (got.endsWith('2;')) break
  }
  assert.deepEqual([status, got], [200, '0;1;2;'])
  await gone.promise
})

test('client: the signal ends a stream while it runs', async () => {
  await using served = await serve(() => ({
    status: 200,
    headers: [],
    body: (async function* () {
      yield Buffer.from('a')
      await new Promise(() => undefined)
    })(),
  }))
  using opened = open()
  const ended = new AbortController()
  const { chunks } = await opened.client.stream({ method: 'GET', url: served.url, signal: ended.signal })
  await assert.rejects(async () => {
    for await (const _ of chunks) ended.abort(new Error('enough'))
  }, /enough/)
})

test('client: a unix socket is spoken to', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'coffer-http-'))
  try {
    const path = join(folder, 's.sock')
    await using _served = await serve(echo, { address: { path } })
    using opened = open()
    const { body } = await opened.client.request({ method: 'GET', url: { socketPath: path, path: '/v1/a?b' } })
    assert.match(Buffer.from(body).toString(), /^GET\n\/v1\/a\nb\nhost: localhost\n/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

const world = { clock: systemClock, entropy: systemEntropy }
const validity = { notBefore: instant(systemClock.now() - 60_000), notAfter: instant(systemClock.now() + 3_600_000) }
const ca = issueAuthority(world, { commonName: 'CA', ...validity })
const leaf = issueLeaf(world, ca, { commonName: 'server', usage: 'server', dnsNames: ['coffer.test'], ...validity })
const own = issueLeaf(world, ca, { commonName: 'client', usage: 'client', ...validity })
const tls = { certificate: leaf.certificate, key: leaf.key, clientCa: ca.certificate }
const whoAsks: HttpHandler = ({ peer }) => ({
  status: 200,
  headers: [],
  body: `${peer.tls?.serverName} ${peer.tls?.isAuthorized}`,
})

for (const [rule, settings, want] of [
  ['a trusted server by its name', { ca: ca.certificate, serverName: 'coffer.test' }, 'coffer.test false'],
  [
    'with a certificate of our own',
    { ca: ca.certificate, serverName: 'coffer.test', certificate: own.certificate, key: own.key },
    'coffer.test true',
  ],
  ['unchecked when told so', { rejectUnauthorized: false }, 'null false'],
  ['an unknown authority', { serverName: 'coffer.test' }, null],
  ['another name', { ca: ca.certificate, serverName: 'evil.test' }, null],
  ['an address that the certificate lacks', { ca: ca.certificate }, null],
] as const) {
  test(`client: TLS, ${rule}${want === null ? ' is refused' : ''}`, async () => {
    await using served = await serve(whoAsks, { tls })
    using opened = open({ tls: settings })
    const request = opened.client.request({ method: 'GET', url: `https://127.0.0.1:${served.port}/` })
    if (want === null) await assert.rejects(request, isCode('connect'))
    else assert.equal(Buffer.from((await request).body).toString(), want)
  })
}

test('client: TLS goes end to end over a stream that the caller opens', async () => {
  await using served = await serve(whoAsks, { tls })
  let opens = 0
  const connectTo = () => {
    opens++
    // No socket but a plain stream, as a port-forward gives.
    const [ours, theirs] = duplexPair()
    const socket = connect(served.port, '127.0.0.1')
    theirs.pipe(socket).pipe(theirs)
    return ours
  }
  using opened = open({ connect: connectTo, tls: { ca: ca.certificate } })
  for (let i = 0; i < 2; i++) {
    const { body } = await opened.client.request({ method: 'GET', url: 'https://coffer.test:8200/' })
    assert.equal(Buffer.from(body).toString(), 'coffer.test false')
  }
  assert.equal(opens, 1)
})

test('client: plain HTTP over a stream that the caller opens is kept too', async () => {
  await using served = await serve(() => ({ status: 200, headers: [], body: 'x' }))
  let opens = 0
  const connectTo = async () => {
    opens++
    const [ours, theirs] = duplexPair()
    const socket = connect(served.port, '127.0.0.1')
    theirs.pipe(socket).pipe(theirs)
    return ours
  }
  using opened = open({ connect: connectTo })
  for (let i = 0; i < 2; i++)
    assert.equal((await opened.client.request({ method: 'GET', url: 'http://pod:8200/' })).status, 200)
  assert.equal(opens, 1)
})

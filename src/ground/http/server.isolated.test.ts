import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '#ground/base/clock.ts'
import { silentLog } from '#ground/base/log.ts'
import { verbs } from './head.ts'
import type { HttpHandler } from './message.ts'
import { type HttpAddress, listen, type ListenOptions } from './server.ts'

const run = promisify(execFile)

async function serve(handler: HttpHandler, options: Partial<ListenOptions> = {}) {
  const address: HttpAddress = options.address ?? { host: '127.0.0.1', port: 0 }
  const server = await listen({ handler, clock: systemClock, log: silentLog, ...options, address })
  const { port = 0 } = server.address as { port?: number }
  return { server, port, url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }) }
}

/** Sends `raw` and gives all that comes back until the server ends. */
async function talk(where: number | string, raw: string): Promise<string> {
  const socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where)
  socket.end(raw)
  let got = ''
  for await (const chunk of socket.setEncoding('latin1')) got += chunk as string
  return got
}

const get = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n'

const echo: HttpHandler = async request => {
  const body = await request.body.bytes(10_000_000)
  return {
    status: 200,
    headers: [['Content-Type', 'text/plain']],
    body: `${request.method} ${request.path}?${request.query} ${body.length}`,
  }
}

test('server: curl sends every verb, bodies of every kind, and waits for 100 Continue', async () => {
  await using served = await serve(echo)
  const curl = async (...args: string[]): Promise<string> =>
    (await run('curl', ['-sS', '--max-time', '10', ...args])).stdout
  for (const verb of verbs) {
    if (verb !== 'HEAD') assert.equal(await curl('-X', verb, `${served.url}/v1/a?b=c`), `${verb} /v1/a?b=c 0`)
  }
  assert.match(
    await curl('-I', `${served.url}/v1/a`),
    /^HTTP\/1.1 200 OK\r\nContent-Type: text\/plain\r\nDate: .*\r\nContent-Length: 13\r\n\r\n$/,
  )
  const folder = mkdtempSync(join(tmpdir(), 'coffer-http-'))
  try {
    await run('sh', ['-c', `head -c 3000000 /dev/zero > ${folder}/big`])
    assert.equal(await curl('-T', `${folder}/big`, `${served.url}/put`), 'PUT /put? 3000000')
    assert.equal(
      await curl('-H', 'Transfer-Encoding: chunked', '--data-binary', `@${folder}/big`, `${served.url}/post`),
      'POST /post? 3000000',
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
  assert.equal(await curl('-X', 'BREW', '-w', ' %{http_code}', `${served.url}/v1/a`), '{"errors":[]}\n 405')
  assert.equal(await curl(`${served.url}/a`, `${served.url}/b`, '-w', '[%{num_connects}]'), 'GET /a? 0[1]GET /b? 0[0]')
})

test('server: answers reach the handler under who sent them', async () => {
  await using served = await serve(({ peer }) => ({ status: 200, headers: [], body: JSON.stringify(peer) }))
  const peer = JSON.parse((await talk(served.port, get)).split('\r\n\r\n')[1]!) as Record<string, unknown>
  assert.deepEqual({ ...peer, port: 0 }, { transport: 'tcp', address: '127.0.0.1', port: 0, tls: null })
  assert.notEqual(peer['port'], 0)
})

test('server: a unix socket has its mode, and one that a killed process left is taken over', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'coffer-http-'))
  const path = join(folder, 's.sock')
  const answer: HttpHandler = ({ peer }) => ({ status: 200, headers: [], body: `${peer.transport} ${peer.port}` })
  try {
    {
      await using _served = await serve(answer, { address: { path, mode: 0o660 } })
      assert.equal(statSync(path).mode & 0o777, 0o660)
      assert.match(await talk(path, get), /unix 0$/)
      await assert.rejects(serve(answer, { address: { path } }), { code: 'EADDRINUSE' })
    }
    assert.equal(existsSync(path), false)
    // A process that dies leaves the file.
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
    await run(process.execPath, ['-e', script]).catch(() => undefined)
    assert.equal(existsSync(path), true)
    await using _served = await serve(answer, { address: { path } })
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.match(await talk(path, get), /unix 0$/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('server: an address in use is told by its code', async () => {
  const other = createServer()
  await once(other.listen(0, '127.0.0.1'), 'listening')
  const { port } = other.address() as { port: number }
  await assert.rejects(serve(echo, { address: { host: '127.0.0.1', port } }), { code: 'EADDRINUSE' })
  other.close()
})

test('server: connections above the bound are closed at once', async () => {
  await using served = await serve(echo, { limits: { connectionsMax: 1 } })
  const first = connect(served.port, '127.0.0.1')
  await once(first, 'connect')
  first.write(get)
  await once(first, 'data')
  const second = connect(served.port, '127.0.0.1').on('error', () => undefined)
  await once(second, 'close')
  first.destroy()
})

test('server: close ends idle connections, lets answers end, and tells streams', async () => {
  const [begun, finish, told] = [
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
  ]
  const served = await serve(async request => {
    if (request.path === '/stream') {
      async function* body() {
        yield Buffer.from('x')
        await new Promise<void>(resolve => request.signal.addEventListener('abort', () => resolve(told.resolve())))
      }
      return { status: 200, headers: [], body: body() }
    }
    if (request.path === '/slow') {
      begun.resolve()
      await finish.promise
    }
    return { status: 200, headers: [], body: 'done' }
  })
  const idle = connect(served.port, '127.0.0.1')
  idle.write(get)
  await once(idle, 'data')
  const stream = connect(served.port, '127.0.0.1').on('error', () => undefined)
  stream.write('GET /stream HTTP/1.1\r\nHost: h\r\n\r\n')
  await once(stream, 'data')
  const slow = connect(served.port, '127.0.0.1')
  slow.write('GET /slow HTTP/1.1\r\nHost: h\r\n\r\n')
  await begun.promise
  const closed = served.server.close({ graceMs: 60_000 })
  idle.resume()
  stream.resume()
  await Promise.all([once(idle, 'close'), once(stream, 'close'), told.promise])
  finish.resolve()
  let got = ''
  for await (const chunk of slow.setEncoding('latin1')) got += chunk as string
  assert.match(got, /Connection: close\r\n.*done$/s)
  await closed
})

test('server: close ends what outlasts the grace', async () => {
  const [begun, aborted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const served = await serve(request => {
    request.signal.addEventListener('abort', () => aborted.resolve())
    begun.resolve()
    return new Promise(() => undefined)
  })
  const client = connect(served.port, '127.0.0.1').on('error', () => undefined)
  client.write(get)
  await begun.promise
  assert.equal(served.server.connections, 1)
  await served.server.close({ graceMs: 1 })
  await aborted.promise
  client.destroy()
})

const proxied = 'PROXY TCP4 192.0.2.1 198.51.100.5 443 8200\r\n'
for (const [rule, behaviour, isAuthorized, raw, want] of [
  ['use_always believes everybody', 'use_always', false, proxied + get, /192\.0\.2\.1$/],
  ['use_always serves without a header', 'use_always', false, get, /127\.0\.0\.1$/],
  ['allow_authorized believes the authorized', 'allow_authorized', true, proxied + get, /192\.0\.2\.1$/],
  ['allow_authorized serves others by their own address', 'allow_authorized', false, get, /127\.0\.0\.1$/],
  ['allow_authorized reads no header of others', 'allow_authorized', false, proxied + get, /^HTTP\/1.1 400 /],
  ['deny_unauthorized believes the authorized', 'deny_unauthorized', true, proxied + get, /192\.0\.2\.1$/],
  ['deny_unauthorized refuses others', 'deny_unauthorized', false, get, /^$/],
  ['a bad header ends the connection', 'use_always', false, `PROXY TCP4 x\r\n${get}`, /^$/],
] as const) {
  test(`server: PROXY protocol, ${rule}`, async () => {
    const proxyProtocol = { behaviour, authorized: (address: string) => isAuthorized && address === '127.0.0.1' }
    await using served = await serve(({ peer }) => ({ status: 200, headers: [], body: peer.address }), {
      proxyProtocol,
    })
    const got = await talk(served.port, raw).catch((error: NodeJS.ErrnoException) => {
      assert.equal(error.code, 'ECONNRESET')
      return ''
    })
    assert.match(got, want)
  })
}

test("server: Python's http.client is served on one connection", async () => {
  await using served = await serve(echo)
  const script = `
import http.client, sys
c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]))
out = []
for verb in ['LIST', 'SCAN', 'HELP', 'POST']:
    c.request(verb, '/v1/a', b'xyz' if verb == 'POST' else None)
    out.append(c.getresponse().read().decode())
c.request('PUT', '/v1/a', iter([b'ab', b'c']), encode_chunked=True, headers={'Transfer-Encoding': 'chunked'})
out.append(c.getresponse().read().decode())
print(';'.join(out))`
  const python = await run('python3', ['-c', script, String(served.port)]).catch((error: NodeJS.ErrnoException) => {
    // A machine without Python: the same bytes are in the tables of connection.test.ts.
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (python !== null)
    assert.equal(python.stdout, 'LIST /v1/a? 0;SCAN /v1/a? 0;HELP /v1/a? 0;POST /v1/a? 3;PUT /v1/a? 3\n')
  assert.match(await talk(served.port, get), /GET \/a\? 0$/)
})

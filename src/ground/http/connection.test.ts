import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Bytes, isPromise } from '#ground/base/brand.ts'
import { exchange, MemoryFront } from './memory-front.ts'
import { type BodyError, type HttpHandler, type HttpRequest, type HttpResponse } from './message.ts'

const text = (body: string, status = 200): HttpResponse => ({ status, headers: [], body })

/** Says what it was asked, body included. */
const echo: HttpHandler = request => {
  const said = (body: Bytes): HttpResponse =>
    text(`${request.method} ${request.path} [${Buffer.from(body).toString('latin1')}]`)
  const body = request.body.bytes(1_000)
  return isPromise(body) ? body.then(said) : said(body)
}

const later: HttpHandler = async request => {
  await new Promise(resolve => setImmediate(resolve))
  return echo(request)
}

const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const last = (body: string): string =>
  `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`

const refused = (line: string, message: string | null, more = ''): string => {
  const body = `${JSON.stringify({ errors: message === null ? [] : [message] })}\n`
  return `HTTP/1.1 ${line}\r\nContent-Type: application/json\r\n${more}Connection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}
const allow = 'Allow: GET, POST, PUT, PATCH, DELETE, LIST, SCAN, HEAD, OPTIONS, HELP\r\n'
const chunked = (path: string): string => `PUT ${path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n`
const sized = (path: string, body: string): string =>
  `PUT ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`

const table: readonly [rule: string, sent: string | readonly string[], want: string][] = [
  ['one request', get('/a'), ok('GET /a []')],
  ['a kept connection serves the next', [get('/a'), get('/b')], ok('GET /a []') + ok('GET /b []')],
  [
    'pipelined requests are answered in order',
    get('/a') + get('/b') + get('/c'),
    ok('GET /a []') + ok('GET /b []') + ok('GET /c []'),
  ],
  ['a body comes with the head', sized('/a', 'xyz'), ok('PUT /a [xyz]')],
  ['a body comes after the head', [sized('/a', 'xyz').slice(0, -2), 'yz'], ok('PUT /a [xyz]')],
  [
    'a body is no next request',
    sized('/a', get('/evil')) + get('/b'),
    ok(`PUT /a [${get('/evil')}]`) + ok('GET /b []'),
  ],
  [
    'a chunked body, its trailers dropped',
    `${chunked('/a')}1\r\nx\r\n2;e\r\nyz\r\n0\r\nHost: evil\r\n\r\n${get('/b')}`,
    ok('PUT /a [xyz]') + ok('GET /b []'),
  ],
  ['a chunked body in pieces', [chunked('/a'), '1\r', '\nx\r\n', '0\r\n', '\r\n'], ok('PUT /a [x]')],
  ['an empty chunked body', `${chunked('/a')}0\r\n\r\n`, ok('PUT /a []')],
  ['a GET may have a body', 'GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx', ok('GET /a [x]')],
  ['an empty line before a request is forgiven', `\r\n${get('/a')}\r\n${get('/b')}`, ok('GET /a []') + ok('GET /b []')],
  ['a second one is not', `\r\n\r\n${get('/a')}`, refused('400 Bad Request', 'malformed request line')],
  ['HTTP/1.0 is answered and closed', 'GET /a HTTP/1.0\r\n\r\n', last('GET /a []')],
  [
    'Connection: close is obeyed, what follows is not read',
    `GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n${get('/b')}`,
    last('GET /a []'),
  ],
  ['a head may come byte by byte', get('/a').split(''), ok('GET /a []')],
  [
    'an unknown verb is 405 without errors',
    'BREW / HTTP/1.1\r\nHost: h\r\n\r\n',
    refused('405 Method Not Allowed', null, allow),
  ],
  [
    'a bad request ends the connection',
    `GET /a\r\n\r\n${get('/b')}`,
    refused('400 Bad Request', 'malformed request line'),
  ],
  [
    'what came before it is answered',
    `${get('/a')}GET / HTTP/3.0\r\n\r\n`,
    ok('GET /a []') + refused('505 HTTP Version Not Supported', 'only HTTP/1.1 and HTTP/1.0 are served'),
  ],
  [
    'a bare LF does not wait for more',
    'GET / HTTP/1.1\n',
    refused('400 Bad Request', 'bare LF in the head of a request'),
  ],
  ['a bad chunk is 400', `${chunked('/a')}x\r\n`, refused('400 Bad Request', 'malformed chunk size')],
  [
    'a body above the bound of the handler is 413',
    sized('/a', 'x'.repeat(1_001)),
    refused('413 Content Too Large', 'http: request body too large'),
  ],
  [
    'so is a chunked one',
    `${chunked('/a')}3e9\r\n${'x'.repeat(1001)}\r\n0\r\n\r\n`,
    refused('413 Content Too Large', 'http: request body too large'),
  ],
  ['a body at the bound is taken', sized('/a', 'x'.repeat(1_000)), ok(`PUT /a [${'x'.repeat(1_000)}]`)],
]
for (const [rule, sent, want] of table) {
  for (const [how, handler] of [
    ['at once', echo],
    ['later', later],
  ] as const) {
    test(`front: ${rule} (answered ${how})`, async () => assert.equal(await exchange(handler, sent), want))
  }
}

test('front: HEAD gets the headers of the body and no body', async () => {
  const got = await exchange(() => text('abc'), `HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n${get('/b')}`)
  assert.equal(got, `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n${ok('abc')}`)
})

for (const [status, body] of [
  [204, null],
  [304, 'ignored'],
] as const) {
  test(`front: ${status} has no body and no length`, async () => {
    const got = await exchange(() => ({ status, headers: [['A', 'b']], body }), get('/'))
    assert.match(got, new RegExp(`^HTTP/1.1 ${status} [A-Za-z ]+\r\nA: b\r\n\r\n$`))
  })
}

for (const [rule, body] of [
  ['text', 'é€'],
  ['bytes', Buffer.from('é€')],
] as const) {
  test(`front: a body of ${rule} goes out as UTF-8`, async () => {
    const got = Buffer.from(await exchange(() => ({ status: 200, headers: [], body }), get('/')), 'latin1').toString(
      'utf8',
    )
    assert.equal(got, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\né€')
  })
}

test('front: heads above the bound are 431, whole or not', async () => {
  const limits = { headBytesMax: 200 }
  const long = `GET / HTTP/1.1\r\nHost: h\r\nA: ${'x'.repeat(200)}`
  const want = refused('431 Request Header Fields Too Large', 'head of the request above 200 bytes')
  assert.equal(await exchange(echo, `${long}\r\n\r\n`, { limits }), want)
  assert.equal(await exchange(echo, long, { limits }), want)
  assert.equal(await exchange(echo, long.split(''), { limits }), want)
  const fits = get(`/${'x'.repeat(200 - get('/').length)}`)
  assert.match(await exchange(echo, fits + fits, { limits }), /200 OK.*200 OK/s)
})

test('front: more header fields than allowed are 431', async () => {
  const got = await exchange(echo, 'GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\n\r\n', {
    limits: { headerCountMax: 2 },
  })
  assert.equal(got, refused('431 Request Header Fields Too Large', 'more than 2 header fields'))
})

test('front: a client that waits for 100 Continue gets it when its body is wanted', async () => {
  const front = new MemoryFront(echo)
  const client = front.dial()
  client.send('PUT /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n')
  assert.equal(await client.until(got => got.length > 0), 'HTTP/1.1 100 Continue\r\n\r\n')
  client.send('xyz')
  assert.match(
    await client.until(got => got.includes('xyz')),
    /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n.*\[xyz\]$/s,
  )
  client.stream.destroy()
})

test('front: 100 Continue is left out when the body has begun, and comes after earlier answers', async () => {
  const head = 'PUT /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n'
  assert.equal(await exchange(echo, `${head}xyz`), ok('PUT /a [xyz]'))
  const front = new MemoryFront(echo)
  const client = front.dial()
  client.send(get('/b') + head)
  const got = await client.until(all => all.includes('100 Continue\r\n\r\n'))
  assert.ok(got.indexOf('GET /b []') < got.indexOf('100 Continue'))
  client.stream.destroy()
})

test('front: an answer without the body that was offered ends the connection', async () => {
  const got = await exchange(
    () => text('no', 403),
    'PUT /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n',
  )
  assert.equal(got, 'HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno')
})

test('front: a body that nobody read is dropped, and the connection lives on', async () => {
  const ignore: HttpHandler = () => text('x')
  assert.equal(await exchange(ignore, [sized('/a', 'abc').slice(0, -1), `c${get('/b')}`]), ok('x') + ok('x'))
  assert.equal(await exchange(ignore, `${chunked('/a')}1\r\na\r\n0\r\n\r\n${get('/b')}`), ok('x') + ok('x'))
})

test('front: a large body that nobody read ends the connection', async () => {
  const got = await exchange(() => text('x'), 'PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nabc')
  assert.equal(got, last('x'))
})

test('front: a handler that throws is a bare 500, and the connection lives on', async () => {
  const handlers: HttpHandler[] = [
    () => {
      throw new Error('secret detail')
    },
    async () => {
      throw new Error('secret detail')
    },
    () => ({ status: 200, headers: [['A', 'b\r\nc']], body: 'x' }),
  ]
  for (const handler of handlers) {
    const front = new MemoryFront(request => (request.path === '/b' ? text('b') : handler(request)))
    const client = front.dial()
    client.send(get('/a') + get('/b'))
    client.stream.end()
    assert.match(await client.all(), /^HTTP\/1.1 500 .*\{"errors":\["internal error"\]\}\n.*200 OK.*b$/s)
    assert.equal(front.errors.length, 1)
  }
})

test('front: beforeWrite is called once for the answers of a turn, before them', async () => {
  const events: string[] = []
  const front = new MemoryFront(
    request => {
      events.push(request.path)
      return text('x')
    },
    { beforeWrite: () => events.push('written') },
  )
  const [one, two] = [front.dial(), front.dial()]
  one.send(get('/1') + get('/2'))
  two.send(get('/3'))
  await one.until(got => got.endsWith('x'))
  await two.until(got => got.endsWith('x'))
  assert.deepEqual(events.filter((event, i) => event !== 'written' || events[i + 1] !== 'written').at(-1), 'written')
  assert.ok(events.indexOf('/2') < events.indexOf('written'))
  one.stream.destroy()
  two.stream.destroy()
})

test('front: when beforeWrite fails, every answer that waits is replaced', async () => {
  let isClosed = false
  async function* stream() {
    try {
      yield Buffer.from('secret')
    } finally {
      isClosed = true
    }
  }
  const handler: HttpHandler = ({ path }) =>
    path === '/s' ? { status: 200, headers: [], body: stream() } : text('secret')
  const options = {
    beforeWrite: () => {
      throw new Error('disk full')
    },
    onBeforeWriteFailed: (error: unknown) => text(String(error), 500),
  }
  const got = await exchange(handler, `${get('/a')}HEAD /b HTTP/1.1\r\nHost: h\r\n\r\n${get('/s')}`, options)
  const bare = 'HTTP/1.1 500 Internal Server Error\r\nContent-Length: 16\r\n\r\n'
  assert.equal(got, `${bare}Error: disk full${bare}${bare}Error: disk full`)
  assert.equal(isClosed, false, 'a generator that never began has nothing to close')
})

test('front: a stream is sent in chunks, then the next request is read', async () => {
  async function* stream() {
    yield Buffer.from('ab')
    yield Buffer.alloc(0)
    await new Promise(resolve => setImmediate(resolve))
    yield Buffer.from('c'.repeat(17))
  }
  const handler: HttpHandler = ({ path }) => (path === '/s' ? { status: 200, headers: [], body: stream() } : text('x'))
  const front = new MemoryFront(handler)
  const client = front.dial()
  client.send(get('/s') + get('/b'))
  const got = (await client.until(all => all.endsWith('x'))).replaceAll(/Date: [^\r]*\r\n/g, '')
  assert.equal(
    got,
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n11\r\n${'c'.repeat(17)}\r\n0\r\n\r\n${ok('x')}`,
  )
  client.send('GET /s HTTP/1.0\r\n\r\n')
  assert.match(await client.all(), new RegExp(`Connection: close\r\n\r\nab${'c'.repeat(17)}$`))
})

test('front: HEAD of a stream has its headers, and closes it', async () => {
  let isClosed = false
  const body = {
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false as const, value: Buffer.from('x') }),
      return: async () => {
        isClosed = true
        return { done: true as const, value: undefined }
      },
    }),
  }
  const got = await exchange(() => ({ status: 200, headers: [], body }), 'HEAD /s HTTP/1.1\r\nHost: h\r\n\r\n')
  assert.equal(got, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  assert.equal(isClosed, true)
})

test('front: a stream that fails is cut off, and one whose client went is closed', async () => {
  async function* failing() {
    yield Buffer.from('a')
    throw new Error('broken')
  }
  const front = new MemoryFront(() => ({ status: 200, headers: [], body: failing() }))
  const client = front.dial()
  client.send(get('/s'))
  assert.doesNotMatch(await client.all(), /\r\n0\r\n\r\n$/)
  assert.equal(front.errors.length, 1)

  const closed = Promise.withResolvers<void>()
  async function* endless(request: HttpRequest) {
    try {
      for (;;) {
        yield Buffer.from('a')
        await new Promise<void>(resolve => request.signal.addEventListener('abort', () => resolve()))
      }
    } finally {
      closed.resolve()
    }
  }
  const second = new MemoryFront(request => ({ status: 200, headers: [], body: endless(request) })).dial()
  second.send(get('/s'))
  await second.until(got => got.endsWith('a\r\n'))
  second.stream.destroy()
  await closed.promise
})

test('front: a client that takes nothing stops the stream, not the memory', async () => {
  let made = 0
  async function* endless() {
    for (;;) {
      made++
      yield Buffer.alloc(16_384)
    }
  }
  const client = new MemoryFront(() => ({ status: 200, headers: [], body: endless() })).dial()
  client.stream.pause()
  client.send(get('/s'))
  for (let i = 0; i < 100; i++) await new Promise(resolve => setImmediate(resolve))
  assert.ok(made < 40, `${made} pieces were made`)
  client.stream.destroy()
})

test('front: a client that takes nothing is not read on', async () => {
  let served = 0
  const front = new MemoryFront(
    () => {
      served++
      return text('x'.repeat(10_000))
    },
    { limits: { unsentBytesMax: 100_000 } },
  )
  const client = front.dial()
  client.stream.pause()
  for (let i = 0; i < 200; i++) client.send(get('/'))
  for (let i = 0; i < 100; i++) await new Promise(resolve => setImmediate(resolve))
  assert.ok(served < 40, `${served} requests were served`)
  client.stream.resume()
  await client.until(got => got.length > 200 * 10_000)
  assert.equal(served, 200)
  client.stream.destroy()
})

test('front: an upgraded connection belongs to its protocol', async () => {
  const front = new MemoryFront(() => ({
    status: 101,
    headers: [['Upgrade', 'echo']],
    upgrade: async (socket, head) => {
      socket.write(`<${Buffer.from(head).toString()}>`)
      for await (const chunk of socket) {
        socket.write(chunk as Buffer)
        if (String(chunk).includes('!')) break
      }
    },
  }))
  const client = front.dial()
  client.send(`GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly`)
  await client.until(got => got.endsWith('<early>'))
  client.send('GET / nothing\n!')
  const got = (await client.all()).replaceAll(/Date: [^\r]*\r\n/g, '')
  assert.equal(
    got,
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n<early>GET / nothing\n!',
  )
})

test('front: HTTP/1.0 can not be upgraded', async () => {
  const got = await exchange(
    () => ({ status: 101, headers: [], upgrade: async () => undefined }),
    'GET / HTTP/1.0\r\n\r\n',
  )
  assert.equal(got, refused('400 Bad Request', 'this connection cannot be upgraded'))
})

test('front: the signal is aborted when the client goes', async () => {
  const gone = Promise.withResolvers<void>()
  const front = new MemoryFront(request => {
    request.signal.addEventListener('abort', () => gone.resolve())
    return gone.promise.then(() => text('late'))
  })
  const client = front.dial()
  client.send(get('/'))
  await new Promise(resolve => setImmediate(resolve))
  client.stream.destroy()
  await gone.promise
})

for (const [rule, sent, ms, want] of [
  [
    'a head that does not end is 408',
    'GET / HTTP/1.1\r\nHo',
    11_500,
    refused('408 Request Timeout', 'the head of the request came too slowly'),
  ],
  [
    'a body that does not end is 408',
    sized('/', 'abc').slice(0, -1),
    31_500,
    refused('408 Request Timeout', 'the body of the request came too slowly'),
  ],
  ['a client that says nothing is let go', '', 11_500, ''],
  ['an idle connection is let go', get('/'), 301_500, ok('GET / []')],
] as const) {
  test(`front: ${rule}`, async () => {
    const front = new MemoryFront(echo)
    const client = front.dial()
    client.send(sent)
    for (let i = 0; i < 5; i++) await new Promise(resolve => setImmediate(resolve))
    await front.clock.advance(ms - 2_000)
    assert.equal(client.isEnded, false, 'not early')
    await front.clock.advance(2_000)
    await front.clock.advance(3_000)
    assert.equal((await client.all()).replaceAll(/Date: [^\r]*\r\n/g, ''), want)
    client.stream.destroy()
  })
}

test('front: dripping bytes do not extend the time of a head', async () => {
  const front = new MemoryFront(echo)
  const client = front.dial()
  for (let i = 0; i < 30 && !client.isEnded; i++) {
    client.send(i === 0 ? 'GET /' : 'x')
    await front.clock.advance(500)
  }
  assert.match(await client.all(), /^HTTP\/1.1 408 /)
  client.stream.destroy()
})

test('front: body errors reach the handler, which may answer them in its own way', async () => {
  const handler: HttpHandler = async request => {
    try {
      let size = 0
      for await (const chunk of request.body.stream(5)) size += chunk.length
      return text(`${size}`)
    } catch (error) {
      return text((error as BodyError).code, 400)
    }
  }
  assert.match(await exchange(handler, [sized('/', 'abcde').slice(0, -1), 'e']), /200 OK.*5$/s)
  assert.match(await exchange(handler, sized('/', 'abcdef')), /400 Bad Request\r\nConnection: close.*too-large$/s)
  assert.match(await exchange(handler, `${chunked('/')}zz\r\n`), /400 Bad Request\r\nConnection: close.*malformed$/s)
  assert.match(
    await exchange(handler, sized('/', 'abc').slice(0, -1)),
    /400 Bad Request\r\nConnection: close.*aborted$/s,
  )
})

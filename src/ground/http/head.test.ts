import assert from 'node:assert/strict'
import { test } from 'node:test'
import { earlyRefusal, type Head, parseHead, Refusal, verbs } from './head.ts'

function parse(raw: string, countMax = 100): Head | Refusal {
  return parseHead(raw, 0, raw.indexOf('\r\n\r\n') + 2, countMax)
}

function accepted(raw: string): Head {
  const head = parse(raw)
  assert.ok(!(head instanceof Refusal), `refused: ${(head as Refusal).message}`)
  return head
}

const get = (target: string, ...fields: string[]): string =>
  `GET ${target} HTTP/1.1\r\n${['Host: h', ...fields].join('\r\n')}\r\n\r\n`

for (const verb of verbs) {
  test(`head: the verb ${verb} is taken`, () => {
    assert.equal(accepted(`${verb} /v1/a HTTP/1.1\r\nHost: h\r\n\r\n`).method, verb)
  })
}

test('head: path and query part at the first question mark, as sent', () => {
  const head = accepted(get('/v1/a%20b/c?list=true&x=?'))
  assert.deepEqual([head.path, head.query], ['/v1/a%20b/c', 'list=true&x=?'])
})

test('head: header names are lower case, values without outer blanks, order and doubles kept', () => {
  const head = accepted(get('/', 'X-Vault-Token:  s.x \t', 'x-MFA: a', 'X-mfa:b', 'Empty:'))
  assert.deepEqual(
    [...head.headers],
    [
      ['host', 'h'],
      ['x-vault-token', 's.x'],
      ['x-mfa', 'a'],
      ['x-mfa', 'b'],
      ['empty', ''],
    ],
  )
  assert.deepEqual(head.headers.all('x-mfa'), ['a', 'b'])
  assert.equal(head.headers.get('nothing'), undefined)
  assert.equal(head.headers.has('empty'), true)
})

const facts: readonly [rule: string, raw: string, want: Partial<Head>][] = [
  ['no body without a length', get('/'), { length: 0, isKept: true, minor: 1 }],
  ['a length is read', 'PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n', { length: 12 }],
  ['leading zeros of a length are read', 'PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0012\r\n\r\n', { length: 12 }],
  ['chunked has no length', 'PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n', { length: null }],
  ['Connection: close ends the connection', get('/', 'Connection: keep-alive, Close'), { isKept: false }],
  ['a token that only contains close does not', get('/', 'Connection: closed'), { isKept: true }],
  ['HTTP/1.0 ends the connection', 'GET / HTTP/1.0\r\n\r\n', { isKept: false, minor: 0 }],
  ['HTTP/1.0 may ask to keep it in vain', 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', { isKept: false }],
  [
    '100-continue is seen where a body comes',
    'PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n',
    { expectsContinue: true },
  ],
  ['100-continue without a body is nothing', get('/', 'Expect: 100-continue'), { expectsContinue: false }],
  ['an empty Host is one', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', { path: '/' }],
  ['an IPv6 Host is one', 'GET / HTTP/1.1\r\nHost: [::1]:8200\r\n\r\n', { path: '/' }],
  ['the encoded path of a unix socket is a Host', 'GET / HTTP/1.1\r\nHost: %2Frun%2Fx.sock\r\n\r\n', { path: '/' }],
  ['OPTIONS may ask for everything', 'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n', { path: '*' }],
  [
    'the absolute form is taken when it names the Host',
    'GET http://H:8200/v1/a?b HTTP/1.1\r\nHost: h:8200\r\n\r\n',
    { path: '/v1/a', query: 'b' },
  ],
  [
    'the absolute form without a path means the root',
    'GET https://h?x HTTP/1.1\r\nHost: h\r\n\r\n',
    { path: '/', query: 'x' },
  ],
  [
    'raw bytes above ASCII are encoded',
    'GET /\xc3\xbc?\xff HTTP/1.1\r\nHost: h\r\n\r\n',
    { path: '/%C3%BC', query: '%FF' },
  ],
]
for (const [rule, raw, want] of facts) {
  test(`head: ${rule}`, () => {
    const head = accepted(raw)
    for (const [name, value] of Object.entries(want)) assert.equal(head[name as keyof Head], value, name)
  })
}

const put = (...fields: string[]): string => `PUT / HTTP/1.1\r\n${['Host: h', ...fields].join('\r\n')}\r\n\r\n`

const refusals: readonly [rule: string, raw: string, status: number][] = [
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['two Hosts', get('/', 'Host: h'), 400],
  ['a Host with a path', 'GET / HTTP/1.1\r\nHost: h/x\r\n\r\n', 400],
  ['a Host with a user', 'GET / HTTP/1.1\r\nHost: u@h\r\n\r\n', 400],
  ['an unknown verb', 'PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n', 405],
  ['a verb in lower case', 'get / HTTP/1.1\r\nHost: h\r\n\r\n', 405],
  ['a tunnel', 'CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n', 405],
  ['a verb that is no token', 'G(T / HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['no verb', ' / HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['no target', 'GET HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['an empty target', 'GET  HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['two blanks', 'GET  / HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['a tab for a blank', 'GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['a blank behind the version', 'GET / HTTP/1.1 \r\nHost: h\r\n\r\n', 400],
  ['a target without a slash', 'GET v1/a HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['a star but for OPTIONS', 'GET * HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['a fragment', get('/a#b'), 400],
  ['a control character in the target', get('/a\x01'), 400],
  ['a NUL in the target', get('/a\0'), 400],
  ['the absolute form of another Host', 'GET http://evil/ HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['the absolute form with a user', 'GET http://h@evil/ HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['another scheme', 'GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['HTTP/0.9', 'GET /\r\n\r\n', 400],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\n', 505],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: h\r\n\r\n', 505],
  ['a version in lower case', 'GET / http/1.1\r\nHost: h\r\n\r\n', 400],
  ['a folded line', get('/', 'A: b', ' c'), 400],
  ['a folded first line', 'GET / HTTP/1.1\r\n Host: h\r\n\r\n', 400],
  ['a blank before the colon', get('/', 'A : b'), 400],
  ['a tab before the colon', put('Content-Length\t: 1'), 400],
  ['a header without a colon', get('/', 'Ab'), 400],
  ['a header without a name', get('/', ': b'), 400],
  ['a bare CR in a value', get('/', 'A: b\rc'), 400],
  ['a bare LF in a value', get('/', 'A: b\nContent-Length: 3'), 400],
  ['a bare CR in the request line', 'GET /\rHost: h HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['a NUL in a value', get('/', 'A: b\0c'), 400],
  ['two lengths', put('Content-Length: 1', 'Content-Length: 2'), 400],
  ['two equal lengths', put('Content-Length: 1', 'Content-Length: 1'), 400],
  ['a list of lengths', put('Content-Length: 1, 1'), 400],
  ['a signed length', put('Content-Length: +1'), 400],
  ['a negative length', put('Content-Length: -1'), 400],
  ['a hexadecimal length', put('Content-Length: 0x1'), 400],
  ['an empty length', put('Content-Length:'), 400],
  ['a fractional length', put('Content-Length: 1.0'), 400],
  ['a length beyond counting', put('Content-Length: 9999999999999999'), 400],
  ['a length beside chunked', put('Content-Length: 1', 'Transfer-Encoding: chunked'), 400],
  ['chunked beside a length', put('Transfer-Encoding: chunked', 'Content-Length: 1'), 400],
  ['chunked twice', put('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), 400],
  ['chunked in HTTP/1.0', 'PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
  ['chunked and more', put('Transfer-Encoding: gzip, chunked'), 501],
  ['chunked, nearly', put('Transfer-Encoding: xchunked'), 501],
  ['chunked with a vertical tab', put('Transfer-Encoding: \vchunked'), 400],
  ['identity', put('Transfer-Encoding: identity'), 501],
  ['another expectation', put('Expect: 200-ok', 'Content-Length: 1'), 417],
]
for (const [rule, raw, status] of refusals) {
  test(`head: refuses ${rule}`, () => {
    const refusal = parse(raw)
    assert.ok(refusal instanceof Refusal, 'accepted')
    assert.equal(refusal.status, status, refusal.message ?? '')
  })
}

test('head: more header fields than allowed are 431', () => {
  const refusal = parse(get('/', 'A: 1', 'B: 2'), 2)
  assert.ok(refusal instanceof Refusal && refusal.status === 431)
  assert.ok(!(parse(get('/', 'A: 1', 'B: 2'), 3) instanceof Refusal))
})

for (const [rule, raw, isRefused] of [
  ['a good beginning waits', 'GET / HTTP/1.1\r\nHos', false],
  ['a CR at the end waits', 'GET / HTTP/1.1\r', false],
  ['a bare LF is refused before the end', 'GET / HTTP/1.1\nHost: h\n\n', true],
  ['a bare CR is refused before the end', 'GET / HTTP/1.1\rHost', true],
  ['a TLS hello is refused at its first byte', '\x16\x03\x01', true],
  ['nothing yet waits', '', false],
] as const) {
  test(`head: ${rule}`, () => assert.equal(earlyRefusal(raw, 0) !== null, isRefused))
}

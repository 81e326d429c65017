import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import { headersOf } from '#ground/http/headers.ts'
import type { Body, HttpResponse } from '#ground/http/message.ts'
import { captured } from '#ground/fields/kit.ts'
import type { Json } from '#ground/text/json.ts'
import { type Engine, rowOf } from '#backend/engine.ts'
import type { Reply } from '#backend/reply.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { doorman, notebook } from '#core/testing/engines.ts'
import { openTestServer, type TestAnswer, type TestServer } from '#core/testing/mount.ts'

type Info = {
  token: string
  accessor: string
  ttl: number
  creation_time: string
  creation_path: string
  wrapped_accessor?: string
}

const invalid = 'wrapping token is not valid or does not exist'

/** Replies that ask for wrapping by themselves, or have something to say about it. */
const replies: Readonly<Record<string, Reply>> = {
  minute: { kind: 'data', data: { a: 'b' }, wrap: { ttlSeconds: seconds(60) } },
  accessor: { kind: 'data', data: { a: 'b' }, wrap: { ttlSeconds: seconds(0), accessor: 'inner-accessor' } },
  auth: { kind: 'auth', auth: { client_token: 'hvs.x', accessor: 'auth-accessor', policies: ['p'] } },
  bytes: { kind: 'raw', status: 200, contentType: 'application/pkix-cert', body: new Uint8Array([0, 255, 10]) },
  listed: { kind: 'list', keys: ['a'] },
  none: { kind: 'list', keys: [] },
  scanned: { kind: 'list', keys: [], scan: true },
  stream: { kind: 'stream', contentType: 'text/plain', body: (async function* () {})() },
  accepted: { kind: 'data', data: null, status: 202, warnings: ['started'] },
  nothing: { kind: 'raw', status: 204, contentType: 'application/json', body: '' },
}

const row = rowOf<null>()
const help = { synopsis: 'A reply.', description: 'A reply.' }
const handler = (call: { input: { name: string } }): Reply => replies[call.input.name]!
const wisher: Engine<null> = {
  type: 'wisher',
  kind: 'secret',
  version: 'v1',
  description: 'has wishes',
  codecs: [],
  open: () => null,
  rows: [
    row({
      path: 'reply/:name',
      fields: { name: captured('Which.') },
      help,
      operations: {
        read: { access: 'policy', handler },
        delete: { access: 'policy', wrappable: false, handler },
      },
    }),
  ],
}

async function open(outside = new Outside()): Promise<TestServer> {
  const server = await openTestServer({ catalog: [notebook, doorman(), wisher, accountsEngine(outside)] })
  for (const type of ['notebook', 'wisher', 'accounts']) {
    assert.equal((await server.ask('POST', `sys/mounts/${type}`, { body: { type } })).status, 204)
  }
  assert.equal((await server.ask('POST', 'sys/auth/doorman', { body: { type: 'doorman' } })).status, 204)
  return server
}

const infoOf = (answer: TestAnswer): Info => {
  assert.equal(answer.status, 200, answer.errors.join())
  const info = (answer.body as { wrap_info: Info | null }).wrap_info
  assert.ok(info !== null, answer.text)
  return info
}

const wrapFor = (ttl: string): { headers: Record<string, string> } => ({ headers: { 'X-Vault-Wrap-TTL': ttl } })

const wrapped = async (server: TestServer, path: string, ttl = '60', method = 'GET'): Promise<Info> =>
  infoOf(await server.ask(method, path, wrapFor(ttl)))

const unwrap = (server: TestServer, token: string): Promise<TestAnswer> =>
  server.ask('POST', 'sys/wrapping/unwrap', { token })

test('wrapping: the answer is wrap_info alone, what is inside comes byte for byte with its old request id', async () => {
  await using server = await open()
  const answer = await server.ask('GET', 'notebook/shape/top', wrapFor('2m'))
  const info = infoOf(answer)
  assert.deepEqual(answer.body, {
    request_id: '',
    lease_id: '',
    renewable: false,
    lease_duration: 0,
    data: null,
    wrap_info: {
      token: info.token,
      accessor: info.accessor,
      ttl: 120,
      creation_time: '2026-01-01T00:00:00Z',
      creation_path: 'notebook/shape/top',
    },
    warnings: null,
    auth: null,
    mount_type: '',
  })
  assert.match(info.token, /^hvs\.[0-9A-Za-z]{24}$/)
  const inner = await unwrap(server, info.token)
  assert.equal(inner.status, 200)
  const id = answer.headers.get('x-coffer-request-id')
  assert.equal(
    inner.text,
    `{"request_id":"${id}","lease_id":"","renewable":false,"lease_duration":0,"data":{"a":1,"data":2,"errors":"x"},"wrap_info":null,"warnings":null,"auth":null,"mount_type":"notebook","a":1,"errors":"x"}\n`,
  )
  assert.notEqual(inner.headers.get('x-coffer-request-id'), id)
  assert.deepEqual((await unwrap(server, info.token)).errors, [invalid])
})

const text = 'error parsing X-Vault-Wrap-TTL header: '
for (const [sent, want] of [
  ['60', 60],
  ['60s', 60],
  ['1h30m', 5_400],
  ['1d', 86_400],
  ['1500ms', 1],
  ['', null],
  ['0', null],
  ['0s', null],
  ['-1', `${text}requested wrap ttl cannot be negative`],
  ['-5m', `${text}requested wrap ttl cannot be negative`],
  ['300ms', `${text}requested wrap ttl must be at least a second`],
  ['soon', `${text}time: invalid duration "soon"`],
  ['5 m', `${text}time: unknown unit " m" in duration "5 m"`],
  ['1x', `${text}time: unknown unit "x" in duration "1x"`],
  ['1.5d', `${text}strconv.ParseInt: parsing "1.5": invalid syntax`],
  ['99999999999', `${text}time: invalid duration "99999999999"`],
] as const) {
  test(`wrapping: X-Vault-Wrap-TTL "${sent}" is ${want ?? 'no wrapping'}`, async () => {
    await using server = await open()
    const answer = await server.ask('GET', 'notebook/echo/a', wrapFor(sent))
    if (typeof want === 'string') assert.deepEqual([answer.status, answer.errors], [400, [want]])
    else if (want === null) assert.deepEqual(answer.data, { count: 0, flag: false, name: 'a', names: [], word: '' })
    else {
      const info = infoOf(answer)
      assert.equal(info.ttl, want)
      await server.world.clock.advance(want * 1000 - 1)
      assert.equal((await server.ask('POST', 'sys/wrapping/lookup', { body: { token: info.token } })).status, 200)
      await server.world.clock.advance(1)
      assert.deepEqual((await unwrap(server, info.token)).errors, [invalid])
    }
  })
}

for (const [rule, path, ask, want] of [
  ['the engine asks and the request does not', 'wisher/reply/minute', undefined, 60],
  ['the request asks for less', 'wisher/reply/minute', '30', 30],
  ['the request asks for more', 'wisher/reply/minute', '90', 60],
  ['the request alone asks', 'wisher/reply/accessor', '30', 30],
  ['nobody asks', 'wisher/reply/accessor', undefined, null],
] as const) {
  test(`wrapping: the shorter wish counts: ${rule}`, async () => {
    await using server = await open()
    const answer = await server.ask('GET', path, ask === undefined ? {} : wrapFor(ask))
    if (want === null) assert.deepEqual(answer.data, { a: 'b' })
    else assert.equal(infoOf(answer).ttl, want)
  })
}

for (const [rule, path, method, status, body] of [
  ['data', 'wisher/reply/minute', 'GET', 200, { data: { a: 'b' } }],
  ['data with a status', 'wisher/reply/accepted', 'GET', 202, { data: null, warnings: ['started'] }],
  ['a 404 with data', 'notebook/shape/gone', 'GET', 404, { data: { metadata: { version: 1 } } }],
  ['warnings without data', 'notebook/shape/warned', 'GET', 200, { data: null, warnings: ['mind the step'] }],
  ['a list', 'wisher/reply/listed', 'GET', 200, { data: { keys: ['a'] } }],
  ['an empty scan', 'wisher/reply/scanned', 'GET', 200, { data: { keys: [] } }],
  ['a bare body', 'notebook/shape/bare', 'GET', 202, { a: 1 }],
  ['text', 'notebook/shape/raw', 'GET', 200, 'hello'],
  ['an empty answer', 'wisher/reply/nothing', 'GET', 204, null],
  ['an auth block', 'wisher/reply/auth', 'GET', 200, { auth: { client_token: 'hvs.x' } }],
] as const) {
  test(`wrapping: ${rule} is wrapped, and comes back with status ${status}`, async () => {
    await using server = await open()
    const inner = await unwrap(server, (await wrapped(server, path, '60', method)).token)
    assert.equal(inner.status, status)
    if (body === null || typeof body === 'string') assert.equal(inner.body, body)
    else assert.partialDeepStrictEqual(inner.body, body)
  })
}

test('wrapping: bytes come back as they were, under their content type', async () => {
  await using server = await open()
  const { token } = await wrapped(server, 'wisher/reply/bytes')
  const asked = server.node.handler({
    method: 'PUT',
    path: '/v1/sys/wrapping/unwrap',
    query: '',
    headers: headersOf([['x-vault-token', token]]),
    body: { length: 0 } as Body,
    peer: { transport: 'tcp', address: '192.0.2.7', port: 1, tls: null },
    signal: new AbortController().signal,
  })
  const inner = (await Promise.resolve(asked)) as HttpResponse
  assert.deepEqual([inner.status, Array.from(inner.body as Uint8Array)], [200, [0, 255, 10]])
  assert.equal(inner.headers.find(([name]) => name === 'Content-Type')![1], 'application/pkix-cert')
})

for (const [rule, method, path, status, errors] of [
  ['a write without an answer', 'POST', 'notebook/note/a', 204, []],
  ['a read of nothing', 'GET', 'notebook/note/none', 404, []],
  ['an empty list', 'GET', 'wisher/reply/none', 404, []],
  ['an error', 'POST', 'notebook/fail?', 500, ['internal error']],
  ['an unknown path', 'GET', 'notebook/none/at/all', 404, ['1 error occurred:\n\t* unsupported path\n\n']],
] as const) {
  test(`wrapping: ${rule} is not wrapped`, async () => {
    await using server = await open()
    const before = (await server.house.tokens.shelf.page(null, 100)).tokens.length
    const answer = await server.ask(method, path, { ...wrapFor('60'), body: {} })
    assert.deepEqual([answer.status, answer.errors], [status, errors])
    assert.equal((await server.house.tokens.shelf.page(null, 100)).tokens.length, before)
  })
}

for (const [rule, method, path] of [
  ['help', 'GET', 'notebook/note/a?help=1'],
  ['health', 'GET', 'sys/health'],
  ['seal-status', 'GET', 'sys/seal-status'],
  ['what needs no token', 'GET', 'notebook/door/unauthenticated'],
  ['a row that says so', 'DELETE', 'wisher/reply/accessor'],
] as const) {
  test(`wrapping: ${rule} goes out as it is, whatever the header`, async () => {
    await using server = await open()
    const answer = await server.ask(method, path, wrapFor('60'))
    assert.equal(answer.status, 200)
    assert.equal((answer.body as { wrap_info?: Json }).wrap_info ?? null, null)
  })
}

test('wrapping: what may be had without a token is wrapped for who has one only', async () => {
  await using server = await open()
  const ask = { token: null, ...wrapFor('60') }
  assert.deepEqual((await server.ask('GET', 'notebook/door/optional', ask)).data, { known: false })
  await wrapped(server, 'notebook/door/optional')
})

test('wrapping: a stream is refused, in words', async () => {
  await using server = await open()
  const { status, errors } = await server.ask('GET', 'wisher/reply/stream', wrapFor('60'))
  assert.deepEqual(
    [status, errors],
    [400, ['this answer is a stream and can not be wrapped: leave out X-Vault-Wrap-TTL']],
  )
})

test('wrapping: a login is inside, and wrapped_accessor tells which', async () => {
  await using server = await open()
  const body = { name: 'bob', token_policies: 'p' }
  const answer = await server.ask('POST', 'auth/doorman/login', { body, token: null, ...wrapFor('60') })
  const info = infoOf(answer)
  assert.equal((answer.body as { auth: Json }).auth, null)
  const inner = (await unwrap(server, info.token)).body as { auth: { client_token: string; accessor: string } }
  assert.equal(info.wrapped_accessor, inner.auth.accessor)
  const self = await server.ask('GET', 'auth/token/lookup-self', { token: inner.auth.client_token })
  assert.partialDeepStrictEqual(self.data, { display_name: 'doorman-bob', accessor: info.wrapped_accessor! })
})

for (const [rule, method, path, want] of [
  ['of an auth block', 'GET', 'wisher/reply/auth', 'auth-accessor'],
  ['of a created token', 'POST', 'auth/token/create', /^[0-9A-Za-z]{24}$/],
  ['that the engine names', 'GET', 'wisher/reply/accessor', 'inner-accessor'],
  ['of data is left out', 'GET', 'notebook/echo/a', undefined],
] as const) {
  test(`wrapping: wrapped_accessor ${rule}`, async () => {
    await using server = await open()
    const { wrapped_accessor } = await wrapped(server, path, '60', method)
    if (want instanceof RegExp) assert.match(wrapped_accessor!, want)
    else assert.equal(wrapped_accessor, want)
  })
}

test('wrapping: the wrapping token is an orphan of one use with the one policy, made by nobody, on the path', async () => {
  await using server = await open()
  const token = await server.tokenWith('path "notebook/*" { capabilities = ["read"] }')
  const info = infoOf(await server.ask('GET', 'notebook/echo/a', { token, ...wrapFor('60') }))
  const found = await server.ask('POST', 'auth/token/lookup-accessor', { body: { accessor: info.accessor } })
  assert.partialDeepStrictEqual(found.data, {
    policies: ['response-wrapping'],
    num_uses: 1,
    ttl: 60,
    creation_ttl: 60,
    explicit_max_ttl: 60,
    renewable: false,
    orphan: true,
    path: 'notebook/echo/a',
    meta: null,
    type: 'service',
    entity_id: '',
    display_name: '',
  })
  await server.ask('POST', 'auth/token/revoke', { body: { token } })
  assert.equal((await unwrap(server, info.token)).status, 200)
})

test('wrapping: a lease goes on inside; its own token ends it as ever', async () => {
  const outside = new Outside()
  await using server = await open(outside)
  const { token } = await wrapped(server, 'accounts/creds/app?ttl=3600')
  const inner = (await unwrap(server, token)).body as {
    lease_id: string
    lease_duration: number
    data: { name: string }
  }
  assert.match(inner.lease_id, /^accounts\/creds\/app\//)
  assert.equal(inner.lease_duration, 3600)
  assert.ok(outside.accounts.has(inner.data.name))
})

test('wrapping: what was made for an answer that can not be put away ends with it', async t => {
  const outside = new Outside()
  await using server = await open(outside)
  const before = (await server.house.tokens.shelf.page(null, 100)).tokens.length
  t.mock.method(server.house.wrappings, 'keep', async () => {
    throw new Error('no')
  })
  assert.equal((await server.ask('GET', 'accounts/creds/app', wrapFor('60'))).status, 500)
  await server.world.clock.advance(1)
  assert.deepEqual([...outside.accounts], [])
  const login = await server.ask('POST', 'auth/doorman/login', { body: { name: 'bob' }, ...wrapFor('60') })
  assert.equal(login.status, 500)
  assert.equal((await server.ask('POST', 'auth/token/create', { body: {}, ...wrapFor('60') })).status, 500)
  assert.equal((await server.house.tokens.shelf.page(null, 100)).tokens.length, before)
})

const bounds = 'capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = "2m"'
for (const [rule, ttl, status, reason] of [
  ['without wrapping', '', 403, /the response must be wrapped/],
  ['below the minimum', '59', 403, /the wrapping TTL is under 60 seconds/],
  ['the minimum', '60', 200, null],
  ['the maximum', '2m', 200, null],
  ['above the maximum', '121', 403, /the wrapping TTL is over 120 seconds/],
] as const) {
  test(`wrapping: a rule that bounds it: ${rule} is ${status}`, async () => {
    await using server = await open()
    const token = await server.tokenWith(`path "notebook/echo/*" { ${bounds} }`)
    const answer = await server.ask('GET', 'notebook/echo/a', { token, ...wrapFor(ttl) })
    assert.equal(answer.status, status)
    if (reason === null) return
    const body = { request_id: answer.headers.get('x-coffer-request-id')! }
    const why = (await server.ask('POST', 'sys/policies/explain', { body })).data as { reason: string }
    assert.match(why.reason, reason)
  })
}

test('wrapping: an answer larger than a store entry comes back whole', async () => {
  await using server = await open()
  const word = 'x'.repeat(900_000)
  const made = await server.ask('POST', 'notebook/echo/a', { body: { word }, ...wrapFor('60') })
  const inner = await unwrap(server, infoOf(made).token)
  assert.equal((inner.data as { word: string }).word, word)
  const left = await server.house.keeper.list('root/token/wrapped/', { limit: 10 })
  assert.deepEqual(left.names, [])
})

test('wrapping: when the mount goes, so do the answers that it gave', async () => {
  await using server = await open()
  const { token } = await wrapped(server, 'notebook/echo/a')
  assert.equal((await server.ask('DELETE', 'sys/mounts/notebook')).status, 204)
  assert.deepEqual((await unwrap(server, token)).errors, [invalid])
})

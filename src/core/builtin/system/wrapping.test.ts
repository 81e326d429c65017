import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { test } from 'node:test'
import { type Json, RawJson } from '#ground/text/json.ts'
import { Audited } from '#core/testing/audited.ts'
import { doorman, notebook } from '#core/testing/engines.ts'
import { openTestServer, type TestAnswer, type TestAsk, type TestServer } from '#core/testing/mount.ts'
import { type FaultPlan, faultyStore, type FaultyStore } from '#stores/faulty/faulty.ts'
import { openMemoryStore } from '#stores/memory/memory.ts'

type Info = { token: string; accessor: string; ttl: number; creation_time: string; creation_path: string }

const invalid = 'wrapping token is not valid or does not exist'

async function open(options: Partial<Parameters<typeof openTestServer>[0]> = {}): Promise<TestServer> {
  return openTestServer({ catalog: [notebook, doorman()], ...options })
}

const header = { 'X-Vault-Wrap-TTL': '60' }

const infoOf = (answer: TestAnswer): Info => {
  assert.equal(answer.status, 200, answer.errors.join())
  return (answer.body as { wrap_info: Info }).wrap_info
}

async function wrap(server: TestServer, body: Json = { a: 'secret' }, headers = header): Promise<Info> {
  return infoOf(await server.ask('POST', 'sys/wrapping/wrap', { body, headers }))
}

const unwrap = (server: TestServer, ask: TestAsk): Promise<TestAnswer> => server.ask('PUT', 'sys/wrapping/unwrap', ask)

const said = ({ status, errors }: TestAnswer): Json => [status, errors]

/** Entries of wrapping tokens and of what they wrap. */
async function left(server: TestServer): Promise<number> {
  const { tokens } = await server.house.tokens.shelf.page(null, 1_000)
  const answers = await server.house.keeper.list('root/token/wrapped/', { limit: 1_000 })
  const wrapping = tokens.filter(({ entry }) => entry.wraps)
  assert.equal(wrapping.length, answers.names.length)
  return answers.names.length
}

test('sys/wrapping/wrap: any object, word for word, in an envelope of its own', async () => {
  await using server = await open()
  const sent = new RawJson('{"b": 1.0, "big": 12345678901234567890, "a": {"x": null}, "token": "t", "__proto__": 1}')
  const { token } = await wrap(server, sent)
  const inner = await unwrap(server, { token })
  assert.match(
    inner.text,
    /^\{"request_id":"[0-9a-f-]{36}",.*"data":\{"b":1\.0,"big":12345678901234567890,"a":\{"x":null\},"token":"t","__proto__":1\},.*"mount_type":"system"\}\n$/,
  )
})

for (const [rule, headers] of [
  ['without X-Vault-Wrap-TTL', {}],
  ['with a TTL of 0', { 'X-Vault-Wrap-TTL': '0' }],
] as const) {
  test(`sys/wrapping/wrap: ${rule} is 400`, async () => {
    await using server = await open()
    const answer = await server.ask('POST', 'sys/wrapping/wrap', { body: { a: 1 }, headers })
    assert.deepEqual(said(answer), [400, ['endpoint requires response wrapping to be used']])
  })
}

for (const [rule, ask] of [
  ['the wrapping token as the own', (token: string) => ({ token })],
  ['the same in Authorization', (token: string) => ({ token: null, headers: { Authorization: `Bearer ${token}` } })],
  ['another token and the wrapping token in the body', (token: string) => ({ body: { token } })],
  ['the wrapping token in both', (token: string) => ({ token, body: { token } })],
  ['the own, and null in the body', (token: string) => ({ token, body: { token: null } })],
  ['the own, and an object without token', (token: string) => ({ token, body: {} })],
] as const) {
  test(`sys/wrapping/unwrap: by ${rule}, once`, async () => {
    await using server = await open()
    const { token } = await wrap(server)
    const inner = await unwrap(server, ask(token))
    assert.deepEqual([inner.status, inner.data], [200, { a: 'secret' }])
    assert.deepEqual(said(await unwrap(server, ask(token))), [400, [invalid]])
    assert.equal(await left(server), 0)
  })
}

test('sys/wrapping/unwrap: who names it in the body needs a token that may', async () => {
  await using server = await open()
  const { token } = await wrap(server)
  const weak = await server.tokenWith('path "x" { capabilities = ["read"] }', { no_default_policy: true })
  assert.equal((await unwrap(server, { token: weak, body: { token } })).status, 403)
  assert.equal((await unwrap(server, { token: null, body: { token } })).status, 403)
  const plain = await server.tokenWith('path "x" { capabilities = ["read"] }', { policies: ['default'] })
  assert.deepEqual((await unwrap(server, { token: plain, body: { token } })).data, { a: 'secret' })
})

test('sys/wrapping/unwrap: another wrapping token as the caller pays with its use, and what it wraps is gone', async () => {
  await using server = await open()
  const [caller, named] = [await wrap(server, { a: 1 }), await wrap(server, { a: 2 })]
  assert.deepEqual((await unwrap(server, { token: caller.token, body: { token: named.token } })).data, { a: 2 })
  assert.deepEqual(said(await unwrap(server, { token: caller.token })), [400, [invalid]])
  assert.equal(await left(server), 0)
})

const bodies = ['unwrap', 'rewrap', 'lookup']
for (const path of bodies) {
  for (const [rule, make] of [
    ['an unknown one', async () => 'hvs.unknown'],
    ['an ordinary token', async (server: TestServer) => server.rootToken],
    [
      'one whose time is over',
      async (server: TestServer) => {
        const { token } = await wrap(server)
        await server.world.clock.advance(60_000)
        return token
      },
    ],
    [
      'one that was used',
      async (server: TestServer) => {
        const { token } = await wrap(server)
        await unwrap(server, { token })
        return token
      },
    ],
    [
      'one that was revoked by its accessor',
      async (server: TestServer) => {
        const { token, accessor } = await wrap(server)
        await server.ask('POST', 'auth/token/revoke-accessor', { body: { accessor } })
        return token
      },
    ],
    [
      'one that was used for something else',
      async (server: TestServer) => {
        const { token } = await wrap(server)
        await server.ask('GET', 'auth/token/lookup-self', { token })
        return token
      },
    ],
  ] as const) {
    test(`sys/wrapping/${path}: ${rule} is 400 in the one sentence, in header and body`, async () => {
      await using server = await open()
      const token = await make(server)
      const named =
        token === server.rootToken ? await server.tokenWith('path "sys/*" { capabilities = ["update"] }') : null
      const asks: TestAsk[] = [{ token }, { ...(named !== null && { token: named }), body: { token } }]
      for (const ask of asks) {
        const answer = await server.ask('POST', `sys/wrapping/${path}`, ask)
        assert.deepEqual(said(answer), [400, [invalid]])
        const body = { request_id: answer.headers.get('x-coffer-request-id')! }
        const why = (await server.ask('POST', 'sys/policies/explain', { body })).data as { reason: string }
        assert.match(why.reason, /wrapping token/)
      }
      assert.equal(await left(server), 0)
    })
  }

  test(`sys/wrapping/${path}: an empty token, and none, are malformed: 403`, async () => {
    await using server = await open()
    const lead = 'error validating wrapping token: '
    const empty = await server.ask('POST', `sys/wrapping/${path}`, { body: { token: '' } })
    assert.deepEqual(said(empty), [403, [`${lead}empty token in request body`]])
    const none = await server.ask('POST', `sys/wrapping/${path}`, { token: null })
    assert.deepEqual(said(none), [403, [path === 'lookup' ? `${lead}token is empty` : 'permission denied']])
  })
}

for (const [rule, ask] of [
  ['a POST without any token', (token: string) => ['POST', { token: null, body: { token } }]],
  ['a POST with a token that is no good', (token: string) => ['POST', { token: 'hvs.bad', body: { token } }]],
  ['a GET by the wrapping token itself', (token: string) => ['GET', { token }]],
  ['a POST by the wrapping token itself', (token: string) => ['POST', { token }]],
] as readonly [string, (token: string) => [string, TestAsk]][]) {
  test(`sys/wrapping/lookup: ${rule} tells when and where, and takes no use`, async () => {
    await using server = await open()
    const { token } = await wrap(server)
    for (let n = 0; n < 3; n++) {
      const [method, asked] = ask(token)
      const { data } = await server.ask(method, 'sys/wrapping/lookup', asked)
      assert.deepEqual(data, {
        creation_path: 'sys/wrapping/wrap',
        creation_time: '2026-01-01T00:00:00Z',
        creation_ttl: 60,
      })
    }
    assert.equal((await unwrap(server, { token })).status, 200)
  })
}

for (const way of ['header', 'body'] as const) {
  test(`sys/wrapping/rewrap: by ${way}: a new token for the same answer, path and time; the old one ends`, async () => {
    await using server = await open()
    const login = { body: { name: 'bob' }, token: null, headers: header }
    await server.ask('POST', 'sys/auth/doorman', { body: { type: 'doorman' } })
    const old = infoOf(await server.ask('POST', 'auth/doorman/login', login))
    await server.world.clock.advance(50_000)
    const ask: TestAsk = way === 'header' ? { token: old.token } : { body: { token: old.token } }
    const next = infoOf(
      await server.ask('POST', 'sys/wrapping/rewrap', { ...ask, headers: { 'X-Vault-Wrap-TTL': '5' } }),
    )
    assert.partialDeepStrictEqual(next, {
      ttl: 60,
      creation_path: 'auth/doorman/login',
      creation_time: '2026-01-01T00:00:50Z',
      wrapped_accessor: (old as never)['wrapped_accessor'],
    })
    assert.notEqual(next.token, old.token)
    assert.deepEqual(said(await unwrap(server, { token: old.token })), [400, [invalid]])
    await server.world.clock.advance(59_000)
    const inner = (await unwrap(server, { token: next.token })).body as { auth: { accessor: string }; wrap_info: null }
    assert.equal(inner.auth.accessor, (old as never)['wrapped_accessor'])
    assert.equal(inner.wrap_info, null)
    assert.equal(await left(server), 0)
  })
}

test('sys/wrapping/unwrap: with X-Vault-Wrap-TTL the answer is wrapped anew, as it was', async () => {
  await using server = await open()
  const first = await wrap(server)
  const second = infoOf(await unwrap(server, { token: first.token, headers: header }))
  assert.equal(second.creation_path, 'sys/wrapping/unwrap')
  assert.deepEqual((await unwrap(server, { token: second.token })).data, { a: 'secret' })
})

test('sys/wrapping/unwrap: HEAD is unsupported and leaves what is named in the body alone', async () => {
  await using server = await open()
  const { token } = await wrap(server)
  assert.equal((await server.ask('HEAD', 'sys/wrapping/unwrap', { body: { token } })).status, 405)
  assert.equal((await unwrap(server, { token })).status, 200)
})

test('cubbyhole/response: the wrapping token reads the envelope there, once, with a warning', async () => {
  await using server = await open()
  const { token } = await wrap(server)
  const { body, data } = await server.ask('GET', 'cubbyhole/response', { token })
  const inner = JSON.parse((data as { response: string }).response) as { data: Json }
  assert.deepEqual(inner.data, { a: 'secret' })
  assert.deepEqual((body as { warnings: Json }).warnings, [
    "Reading from 'cubbyhole/response' is deprecated. Please use sys/wrapping/unwrap to unwrap responses, as it provides additional security checks and other benefits.",
  ])
  assert.equal((await server.ask('GET', 'cubbyhole/response', { token })).status, 403)
  assert.equal(await left(server), 0)
})

test('cubbyhole/response: to other tokens it is a path as any', async () => {
  await using server = await open()
  await server.ask('POST', 'cubbyhole/response', { body: { mine: 1 } })
  const { body } = await server.ask('GET', 'cubbyhole/response')
  assert.partialDeepStrictEqual(body, { data: { mine: 1 }, warnings: null })
})

test('wrapping token: it can do nothing else', async () => {
  await using server = await open()
  for (const [method, path] of [
    ['GET', 'sys/mounts'],
    ['POST', 'auth/token/create'],
    ['GET', 'cubbyhole/other'],
    ['LIST', 'cubbyhole'],
    ['POST', 'auth/token/renew-self'],
    ['POST', 'sys/wrapping/wrap'],
  ] as const) {
    const { token } = await wrap(server)
    assert.equal((await server.ask(method, path, { token, body: { a: 1 }, headers: header })).status, 403, path)
    assert.equal(await left(server), 0)
  }
})

test('wrapping token: nobody else is given its policy', async () => {
  await using server = await open()
  const { status } = await server.ask('POST', 'auth/token/create', { body: { policies: ['response-wrapping'] } })
  assert.equal(status, 400)
})

test('wrapping: twenty at once, in header and body, and one has the data', async () => {
  await using server = await open()
  for (const delay of [0, 3]) {
    const { token } = await wrap(server)
    const asks = Array.from({ length: 20 }, async (_, n) => {
      for (let k = 0; k < n * delay; k++) await Promise.resolve()
      if (n % 5 === 4) return server.ask('GET', 'cubbyhole/response', { token })
      return unwrap(server, n % 2 === 0 ? { token } : { body: { token } })
    })
    const answers = await Promise.all(asks)
    assert.deepEqual(answers.filter(({ status }) => status === 200).length, 1)
    for (const { status, errors } of answers) {
      if (status === 400) assert.deepEqual(errors, [invalid])
      else assert.ok(status === 200 || status === 403)
    }
    assert.equal(await left(server), 0)
  }
})

test('wrapping: of rewrap and unwrap at once one wins', async () => {
  await using server = await open()
  for (let late = 0; late < 12; late++) {
    const { token } = await wrap(server)
    const rewrapped = server.ask('POST', 'sys/wrapping/rewrap', { body: { token } })
    for (let n = 0; n < late; n++) await Promise.resolve()
    const [a, b] = [await rewrapped, await unwrap(server, { token })]
    assert.deepEqual(new Set([a.status, b.status]), new Set([200, 400]))
    assert.equal(await left(server), a.status === 200 ? 1 : 0)
    if (a.status === 200) await unwrap(server, { token: infoOf(a).token })
  }
})

test('wrapping: what was wrapped is there after a restart, what was unwrapped is not', async () => {
  await using server = await open()
  const [kept, used] = [await wrap(server, { a: 1 }), await wrap(server, { a: 2 })]
  await unwrap(server, { token: used.token })
  await server.restart()
  assert.deepEqual(said(await unwrap(server, { token: used.token })), [400, [invalid]])
  assert.deepEqual((await unwrap(server, { token: kept.token })).data, { a: 1 })
})

test('wrapping: what nobody fetched goes with its time, over a restart too', async () => {
  await using server = await open()
  await wrap(server)
  await wrap(server)
  assert.equal(await left(server), 2)
  await server.restart()
  await server.world.clock.advance(61_000)
  assert.equal(await left(server), 0)
})

for (const isApplied of [false, true]) {
  test(`wrapping: whichever write fails, ${isApplied ? 'applied' : 'not applied'}, the data comes never twice`, async () => {
    let tried = 0
    for (let at = 1; ; at++) {
      let store: FaultyStore | null = null
      let plan: FaultPlan = { call: 'commit', at: Infinity, isApplied }
      await using server = await open({
        store: medium => (store = faultyStore(openMemoryStore({ medium }), plan)),
      })
      plan = { call: 'commit', at, isApplied }
      await server.restart()
      const { commits } = store! as FaultyStore
      if (at <= commits) continue
      let served = 0
      let token = ''
      try {
        token = (await wrap(server)).token
        const second = infoOf(await server.ask('POST', 'sys/wrapping/rewrap', { body: { token } })).token
        token = second
        if ((await unwrap(server, { token })).status === 200) served++
      } catch {}
      const hasFailed = (store! as FaultyStore).hasFailed
      plan = { call: 'commit', at: Infinity, isApplied }
      await server.restart()
      if (token !== '' && (await unwrap(server, { token })).status === 200) served++
      assert.ok(served <= 1)
      if (token !== '') assert.equal((await left(server)) <= 1, true)
      await server.world.clock.advance(61_000)
      assert.equal(await left(server), 0)
      if (!hasFailed) break
      tried++
    }
    assert.equal(tried, 3)
  })
}

test('wrapping: as a JWT that the public key verifies; its jti is the token', async () => {
  await using server = await open()
  const headers = { ...header, 'X-Vault-Wrap-Format': 'jwt' }
  const answer = await server.ask('GET', 'sys/mounts', { headers })
  const { token, accessor } = infoOf(answer)
  const [head = '', claims = '', signature = ''] = token.split('.')
  const read = (text: string): Record<string, Json> => JSON.parse(Buffer.from(text, 'base64url').toString()) as never
  assert.deepEqual(read(head), { alg: 'ES512', typ: 'JWT' })
  const { jti, ...rest } = read(claims)
  assert.match(jti as string, /^hvs\./)
  const now = 1_767_225_600
  assert.deepEqual(rest, { accessor: '', addr: '', exp: now + 60, iat: now, nbf: now - 5, type: 'wrapping' })
  assert.match(accessor, /^[0-9A-Za-z]{24}$/)
  const key = (await server.ask('GET', 'sys/wrapping/pubkey', { token: null })).data as Record<string, string>
  assert.equal(key['jwt_curve'], 'p521')
  const point = (n: string): string =>
    Buffer.from(BigInt(n).toString(16).padStart(132, '0'), 'hex').toString('base64url')
  const jwk = { kty: 'EC', crv: 'P-521', x: point(key['jwt_x']!), y: point(key['jwt_y']!) }
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' })
  const signed = Buffer.from(`${head}.${claims}`)
  const isGood = verify(
    'sha512',
    signed,
    { key: publicKey, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  )
  assert.ok(isGood)
  await server.restart()
  assert.deepEqual((await server.ask('GET', 'sys/wrapping/pubkey', { token: null })).data, key)
  assert.equal((await unwrap(server, { token })).status, 200)
})

for (const [rule, ask] of [
  ['the own token', (token: string) => ({ token })],
  ['the body', (token: string) => ({ body: { token } })],
] as const) {
  test(`wrapping: a JWT is unwrapped, looked up and wrapped anew as ${rule}; a forged one is malformed`, async () => {
    await using server = await open()
    const headers = { ...header, 'X-Vault-Wrap-Format': 'jwt' }
    const { token } = infoOf(await server.ask('GET', 'sys/mounts', { headers }))
    assert.equal((await server.ask('POST', 'sys/wrapping/lookup', ask(token))).status, 200)
    const next = infoOf(await server.ask('POST', 'sys/wrapping/rewrap', { ...ask(token), headers }))
    assert.match(next.token, /^ey/)
    const forged = `${next.token.slice(0, -8)}AAAAAAAA`
    const answer = await unwrap(server, ask(forged))
    const malformed = 'error validating wrapping token: wrapping token signature could not be validated'
    assert.deepEqual(said(answer), [403, [malformed]])
    assert.equal((await unwrap(server, ask(next.token))).status, 200)
  })
}

test('wrapping: what a client wraps itself is never signed, nor by way of unwrap', async () => {
  await using server = await open()
  const headers = { ...header, 'X-Vault-Wrap-Format': 'jwt' }
  const first = await wrap(server, { a: 1 }, headers)
  assert.match(first.token, /^hvs\./)
  const second = infoOf(await unwrap(server, { token: first.token, headers }))
  assert.match(second.token, /^hvs\./)
  const third = infoOf(await server.ask('POST', 'sys/wrapping/rewrap', { token: second.token, headers }))
  assert.match(third.token, /^hvs\./)
})

test('audit: a wrapped answer is there hashed, with wrap_info; what is unwrapped, too', async () => {
  await using audited = await Audited.open()
  const { server } = audited
  const headers = { 'X-Vault-Wrap-TTL': '60' }
  const body = { name: 'bob', token_policies: 'p' }
  const info = infoOf(await server.ask('POST', 'auth/doorman/login', { body, token: null, headers })) as Info & {
    wrapped_accessor: string
  }
  const made = audited.lines.at(-1)!
  assert.equal(made.request['wrap_ttl'], 60)
  const inner = made.response!['auth'] as Record<string, Json>
  assert.match(inner['client_token'] as string, /^hmac-sha256:/)
  assert.deepEqual(made.response!['wrap_info'], {
    ttl: 60,
    token: await audited.hash(info.token),
    accessor: await audited.hash(info.accessor),
    creation_time: info.creation_time,
    creation_path: 'auth/doorman/login',
    wrapped_accessor: await audited.hash(info.wrapped_accessor),
  })
  const answer = await unwrap(server, { token: info.token })
  const fetched = audited.lines.at(-1)!
  const { client_token, accessor } = (answer.body as { auth: { client_token: string; accessor: string } }).auth
  assert.partialDeepStrictEqual(fetched.response!['auth'], {
    client_token: await audited.hash(client_token),
    accessor: await audited.hash(accessor),
    policies: ['default', 'p'],
    token_type: 'service',
  })
  assert.equal(fetched.auth['client_token'], await audited.hash(info.token))
  await unwrap(server, { token: info.token })
  const refused = audited.lines.filter(({ error }) => error !== undefined)
  assert.deepEqual(
    refused.map(({ type, error }) => [type, error]),
    [
      ['request', invalid],
      ['response', invalid],
    ],
  )
  for (const secret of [info.token, client_token, info.accessor, accessor]) assert.ok(!audited.text.includes(secret))
})

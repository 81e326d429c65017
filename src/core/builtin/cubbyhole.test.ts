import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Json, RawJson } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { doorman, notebook } from '#core/testing/engines.ts'
import { openTestServer, type TestServer } from '#core/testing/mount.ts'
import type { Fault } from '#protocol/fault.ts'
import { cubbyholeEngine } from './cubbyhole.ts'

type Body = Readonly<Record<string, Json>>
type Auth = { client_token: string; accessor: string }

const open = (): Promise<TestServer> => openTestServer({ catalog: [notebook, doorman()] })

async function make(server: TestServer, body: Body = {}, token?: string, path = 'create'): Promise<Auth> {
  const ask = { body: { policies: ['default'], ...body }, ...(token !== undefined && { token }) }
  const answer = await server.ask('POST', `auth/token/${path}`, ask)
  assert.equal(answer.status, 200, answer.errors.join())
  return (answer.body as { auth: Auth }).auth
}

async function keep(server: TestServer, token: string, path = 'a', body: Body = { x: '1' }): Promise<void> {
  const { status, errors } = await server.ask('POST', `cubbyhole/${path}`, { token, body })
  assert.deepEqual([status, errors], [204, []])
}

/** What the store has of cubbyholes, whoever's: the first names below their place. */
const stored = async (server: TestServer): Promise<readonly string[]> =>
  (await server.house.keeper.list('root/token/cubbyhole/', { limit: 100 })).names

const keysOf = (data: Json): Json => (data as { keys: string[] } | null)?.keys ?? null

test('cubbyhole: is there from the start, once, and local to its server', async () => {
  await using server = await open()
  for (let n = 0; n < 2; n++) {
    const data = (await server.ask('GET', 'sys/mounts')).data as Record<string, Body>
    const ours = Object.entries(data).filter(([, info]) => info['type'] === 'cubbyhole')
    assert.deepEqual(
      ours.map(([path]) => path),
      ['cubbyhole/'],
    )
    assert.partialDeepStrictEqual(ours[0]![1], {
      config: { default_lease_ttl: 0, force_no_cache: false, max_lease_ttl: 0 },
      description: 'per-token private secret storage',
      external_entropy_access: false,
      local: true,
      options: null,
      seal_wrap: false,
    })
    await server.restart()
  }
  assert.equal((await server.ask('GET', 'sys/mounts/cubbyhole/tune')).status, 200)
  const { data } = await server.ask('GET', 'sys/internal/ui/mounts/cubbyhole/a', {
    token: (await make(server)).client_token,
  })
  assert.partialDeepStrictEqual(data, { type: 'cubbyhole', path: 'cubbyhole/', options: null })
})

for (const [rule, ask, body, text] of [
  [
    'mounted a second time',
    'POST sys/mounts/other',
    { type: 'cubbyhole' },
    'mount type of "cubbyhole" is not mountable',
  ],
  [
    'mounted by plugin_name',
    'POST sys/mounts/a',
    { plugin_name: 'cubbyhole' },
    'mount type of "cubbyhole" is not mountable',
  ],
  ['mounted as a method', 'POST sys/auth/other', { type: 'cubbyhole' }, 'mount type of "cubbyhole" is not mountable'],
  ['mounted over', 'POST sys/mounts/cubbyhole', { type: 'notebook' }, 'cannot mount "cubbyhole/"'],
  ['mounted below', 'POST sys/mounts/cubbyhole/deep', { type: 'notebook' }, 'cannot mount "cubbyhole/deep/"'],
  ['disabled', 'DELETE sys/mounts/cubbyhole', {}, 'cannot unmount "cubbyhole/"'],
  ['disabled below', 'DELETE sys/mounts/cubbyhole/deep', {}, 'cannot unmount "cubbyhole/deep/"'],
  ['tuned', 'POST sys/mounts/cubbyhole/tune', { description: 'mine' }, 'cannot tune "cubbyhole/"'],
  ['tuned without a field', 'POST sys/mounts/cubbyhole/tune', {}, 'cannot tune "cubbyhole/"'],
] as const) {
  test(`cubbyhole: is not ${rule}`, async () => {
    await using server = await open()
    await keep(server, server.rootToken)
    const [method = '', path = ''] = ask.split(' ')
    const answer = await server.ask(method, path, { body })
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
    assert.deepEqual((await server.ask('GET', 'cubbyhole/a')).data, { x: '1' })
    assert.partialDeepStrictEqual((await server.ask('GET', 'sys/mounts/cubbyhole')).data, {
      description: 'per-token private secret storage',
    })
  })
}

test('cubbyhole: a read gives what was written, word for word, without a lease', async () => {
  await using server = await open()
  const sent = new RawJson(
    '{"z": 1.0, "big": 12345678901234567890, "n": null, "ttl": "1h", "path": "p", "limit": "many", "after": 1, "deep": {"b": ["<"]}}',
  )
  assert.equal((await server.ask('PUT', 'cubbyhole/app/db', { body: sent })).status, 204)
  await server.restart()
  const { text, status } = await server.ask('GET', 'cubbyhole/app/db')
  assert.equal(status, 200)
  assert.match(text, /"lease_id":"","renewable":false,"lease_duration":0,/)
  const data =
    '{"after":1,"big":12345678901234567890,"deep":{"b":["\\u003c"]},"limit":"many","n":null,"path":"p","ttl":"1h","z":1.0}'
  assert.ok(text.includes(`"data":${data},"wrap_info":null,"warnings":null,`), text)
  assert.match(text, /"mount_type":"cubbyhole"}\n$/)
})

test('cubbyhole: a write replaces the whole secret, a deletion is for good', async () => {
  await using server = await open()
  await keep(server, server.rootToken, 'a', { x: '1', y: '2' })
  await keep(server, server.rootToken, 'a', { y: '3' })
  assert.deepEqual((await server.ask('GET', 'cubbyhole/a')).data, { y: '3' })
  assert.equal((await server.ask('DELETE', 'cubbyhole/a')).status, 204)
  assert.equal((await server.ask('GET', 'cubbyhole/a')).status, 404)
})

const failed = (text: string): string => `1 error occurred:\n\t* ${text}\n\n`
for (const [rule, method, path, body, status, errors] of [
  ['a write without a body', 'POST', 'cubbyhole/a', undefined, 500, [failed('missing data fields')]],
  ['an empty object', 'PUT', 'cubbyhole/a', '{}', 500, [failed('missing data fields')]],
  ['parameters in the query are no data', 'POST', 'cubbyhole/a?x=1', undefined, 500, [failed('missing data fields')]],
  ['a write to the mount', 'POST', 'cubbyhole', '{"a":1}', 500, [failed('missing path')]],
  ['a write to the mount without data', 'POST', 'cubbyhole', undefined, 500, [failed('missing data fields')]],
  ['a write to a folder', 'POST', 'cubbyhole/a/', '{"a":1}', 400, ["cannot write to a path ending in '/'"]],
  ['a read of nothing', 'GET', 'cubbyhole/none', undefined, 404, []],
  ['a read of the mount', 'GET', 'cubbyhole', undefined, 404, []],
  ['a read of a folder', 'GET', 'cubbyhole/there/', undefined, 404, []],
  ['a list of nothing', 'LIST', 'cubbyhole/none', undefined, 404, []],
  ['a list of a secret', 'LIST', 'cubbyhole/there/x', undefined, 404, []],
  ['a deletion of nothing', 'DELETE', 'cubbyhole/none', undefined, 204, []],
  ['a deletion of a folder', 'DELETE', 'cubbyhole/there/', undefined, 204, []],
  ['a deletion of the mount', 'DELETE', 'cubbyhole/', undefined, 204, []],
  ['a dot segment', 'GET', 'cubbyhole/a/../b', undefined, 400, ['relative paths not supported']],
] as const) {
  test(`cubbyhole: ${rule} is ${status}`, async () => {
    await using server = await open()
    await keep(server, server.rootToken, 'there/x')
    const answer = await server.ask(method, path, body === undefined ? {} : { body: new RawJson(body) })
    assert.deepEqual([answer.status, answer.errors], [status, errors])
    assert.deepEqual((await server.ask('GET', 'cubbyhole/there/x')).data, { x: '1' })
  })
}

test('cubbyhole: PATCH is unsupported, and so is a request without a token', async () => {
  await using server = await open()
  const headers = { 'content-type': 'application/merge-patch+json' }
  const { status, errors } = await server.ask('PATCH', 'cubbyhole/a', { body: { a: '1' }, headers })
  assert.equal(status, 405)
  assert.match(errors[0]!, /unsupported operation/)
  assert.equal((await server.ask('GET', 'cubbyhole/a', { token: null })).status, 403)
})

test('cubbyhole: LIST shows one level, SCAN all of them, and both go on after a name', async () => {
  await using server = await open()
  for (const path of ['a', 'a/x', 'a/y/z', 'b/c', 'd']) await keep(server, server.rootToken, path)
  for (const [method, path, want] of [
    ['LIST', 'cubbyhole', ['a', 'a/', 'b/', 'd']],
    ['LIST', 'cubbyhole/', ['a', 'a/', 'b/', 'd']],
    ['GET', 'cubbyhole?list=true', ['a', 'a/', 'b/', 'd']],
    ['LIST', 'cubbyhole/a', ['x', 'y/']],
    ['LIST', 'cubbyhole?after=a&limit=2', ['a/', 'b/']],
    ['SCAN', 'cubbyhole', ['a', 'a/x', 'a/y/z', 'b/c', 'd']],
    ['SCAN', 'cubbyhole/a', ['x', 'y/z']],
  ] as const) {
    assert.deepEqual(keysOf((await server.ask(method, path)).data), want, `${method} ${path}`)
  }
})

test("cubbyhole: no token sees another's, not root, not a parent, not one of the same name and policies", async () => {
  await using server = await open()
  const one = await make(server, { meta: { user: 'a' } })
  const two = await make(server, { meta: { user: 'a' } })
  const root = await make(server, { policies: ['root'] })
  const child = await make(server, {}, root.client_token)
  const tokens = [server.rootToken, one.client_token, two.client_token, root.client_token, child.client_token]
  await keep(server, one.client_token, 'mine')
  for (const token of tokens) {
    const isOwner = token === one.client_token
    assert.equal((await server.ask('GET', 'cubbyhole/mine', { token })).status, isOwner ? 200 : 404)
    assert.deepEqual(keysOf((await server.ask('LIST', 'cubbyhole', { token })).data), isOwner ? ['mine'] : null)
    assert.equal((await server.ask('GET', `cubbyhole/${one.accessor}/mine`, { token })).status, 404)
  }
  await keep(server, two.client_token, 'mine', { x: '2' })
  for (const token of tokens.filter(token => token !== one.client_token)) {
    assert.equal((await server.ask('DELETE', 'cubbyhole/mine', { token })).status, 204)
  }
  assert.deepEqual((await server.ask('GET', 'cubbyhole/mine', { token: one.client_token })).data, { x: '1' })
  await server.restart()
  assert.deepEqual((await server.ask('GET', 'cubbyhole/mine', { token: one.client_token })).data, { x: '1' })
})

test('cubbyhole: a token of the default policy uses its own, but for scan; a rule can take it away', async () => {
  await using server = await open()
  const { client_token: token } = await make(server)
  await keep(server, token, 'a')
  assert.deepEqual((await server.ask('GET', 'cubbyhole/a', { token })).data, { x: '1' })
  assert.deepEqual(keysOf((await server.ask('LIST', 'cubbyhole', { token })).data), ['a'])
  assert.equal((await server.ask('SCAN', 'cubbyhole', { token })).status, 403)
  assert.equal((await server.ask('DELETE', 'cubbyhole/a', { token })).status, 204)
  const rules =
    'path "cubbyhole/new" { capabilities = ["create", "read"] }\npath "cubbyhole/own" { capabilities = ["create"] denied_parameters = { path = [] } }'
  const bound = await server.tokenWith(rules, { no_default_policy: true })
  const write = async (path: string, body: Body): Promise<number> =>
    (await server.ask('POST', path, { body, token: bound })).status
  assert.equal(await write('cubbyhole/new', { a: '1' }), 204)
  assert.equal(await write('cubbyhole/new', { a: '2' }), 403)
  assert.equal(await write('cubbyhole/own', { path: '1' }), 403)
  assert.equal((await server.ask('GET', 'cubbyhole/own', { token: bound })).status, 403)
  assert.deepEqual((await server.ask('GET', 'cubbyhole/new', { token: bound })).data, { a: '1' })
})

test('cubbyhole: a renewal keeps it', async () => {
  await using server = await open()
  const { client_token: token } = await make(server, { ttl: '1h' })
  await keep(server, token)
  assert.equal((await server.ask('POST', 'auth/token/renew-self', { token, body: { increment: '2h' } })).status, 200)
  await server.world.clock.advance(3_700_000)
  assert.deepEqual((await server.ask('GET', 'cubbyhole/a', { token })).data, { x: '1' })
})

type End = (server: TestServer, made: Auth) => Promise<unknown>
const ends: readonly (readonly [rule: string, create: Body, end: End])[] = [
  [
    'it is revoked',
    {},
    (server, { client_token }) => server.ask('POST', 'auth/token/revoke-self', { token: client_token }),
  ],
  [
    'its accessor is revoked',
    {},
    (server, { accessor }) => server.ask('POST', 'auth/token/revoke-accessor', { body: { accessor } }),
  ],
  [
    'it is revoked but not its children',
    {},
    (server, { client_token }) => server.ask('POST', 'auth/token/revoke-orphan', { body: { token: client_token } }),
  ],
  ['its time is over', { ttl: '1h' }, server => server.world.clock.advance(3_601_000)],
  [
    'its last use is taken',
    { num_uses: 2 },
    (server, { client_token }) => server.ask('GET', 'auth/token/lookup-self', { token: client_token }),
  ],
  [
    'its last use writes',
    { num_uses: 2 },
    (server, { client_token }) => server.ask('POST', 'cubbyhole/b', { token: client_token, body: { x: '2' } }),
  ],
] as const
for (const [rule, create, end] of ends) {
  for (const crashes of [false, true]) {
    test(`cubbyhole: nothing is left of it when ${rule}${crashes ? ', also after a restart' : ''}`, async () => {
      await using server = await open()
      const made = await make(server, create)
      await keep(server, made.client_token, 'deep/a')
      await keep(server, server.rootToken)
      assert.equal((await stored(server)).length, 2)
      await end(server, made)
      if (crashes) await server.restart()
      await server.world.clock.advance(1)
      assert.equal((await stored(server)).length, 1)
      assert.deepEqual((await server.ask('GET', 'cubbyhole/a')).data, { x: '1' })
    })
  }
}

test('cubbyhole: nothing is left of it when an ancestor of its token ends', async () => {
  await using server = await open()
  const parent = await make(server, { policies: ['root'] })
  const child = await make(server, { policies: ['root'] }, parent.client_token)
  const grandchild = await make(server, {}, child.client_token)
  for (const { client_token } of [child, grandchild]) await keep(server, client_token)
  await server.ask('POST', 'auth/token/revoke', { body: { token: parent.client_token } })
  await server.world.clock.advance(1)
  assert.deepEqual(await stored(server), [])
})

test('cubbyhole: a token made anew by the same name finds nothing, and keeps what it writes', async () => {
  await using server = await open()
  await make(server, { id: 'by-hand' })
  await keep(server, 'by-hand', 'old')
  await server.ask('POST', 'auth/token/revoke', { body: { token: 'by-hand' } })
  await make(server, { id: 'by-hand' })
  assert.equal((await server.ask('GET', 'cubbyhole/old', { token: 'by-hand' })).status, 404)
  await keep(server, 'by-hand', 'new')
  await server.world.clock.advance(1)
  assert.deepEqual((await server.ask('GET', 'cubbyhole/new', { token: 'by-hand' })).data, { x: '1' })
  assert.equal((await stored(server)).length, 1)
})

for (const way of ['revoke', 'revoke-orphan']) {
  test(`cubbyhole: a write that comes while its token ends by ${way} is refused or goes with it`, async () => {
    await using server = await open()
    for (let late = 0; late < 12; late++) {
      const { client_token: token } = await make(server, { policies: ['root'] })
      for (let n = 0; n < 3; n++) await make(server, {}, token)
      const ending = server.ask('POST', `auth/token/${way}`, { body: { token } })
      for (let n = 0; n < late; n++) await Promise.resolve()
      const written = await server.ask('POST', 'cubbyhole/a', { token, body: { x: '1' } })
      assert.ok([204, 403].includes(written.status), `${written.status}`)
      assert.equal((await ending).status, 204)
      await server.world.clock.advance(1)
      assert.deepEqual(await stored(server), [], `${late} turns late`)
    }
  })
}

test('cubbyhole: batch tokens have none; writes are refused before the policy is asked', async () => {
  await using server = await open()
  const live = (await server.house.tokens.find(server.rootToken))!
  const batch = { ...live, caller: { ...live.caller, tokenType: 'batch' as const } }
  const refuse = (): never => assert.fail('nothing is looked at')
  const engine = cubbyholeEngine({
    cubbyholes: { of: refuse, write: refuse },
    wrappings: { answerOf: refuse },
    callerOf: () => batch,
  })
  const row = engine.rows[0]!
  const state = await engine.open(undefined as never)
  const call = { input: { path: 'a', after: '', limit: 0 }, body: { x: '1' } } as unknown as Call<never>
  const actions = Object.values(row.operations)
  assert.equal(actions.length, 5)
  const asks = [() => row.exists!(call, state), ...actions.map(action => () => action!.handler(call, state))]
  for (const ask of asks) {
    await assert.rejects(
      async () => ask(),
      (error: Fault) =>
        error.status === 400 && error.text === 'cubbyhole operations are only supported by "service" type tokens',
    )
  }
})

test('cubbyhole: who watches its paths is told of nothing', async () => {
  await using server = await open()
  using subscription = server.house.notices.subscribe(new Set(['cubbyhole/a', 'end']))
  await keep(server, server.rootToken)
  await server.ask('DELETE', 'cubbyhole/a')
  server.house.notices.publish('end', null)
  for await (const notice of subscription.read(new AbortController().signal)) {
    assert.partialDeepStrictEqual(notice, { path: 'end' })
    break
  }
})

test('cubbyhole: help says whose it is', async () => {
  await using server = await open()
  const { body } = await server.ask('GET', 'cubbyhole/any?help=1')
  assert.match((body as { help: string }).help, /They end with the token\./)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { notebook } from '#core/testing/engines.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'

const open = (): Promise<TestServer> => openTestMount(notebook)
const rules = 'path "notebook/*" { capabilities = ["read"] }'
type Body = Readonly<Record<string, Json>>

test('sys/policies: what was written reads back by both paths, each with its own member', async () => {
  await using server = await open()
  assert.equal((await server.ask('PUT', 'sys/policies/acl/app', { body: { policy: rules } })).status, 204)
  const acl = await server.ask('GET', 'sys/policies/acl/app')
  assert.deepEqual(acl.data, { name: 'app', policy: rules })
  const old = await server.ask('GET', 'sys/policy/app')
  assert.deepEqual(old.data, { name: 'app', rules })
  assert.partialDeepStrictEqual(old.body, { name: 'app', rules })
})

const written: readonly (readonly [rule: string, body: Body, text: string, warnings: readonly string[] | null])[] = [
  ['HCL', { policy: rules }, rules, null],
  ['JSON', { policy: '{"path":{"a":{"capabilities":["read"]}}}' }, '{"path":{"a":{"capabilities":["read"]}}}', null],
  ['base64', { policy: Buffer.from(rules).toString('base64') }, rules, null],
  ['under its old name', { rules }, rules, ['"rules" is deprecated: send "policy"']],
]
for (const [rule, body, text, warnings] of written) {
  test(`sys/policies: a text as ${rule} is taken`, async () => {
    await using server = await open()
    const answer = await server.ask('POST', 'sys/policies/acl/app', { body })
    assert.equal(answer.status, warnings === null ? 204 : 200)
    if (warnings !== null) assert.deepEqual((answer.body as { warnings: unknown }).warnings, warnings)
    assert.deepEqual((await server.ask('GET', 'sys/policies/acl/app')).data, { name: 'app', policy: text })
  })
}

test('sys/policies: names are lower case, told so where they were not, and may hold slashes', async () => {
  await using server = await open()
  const answer = await server.ask('PUT', 'sys/policies/acl/Team/App', { body: { policy: rules } })
  assert.deepEqual(
    [answer.status, (answer.body as { warnings: unknown }).warnings],
    [200, ['policy name was converted to team/app']],
  )
  assert.deepEqual((await server.ask('GET', 'sys/policies/acl/TEAM/app')).data, { name: 'team/app', policy: rules })
})

test("sys/policies: their list is sorted, root last, what is the server's own hidden", async () => {
  await using server = await open()
  for (const name of ['zeta', 'alpha', 'team/x'])
    await server.ask('PUT', `sys/policies/acl/${name}`, { body: { policy: rules } })
  const keys = ['alpha', 'default', 'team/x', 'zeta', 'root']
  for (const ask of ['LIST sys/policies/acl', 'GET sys/policies/acl?list=true'] as const) {
    const [method = '', path = ''] = ask.split(' ')
    assert.deepEqual((await server.ask(method, path)).data, { keys }, ask)
  }
  for (const method of ['GET', 'LIST']) {
    const answer = await server.ask(method, 'sys/policy')
    assert.deepEqual(answer.data, { keys, policies: keys })
    assert.partialDeepStrictEqual(answer.body, { keys, policies: keys })
  }
})

test('sys/policies: root reads as empty, response-wrapping as it is, what is missing as 404, and is deleted with 204', async () => {
  await using server = await open()
  assert.deepEqual((await server.ask('GET', 'sys/policies/acl/root')).data, { name: 'root', policy: '' })
  assert.match(
    JSON.stringify((await server.ask('GET', 'sys/policies/acl/response-wrapping')).data),
    /sys\/wrapping\/unwrap/,
  )
  const missing = await server.ask('GET', 'sys/policies/acl/nope')
  assert.deepEqual([missing.status, missing.body], [404, { errors: [] }])
  assert.equal((await server.ask('DELETE', 'sys/policies/acl/nope')).status, 204)
})

const refused: readonly (readonly [rule: string, ask: string, body: Body, text: RegExp])[] = [
  ['an empty text', 'PUT sys/policies/acl/a', {}, /^'policy' parameter not supplied or empty$/],
  ['writing root', 'PUT sys/policies/acl/root', { policy: rules }, /^cannot update "root" policy$/],
  ['writing Root', 'PUT sys/policies/acl/Root', { policy: rules }, /^cannot update "root" policy$/],
  ['writing root with blanks', 'PUT sys/policies/acl/%20root%20', { policy: rules }, /^cannot update "root" policy$/],
  [
    'writing response-wrapping',
    'PUT sys/policies/acl/response-wrapping',
    { policy: rules },
    /^cannot update "response-wrapping" policy$/,
  ],
  ['deleting root', 'DELETE sys/policies/acl/ROOT', {}, /^cannot delete "root" policy$/],
  ['deleting default', 'DELETE sys/policy/default', {}, /^cannot delete default policy$/],
  ['what is no policy', 'PUT sys/policies/acl/a', { policy: 'path {' }, /^failed to parse policy: /],
  [
    'an unknown capability',
    'PUT sys/policies/acl/a',
    { policy: 'path "a" { capabilities = ["fly"] }' },
    /^failed to parse policy: .*invalid capability "fly"/,
  ],
]
for (const [rule, ask, body, text] of refused) {
  test(`sys/policies: ${rule} is refused`, async () => {
    await using server = await open()
    const [method = '', path = ''] = ask.split(' ')
    const answer = await server.ask(method, path, { body })
    assert.equal(answer.status, 400)
    assert.match(answer.errors[0] ?? '', text)
  })
}

test('sys/policies: an edit, a deletion and a new writing count from the next request of a token in use', async () => {
  await using server = await open()
  const token = await server.tokenWith(rules)
  const status = async (): Promise<number> => (await server.ask('GET', 'notebook/echo/a', { token })).status
  assert.equal(await status(), 200)
  await server.ask('PUT', 'sys/policies/acl/test-0', { body: { policy: 'path "x" { capabilities = ["read"] }' } })
  assert.equal(await status(), 403)
  await server.ask('PUT', 'sys/policies/acl/test-0', { body: { policy: rules } })
  assert.equal(await status(), 200)
  await server.ask('DELETE', 'sys/policies/acl/test-0')
  assert.equal(await status(), 403)
})

test('sys/policies: default may be edited, and the edit survives a restart', async () => {
  await using server = await open()
  assert.equal((await server.ask('PUT', 'sys/policies/acl/default', { body: { policy: rules } })).status, 204)
  await server.restart()
  assert.deepEqual((await server.ask('GET', 'sys/policies/acl/default')).data, { name: 'default', policy: rules })
})

const grants = `path "notebook/note/*" { capabilities = ["update", "create", "read", "list", "sudo"] }
path "notebook/note/no" { capabilities = ["deny"] }
path "folder/" { capabilities = ["list"] }
path "file" { capabilities = ["list", "read"] }`
const capabilities: readonly (readonly [path: string, words: readonly string[]])[] = [
  ['notebook/note/a', ['create', 'list', 'read', 'sudo', 'update']],
  ['/notebook/note/a', ['create', 'list', 'read', 'sudo', 'update']],
  ['notebook/note/no', ['deny']],
  ['elsewhere', ['deny']],
  ['folder/', ['list']],
  ['folder', ['deny']],
  ['file/', ['list', 'read']],
]
for (const [path, words] of capabilities) {
  test(`capabilities: on ${path} they are ${words.join(', ')}, sorted, and again by themselves`, async () => {
    await using server = await open()
    const token = await server.tokenWith(`${grants} path "sys/capabilities-self" { capabilities = ["update"] }`)
    const answer = await server.ask('POST', 'sys/capabilities-self', { token, body: { paths: [path] } })
    const key = path.replace(/^\//, '')
    const data = answer.data as Record<string, Json>
    assert.deepEqual([data[path] ?? data[key], data['capabilities']], [words, words])
    assert.deepEqual((answer.body as Record<string, Json>)['capabilities'], words)
    const { accessor } = (await server.ask('GET', 'auth/token/lookup-self', { token })).data as { accessor: string }
    const other = await server.ask('POST', 'sys/capabilities-accessor', { body: { accessor, paths: path } })
    assert.deepEqual((other.data as Record<string, Json>)['capabilities'], words)
  })
}

test('capabilities: of several paths by path alone, of root "root", by the old name of paths, too', async () => {
  await using server = await open()
  assert.deepEqual((await server.ask('POST', 'sys/capabilities-self', { body: { paths: ['a', 'b'] } })).data, {
    a: ['root'],
    b: ['root'],
  })
  assert.deepEqual((await server.ask('POST', 'sys/capabilities-self', { body: { path: 'a' } })).data, {
    a: ['root'],
    capabilities: ['root'],
  })
})

const badAsks: readonly (readonly [ask: string, body: Body, text: string])[] = [
  ['capabilities-self', {}, 'paths must be supplied'],
  ['capabilities-accessor', { paths: ['a'] }, 'missing accessor'],
  ['capabilities-accessor', { paths: ['a'], accessor: 'x' }, 'invalid accessor'],
  ['capabilities', { paths: ['a'], token: 'hvs.x' }, 'invalid token'],
  ['capabilities', { token: 'hvs.x' }, 'paths must be supplied'],
  ['capabilities', { paths: ['a'] }, 'missing token'],
]
for (const [ask, body, text] of badAsks) {
  test(`capabilities: sys/${ask} with ${JSON.stringify(body)} is refused`, async () => {
    await using server = await open()
    const answer = await server.ask('POST', `sys/${ask}`, { body })
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
  })
}

test('capabilities: of a batch token by itself and by another, and of one that ended by nobody', async () => {
  await using server = await openTestMount(notebook)
  await server.ask('PUT', 'sys/policies/acl/reader', { body: { policy: grants } })
  const body = { policies: ['reader'], type: 'batch', ttl: 60 }
  const { auth } = (await server.ask('POST', 'auth/token/create', { body })).body as { auth: { client_token: string } }
  const ask = { token: auth.client_token, paths: ['file'] }
  const want = { file: ['list', 'read'], capabilities: ['list', 'read'] }
  assert.deepEqual((await server.ask('POST', 'sys/capabilities', { body: ask })).data, want)
  const self = { token: auth.client_token, body: { paths: ['file'] } }
  assert.deepEqual((await server.ask('POST', 'sys/capabilities-self', self)).data, want)
  await server.world.clock.advance(60_000)
  assert.deepEqual((await server.ask('POST', 'sys/capabilities', { body: ask })).errors, ['invalid token'])
})

test('capabilities: a path may have any name', async () => {
  await using server = await openTestMount(notebook)
  const { text } = await server.ask('POST', 'sys/capabilities-self', { body: { paths: ['__proto__', 'constructor'] } })
  assert.match(text, /"__proto__":\["root"\]/)
  assert.match(text, /"constructor":\["root"\]/)
})

test('capabilities: of another token, by the token', async () => {
  await using server = await open()
  const token = await server.tokenWith(grants)
  const answer = await server.ask('POST', 'sys/capabilities', { body: { token, paths: ['file', 'notebook/note/no'] } })
  assert.deepEqual(answer.data, { file: ['list', 'read'], 'notebook/note/no': ['deny'] })
})

test('explain: a refusal is told by its request id, to who may ask, with rule and policy', async () => {
  await using server = await open()
  const token = await server.tokenWith('path "notebook/note/a" { capabilities = ["list"] }', {
    no_default_policy: true,
  })
  const refused = await server.ask('GET', 'notebook/note/a', { token })
  const id = refused.headers.get('x-coffer-request-id')!
  assert.deepEqual((await server.ask('POST', 'sys/policies/explain', { body: { request_id: id } })).data, {
    allowed: false,
    operation: 'read',
    path: 'notebook/note/a',
    policy: 'test-0',
    rule: 'notebook/note/a',
    capabilities: ['list'],
    reason:
      'the rule "notebook/note/a" (policy "test-0") is the most specific that matches and doesn\'t grant read; it grants list',
  })
  assert.equal((await server.ask('POST', 'sys/policies/explain', { token, body: { request_id: id } })).status, 403)
  assert.doesNotMatch(refused.text, /most specific|test-0/)
})

test('explain: a bad token is told apart from a policy', async () => {
  await using server = await open()
  const refused = await server.ask('GET', 'notebook/note/a', { token: 'hvs.gone' })
  const answer = await server.ask('POST', 'sys/policies/explain', {
    body: { request_id: refused.headers.get('x-coffer-request-id')! },
  })
  assert.partialDeepStrictEqual(answer.data, {
    allowed: false,
    policy: null,
    rule: null,
    reason: 'the token is unknown, expired, revoked or used up',
  })
  assert.doesNotMatch(answer.text, /hvs\.gone/)
})

test('explain: what a token may do, by its accessor', async () => {
  await using server = await open()
  const token = await server.tokenWith(grants, { no_default_policy: true })
  const { accessor } = (await server.ask('POST', 'auth/token/lookup', { body: { token } })).data as { accessor: string }
  const ask = async (operation: string, path: string): Promise<Json> =>
    (await server.ask('POST', 'sys/policies/explain', { body: { accessor, operation, path } })).data
  assert.partialDeepStrictEqual(await ask('read', '/notebook/note/a'), {
    allowed: true,
    policy: 'test-0',
    rule: 'notebook/note/*',
  })
  assert.partialDeepStrictEqual(await ask('sudo', 'notebook/note/a'), { allowed: true })
  assert.partialDeepStrictEqual(await ask('read', 'notebook/note/no'), {
    allowed: false,
    rule: 'notebook/note/no',
    capabilities: ['deny'],
  })
  assert.partialDeepStrictEqual(await ask('list', 'folder'), { allowed: true })
  assert.partialDeepStrictEqual(await ask('delete', 'elsewhere'), { allowed: false, policy: null, rule: null })
})

const badExplain: readonly (readonly [rule: string, body: Body, text: RegExp])[] = [
  ['nothing', {}, /^send "request_id", or "accessor", "operation" and "path"$/],
  ['an unknown request', { request_id: 'x' }, /^no refusal is known of request_id "x"/],
  ['an unknown operation', { accessor: 'a', path: 'x', operation: 'fly' }, /^"operation" must be one of create, read/],
  ['an unknown accessor', { accessor: 'a', path: 'x', operation: 'read' }, /^invalid accessor$/],
]
for (const [rule, body, text] of badExplain) {
  test(`explain: ${rule} is refused`, async () => {
    await using server = await open()
    const answer = await server.ask('POST', 'sys/policies/explain', { body })
    assert.equal(answer.status, 400)
    assert.match(answer.errors[0] ?? '', text)
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { invalidTokenText } from '#protocol/fault.ts'
import { doorman, notebook } from '#core/testing/engines.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'

const open = (): Promise<TestServer> => openTestMount(notebook, { others: [doorman()] })
const denied = '1 error occurred:\n\t* permission denied\n\n'
const noRights = 'path "elsewhere" { capabilities = ["read"] }'

test('access: a bad token has both phrases, a refusal by policy the one, no token the bare one', async () => {
  await using server = await open()
  const weak = await server.tokenWith(noRights)
  const texts = async (token: string | null): Promise<readonly unknown[]> => {
    const { status, errors } = await server.ask('GET', 'notebook/note/a', { token })
    return [status, errors]
  }
  assert.deepEqual(await texts('hvs.unknown'), [403, [invalidTokenText]])
  assert.equal(invalidTokenText, '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n')
  assert.deepEqual(await texts(weak), [403, [denied]])
  assert.deepEqual(await texts(null), [403, ['permission denied']])
})

const unknownPaths: readonly (readonly [rule: string, ask: string, status: number, errors: readonly string[]])[] = [
  ['an unknown mount', 'GET foo/bar', 404, ['no handler for route "foo/bar". route entry not found.']],
  ['an unknown path in a mount', 'GET notebook/nowhere', 404, ['1 error occurred:\n\t* unsupported path\n\n']],
  ['a path below a known one', 'GET notebook/note/a/b', 404, ['1 error occurred:\n\t* unsupported path\n\n']],
  ['a verb that a path lacks', 'PATCH notebook/echo/a', 405, ['1 error occurred:\n\t* unsupported operation\n\n']],
  ['an unknown path of sys', 'GET sys/nowhere', 404, ['1 error occurred:\n\t* unsupported path\n\n']],
]
for (const [rule, ask, status, errors] of unknownPaths) {
  test(`access: ${rule} is told to root, and hidden from who may not`, async () => {
    await using server = await open()
    const weak = await server.tokenWith(noRights)
    const [method = '', path = ''] = ask.split(' ')
    const headers = { 'Content-Type': 'application/merge-patch+json' }
    const asRoot = await server.ask(method, path, { headers })
    assert.deepEqual([asRoot.status, asRoot.errors], [status, errors])
    const asWeak = await server.ask(method, path, { headers, token: weak })
    assert.deepEqual([asWeak.status, asWeak.errors], [403, [denied]])
  })
}

test('access: HEAD is granted by no capability, but for health', async () => {
  await using server = await open()
  const strong = await server.tokenWith('path "*" { capabilities = ["create", "read", "update", "list", "sudo"] }')
  assert.equal((await server.ask('HEAD', 'notebook/note/a', { token: strong })).status, 403)
  assert.equal((await server.ask('HEAD', 'sys/health', { token: null })).status, 200)
})

const verbs = [
  ['read', 'GET note/old'],
  ['create', 'POST note/new'],
  ['update', 'POST note/old'],
  ['patch', 'PATCH note/old'],
  ['delete', 'DELETE note/old'],
  ['list', 'LIST note'],
  ['list', 'GET note?list=true'],
  ['scan', 'SCAN note'],
] as const
for (const [word, ask] of verbs) {
  test(`access: ${ask} takes ${word}, and no other capability`, async () => {
    await using server = await open()
    await server.ask('POST', 'notebook/note/old', { body: { text: 'x' } })
    const [method, path] = ask.split(' ') as [string, string]
    const headers = { 'Content-Type': 'application/merge-patch+json' }
    const all = ['create', 'read', 'update', 'patch', 'delete', 'list', 'scan', 'sudo']
    const rules = (words: readonly string[]): string =>
      `path "notebook/*" { capabilities = [${words.map(one => `"${one}"`).join(', ')}] }`
    const others = await server.tokenWith(rules(all.filter(one => one !== word)))
    assert.equal((await server.ask(method, `notebook/${path}`, { headers, token: others, body: {} })).status, 403)
    const only = await server.tokenWith(rules([word]))
    const { status } = await server.ask(method, `notebook/${path}`, { headers, token: only, body: {} })
    assert.ok(status === 200 || status === 204, String(status))
  })
}

test('access: a path without existence check takes update, never create', async () => {
  await using server = await open()
  const create = await server.tokenWith('path "notebook/echo/*" { capabilities = ["create"] }')
  assert.equal((await server.ask('POST', 'notebook/echo/new', { token: create })).status, 403)
  const update = await server.tokenWith('path "notebook/echo/*" { capabilities = ["update"] }')
  assert.equal((await server.ask('PUT', 'notebook/echo/new', { token: update })).status, 200)
})

const doors: readonly (readonly [
  access: string,
  none: number,
  bad: number,
  weak: number,
  read: number,
  sudo: number,
])[] = [
  ['unauthenticated', 200, 200, 200, 200, 200],
  ['optional', 200, 403, 200, 200, 200],
  ['token', 403, 403, 200, 200, 200],
  ['sudo', 403, 403, 403, 403, 200],
]
for (const [access, ...want] of doors) {
  test(`access: a path for ${access} opens to nobody, a bad token, a weak, a reader, sudo: ${want.join(' ')}`, async () => {
    await using server = await open()
    const tokens = [
      null,
      'hvs.unknown',
      await server.tokenWith(noRights),
      await server.tokenWith('path "notebook/door/*" { capabilities = ["read"] }'),
      await server.tokenWith('path "notebook/door/*" { capabilities = ["read", "sudo"] }'),
    ]
    const got: number[] = []
    for (const token of tokens) got.push((await server.ask('GET', `notebook/door/${access}`, { token })).status)
    assert.deepEqual(got, want)
    assert.equal((await server.ask('GET', `notebook/door/${access}`)).status, 200)
  })
}

test('access: sudo alone, without the capability of the verb, opens nothing', async () => {
  await using server = await open()
  const token = await server.tokenWith('path "notebook/door/*" { capabilities = ["sudo"] }')
  assert.equal((await server.ask('GET', 'notebook/door/sudo', { token })).status, 403)
})

const headers: readonly (readonly [rule: string, headers: (good: string) => Record<string, string>, status: number])[] =
  [
    ['X-Vault-Token', good => ({ 'X-Vault-Token': good }), 200],
    ['Bearer', good => ({ Authorization: `Bearer ${good}` }), 200],
    ['Bearer with blanks around', good => ({ Authorization: `Bearer   ${good} ` }), 200],
    ['X-Vault-Token wins', good => ({ 'X-Vault-Token': 'hvs.bad', Authorization: `Bearer ${good}` }), 403],
    ['an empty X-Vault-Token is none', good => ({ 'X-Vault-Token': '', Authorization: `Bearer ${good}` }), 200],
    ['bearer in lower case is another scheme', good => ({ Authorization: `bearer ${good}` }), 403],
    ['Basic is another scheme', good => ({ Authorization: `Basic ${good}` }), 403],
    ['the root namespace may be named', good => ({ 'X-Vault-Token': good, 'X-Vault-Namespace': '/root/' }), 200],
    ['another namespace is 404', good => ({ 'X-Vault-Token': good, 'X-Vault-Namespace': 'team' }), 404],
    ['wrapping for 0 seconds is none', good => ({ 'X-Vault-Token': good, 'X-Vault-Wrap-TTL': '0' }), 200],
    [
      'what other servers read is passed over',
      good => ({
        'X-Vault-Token': good,
        'X-Vault-Index': 'x',
        'X-Vault-Request': 'true',
        'X-Vault-Forward': 'active-node',
      }),
      200,
    ],
  ]
for (const [rule, make, status] of headers) {
  test(`request header: ${rule}`, async () => {
    await using server = await open()
    const answer = await server.ask('GET', 'notebook/echo/a', { token: null, headers: make(server.rootToken) })
    assert.equal(answer.status, status)
    if (status === 404) assert.deepEqual(answer.errors, ['namespace not found'])
  })
}

test('access: no engine ever sees the token of its caller, in whichever header it came', async () => {
  await using server = await open()
  const token = await server.tokenWith('path "notebook/headers" { capabilities = ["read"] }')
  for (const headers of [
    { 'X-Vault-Token': token },
    { Authorization: `Bearer ${token}` },
    { Authorization: `bearer ${token}`, 'X-Vault-Token': token },
  ]) {
    const answer = await server.ask('GET', 'notebook/headers', {
      token: null,
      headers: { ...headers, 'X-Other': 'kept' },
    })
    assert.equal(answer.status, 200)
    assert.doesNotMatch(answer.text, new RegExp(token))
    assert.match(answer.text, /kept/)
  }
})

test('access: a login that fails carries no token, and one that succeeds carries nothing else', async () => {
  await using server = await open()
  await server.ask('POST', 'sys/auth/doorman', { body: { type: 'doorman' } })
  const refused = await server.ask('POST', 'auth/doorman/login', { token: null, body: { name: 'a', policies: 'root' } })
  assert.deepEqual([refused.status, refused.errors], [400, ['auth methods cannot create root tokens']])
  assert.doesNotMatch(refused.text, /hvs\./)
  const let_in = await server.ask('POST', 'auth/doorman/login', { token: null, body: { name: 'a' } })
  assert.equal(let_in.status, 200)
  assert.equal(let_in.data, null)
})

const fragments = [
  '',
  'a',
  'b',
  '.',
  '..',
  '...',
  '%2e',
  '%2E%2e',
  '%2f',
  '+',
  '*',
  ' ',
  '%00',
  '%0a',
  '%80',
  '%',
  'é',
  '%C3%A9',
  '~',
  '%25',
  '%252e%252e',
]
test('access: whatever a path is made of, a token for one folder never reads what lies outside it', async () => {
  await using server = await open()
  for (const name of ['a', 'b']) await server.ask('POST', `notebook/note/${name}`, { body: { text: `canary-${name}` } })
  const token = await server.tokenWith(
    'path "notebook/note/a" { capabilities = ["read"] } path "notebook/note/a/*" { capabilities = ["read"] }',
  )
  let tried = 0
  for (const first of fragments) {
    for (const second of fragments) {
      for (const path of [
        `notebook/note/a/${first}/${second}/b`,
        `notebook/note/${first}${second}b`,
        `notebook/${first}/note/${second}/b`,
        `${first}/notebook/note/a/../${second}b`,
      ]) {
        const answer = await server.ask('GET', path, { token })
        assert.doesNotMatch(answer.text, /canary-b/, path)
        assert.ok(answer.status >= 400, path)
        tried++
      }
    }
  }
  assert.ok(tried > 1_000)
})

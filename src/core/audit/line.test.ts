import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Audited, type AuditLine } from '#core/testing/audited.ts'
import { doorman, notebook } from '#core/testing/engines.ts'
import { openTestMount } from '#core/testing/mount.ts'

test('audit: enabling writes a probe first, then everything is a pair of request and response', async () => {
  await using audited = await Audited.open()
  await audited.server.ask('GET', 'notebook/echo/a')
  assert.deepEqual(
    audited.lines.map(line => [line.type, line.request['operation'], line.request['path']]),
    [
      ['request', 'update', 'sys/audit/test'],
      ['request', 'read', 'notebook/echo/a'],
      ['response', 'read', 'notebook/echo/a'],
    ],
  )
})

test('audit: a line has each member as the original has it', async () => {
  await using audited = await Audited.open()
  const { server } = audited
  const token = await server.tokenWith('path "notebook/*" { capabilities = ["create", "update"] }', {
    meta: { team: 'web' },
  })
  const self = (await server.ask('GET', 'auth/token/lookup-self', { token })).data as { accessor: string }
  const mount = (await server.ask('GET', 'sys/mounts/notebook')).data as { accessor: string }
  const known = audited.lines.length
  const body = {
    word: 's3cret',
    count: 5,
    flag: true,
    names: ['a', 'b'],
    tree: { deep: ['x'], at: '2026-01-01T00:00:00Z', none: null },
  }
  await server.ask('POST', 'notebook/echo/a', { token, body })
  const [request, response] = audited.lines.slice(known) as [AuditLine, AuditLine]
  const [hashedToken, accessor] = [await audited.hash(token), await audited.hash(self.accessor)]
  const hash = (text: string): Promise<string> => audited.hash(text)
  const auth = {
    client_token: hashedToken,
    accessor,
    display_name: 'token',
    policies: ['default', 'test-0'],
    token_policies: ['default', 'test-0'],
    policy_results: { allowed: true, granting_policies: [{ name: 'test-0', namespace_id: 'root', type: 'acl' }] },
    metadata: { team: 'web' },
    token_type: 'service',
    token_ttl: 2_764_800,
    token_issue_time: '2026-01-01T00:00:00Z',
  }
  const point = { mount_point: 'notebook/', mount_type: 'notebook', mount_accessor: mount.accessor }
  const tree = { deep: [await hash('x')], at: '2026-01-01T00:00:00Z', none: null }
  const data = { word: await hash('s3cret'), count: 5, flag: true, names: [await hash('a'), await hash('b')], tree }
  const { id, ...asked } = request.request
  assert.match(String(id), /^[0-9a-f-]{36}$/)
  assert.equal(request.time, '2026-01-01T00:00:00Z')
  assert.deepEqual(request.auth, auth)
  assert.deepEqual(asked, {
    operation: 'update',
    ...point,
    mount_running_version: 'v1',
    mount_class: 'secret',
    client_token: hashedToken,
    client_token_accessor: accessor,
    namespace: { id: 'root' },
    path: 'notebook/echo/a',
    data,
    remote_address: '192.0.2.7',
    remote_port: 4711,
  })
  assert.deepEqual([response.auth, response.request], [request.auth, request.request])
  assert.deepEqual(response.response, {
    ...point,
    mount_running_plugin_version: 'v1',
    mount_class: 'secret',
    data: { ...data, name: await hash('a') },
  })
})

test('audit: a hash is the HMAC-SHA256 under the salt as text, and sys/audit-hash gives it for file and file/', async () => {
  await using audited = await Audited.open()
  const { salt } = audited.server.house.devices.all()[0]!
  assert.match(salt, /^[0-9a-f]{8}-/)
  const want = `hmac-sha256:${createHmac('sha256', salt).update('vä1ue').digest('hex')}`
  assert.equal(await audited.hash('vä1ue'), want)
  const other = await audited.server.ask('POST', 'sys/audit-hash/file/x', { body: { input: 'x' } })
  assert.deepEqual([other.status, other.errors], [400, ['unknown audit backend "file/x/"']])
  await audited.server.restart()
  assert.equal(await audited.hash('vä1ue'), want)
})

test('audit: who is not known is a token of type default, and a refusal has its error and our reason', async () => {
  await using audited = await Audited.open()
  const { server } = audited
  const weak = await server.tokenWith('path "x" { capabilities = ["read"] }')
  const known = audited.lines.length
  await server.ask('GET', 'notebook/echo/a', { token: null })
  await server.ask('GET', 'notebook/echo/a', { token: 'hvs.canary-bad' })
  await server.ask('GET', 'notebook/echo/a', { token: weak })
  await server.ask('POST', 'notebook/fail', { body: { code: 'request.invalid' } })
  const lines = audited.lines.slice(known)
  assert.deepEqual(
    lines.map(line => line.type),
    ['request', 'response', 'request', 'response', 'request', 'response', 'request', 'response'],
  )
  const [none, bad, refused, answer, fine, failed] = [0, 2, 4, 5, 6, 7].map(n => lines[n]!) as [
    AuditLine,
    AuditLine,
    AuditLine,
    AuditLine,
    AuditLine,
    AuditLine,
  ]
  assert.deepEqual([none.auth, none.error], [{ token_type: 'default' }, 'permission denied'])
  assert.deepEqual(
    [bad.auth, bad.reason],
    [{ token_type: 'default' }, 'the token is unknown, expired, revoked or used up'],
  )
  assert.deepEqual(refused.auth['policy_results'], { allowed: false })
  assert.match(refused.reason!, /^no rule of policies "default", "test-0" matches "notebook\/echo\/a"/)
  assert.equal(answer.error, refused.error)
  assert.deepEqual([fine.error, failed.error, failed.reason], [undefined, 'as asked', 'because it was asked for'])
  assert.ok(!audited.text.includes('canary-bad'))
})

test('audit: a login shows the token that it made, hashed', async () => {
  await using audited = await Audited.open()
  const login = await audited.server.ask('POST', 'auth/doorman/login', { token: null, body: { name: 'bob' } })
  const { client_token, accessor, entity_id } = (login.body as { auth: Record<string, string> }).auth as Record<
    string,
    string
  >
  const [request, response] = audited.lines.slice(-2) as [AuditLine, AuditLine]
  assert.deepEqual(request.auth, { token_type: 'default' })
  assert.partialDeepStrictEqual(response.response, {
    auth: {
      client_token: await audited.hash(client_token!),
      accessor: await audited.hash(accessor!),
      display_name: 'doorman-bob',
      entity_id,
      metadata: { who: 'bob' },
    },
  })
  assert.ok(!audited.text.includes(client_token!) && !audited.text.includes(accessor!))
})

const open: readonly (readonly [rule: string, ask: string])[] = [
  ['health', 'GET sys/health'],
  ['seal-status', 'GET sys/seal-status'],
  ['leader', 'GET sys/leader'],
  ['init', 'GET sys/init'],
]
for (const [rule, ask] of open) {
  test(`audit: ${rule} is not audited`, async () => {
    await using audited = await Audited.open()
    const known = audited.lines.length
    const [method = '', path = ''] = ask.split(' ')
    assert.equal((await audited.server.ask(method, path, { token: null })).status, 200)
    assert.equal(audited.lines.length, known)
  })
}

test('audit: sealing is audited before it happens', async () => {
  await using audited = await Audited.open()
  assert.equal((await audited.server.ask('PUT', 'sys/seal')).status, 204)
  assert.partialDeepStrictEqual(audited.lines.at(-1)!.request, { operation: 'update', path: 'sys/seal' })
})

const options: readonly (readonly [
  rule: string,
  options: Record<string, string>,
  look: (audited: Audited, token: string) => void,
])[] = [
  [
    'log_raw writes values as they are',
    { log_raw: 'true' },
    ({ text }, token) => assert.ok(text.includes('s3cret') && text.includes(token)),
  ],
  [
    'hmac_accessor=false shows accessors, not tokens',
    { hmac_accessor: 'false' },
    ({ lines, text }, token) => {
      assert.match(String(lines.at(-1)!.auth['accessor']), /^[0-9A-Za-z]{24}$/)
      assert.ok(!text.includes(token) && !text.includes('s3cret'))
    },
  ],
  [
    'prefix stands before each line',
    { prefix: '@cee: ' },
    ({ text }) =>
      assert.ok(
        text
          .trim()
          .split('\n')
          .every(line => line.startsWith('@cee: {')),
      ),
  ],
]
for (const [rule, given, look] of options) {
  test(`audit option: ${rule}`, async () => {
    await using audited = await Audited.open(given)
    const token = await audited.server.tokenWith('path "notebook/*" { capabilities = ["update"] }')
    await audited.server.ask('POST', 'notebook/echo/a', { token, body: { word: 's3cret' } })
    look(audited, token)
  })
}

test('audit option: elide_list_responses counts keys of lists, and of nothing else', async () => {
  await using audited = await Audited.open({ elide_list_responses: 'true' })
  for (const name of ['a', 'b']) await audited.server.ask('POST', `notebook/note/${name}`, { body: { text: 'x' } })
  await audited.server.ask('LIST', 'notebook/note')
  assert.deepEqual(audited.lines.at(-1)!.response!['data'], { keys: 2 })
  await audited.server.ask('POST', 'notebook/echo/a', { body: { tree: { keys: ['x'] } } })
  assert.deepEqual((audited.lines.at(-1)!.response!['data'] as { tree: unknown }).tree, {
    keys: [await audited.hash('x')],
  })
})

test('audit: keys that a mount exempts are shown, each on its side, and values below other keys are not', async () => {
  await using audited = await Audited.open()
  const tune = { audit_non_hmac_request_keys: ['word'], audit_non_hmac_response_keys: ['name'] }
  assert.equal((await audited.server.ask('POST', 'sys/mounts/notebook/tune', { body: tune })).status, 204)
  await audited.server.ask('POST', 'notebook/echo/shown', {
    body: { word: 'plain', tree: { word: 'deep', inner: { x: 'hidden' } } },
  })
  const [request, response] = audited.lines.slice(-2) as [AuditLine, AuditLine]
  const asked = request.request['data'] as { word: string; tree: { word: string; inner: { x: string } } }
  assert.deepEqual([asked.word, asked.tree.word], ['plain', 'deep'])
  assert.match(asked.tree.inner.x, /^hmac-sha256:/)
  const told = response.response!['data'] as { name: string; word: string }
  assert.equal(told.name, 'shown')
  assert.match(told.word, /^hmac-sha256:/)
})

test('audit: no canary in any member of request or answer reaches a line or the log', async () => {
  const log: string[] = []
  const folder = mkdtempSync(join(tmpdir(), 'coffer-audit-'))
  await using server = await openTestMount(notebook, {
    settings: { auditDirectory: folder },
    others: [doorman()],
    log: line => log.push(line),
  })
  const file = join(folder, 'a.log')
  await server.ask('PUT', 'sys/audit/a', { body: { type: 'file', options: { file_path: file } } })
  const canary = 'canary7F'
  const bodies = [
    { word: canary },
    { names: [canary] },
    { tree: { a: [{ b: canary }] } },
    { box: { a: canary } },
    { stray: canary },
    { tree: canary },
    { box: canary },
    { word: [canary] },
    { word: `${canary}\u2028<>&` },
    { tree: `2026-01-01T00:00:00Z ${canary}` },
  ]
  for (const body of bodies) await server.ask('POST', 'notebook/echo/a', { body })
  for (const text of [`{"word":"${canary}`, `word=${canary}`, `["${canary}"]`, `{"${canary}"}`])
    await server.ask('POST', 'notebook/echo/a', { text })
  await server.ask('GET', `notebook/echo/a?word=${canary}`)
  await server.ask('POST', 'notebook/note/a', { body: { text: canary } })
  await server.ask('GET', 'notebook/note/a')
  await server.ask('GET', 'notebook/note/a', { token: canary })
  await server.ask('GET', 'notebook/note/a', {
    headers: { 'X-Secret': canary, Cookie: canary, Authorization: `Basic ${canary}` },
  })
  await server.ask('POST', 'auth/token/lookup', { body: { token: canary } })
  await server.ask('POST', 'auth/token/create', { body: { id: canary, policies: ['default'] } })
  await server.ask('PUT', 'sys/policies/acl/p', { body: { policy: `# ${canary}` } })
  await server.ask('POST', 'sys/audit-hash/a', { body: { input: canary } })
  const written = readFileSync(file, 'utf8')
  rmSync(folder, { recursive: true })
  assert.ok(written.split('\n').length > 40)
  assert.ok(!written.includes(canary), written.split('\n').find(line => line.includes(canary)) ?? '')
  assert.ok(!log.some(line => line.includes(canary)), log.find(line => line.includes(canary)) ?? '')
})

test('audit line: a login shows the policies of its groups, and so does each request with its token', async () => {
  await using audited = await Audited.open()
  const { server } = audited
  const login = async () => {
    const { body } = await server.ask('POST', 'auth/doorman/login', { token: null, body: { name: 'bob' } })
    return (body as unknown as { auth: { client_token: string; entity_id: string } }).auth
  }
  const { entity_id: id } = await login()
  await server.ask('POST', 'identity/group', { body: { policies: 'team', member_entity_ids: id } })
  const { client_token: token } = await login()
  await server.ask('GET', 'auth/token/lookup-self', { token })
  const wanted = { policies: ['default', 'team'], token_policies: ['default'], identity_policies: ['team'] }
  const of = (path: string) => audited.lines.findLast(line => line.type === 'response' && line.request['path'] === path)
  const shown = of('auth/doorman/login')!.response!['auth'] ?? of('auth/doorman/login')!.auth
  assert.partialDeepStrictEqual(shown as object, wanted)
  assert.partialDeepStrictEqual(of('auth/token/lookup-self')!.auth, { ...wanted, entity_id: id })
})

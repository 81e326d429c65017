import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { missing } from '../../tools/tier.ts'
import { capture } from '../cluster/process.ts'
import { check, type Expected, filled } from './expect.ts'
import { type Server, startServer } from './server.ts'

// What scripts see, byte by byte: status, Content-Type and body of what curl sends as documentation and blogs do.

const skip = missing('curl') || missing('setpriv')
let server: Server
let token = ''

type Answer = { readonly status: number; readonly type: string | null; readonly body: unknown; readonly text: string }

/** Runs curl on a path. @param lines of a curl configuration, which it reads from stdin: where a token belongs. */
async function curl(path: string, args: readonly string[], lines: readonly string[] = []): Promise<Answer> {
  const report = ['--silent', '--show-error', '--max-time', '20', '--write-out', '%{stderr}%{json}', '--config', '-']
  const { code, stdout, stderr } = await capture(
    ['curl', '--disable', ...report, ...args, `${server.address}/v1/${path}`],
    {
      env: { HOME: server.folder },
      input: `${lines.join('\n')}\n`,
    },
  )
  assert.equal(code, 0, stderr)
  const { http_code: status, content_type: type } = JSON.parse(stderr) as {
    http_code: number
    content_type: string | null
  }
  return { status, type, body: stdout.startsWith('{') ? JSON.parse(stdout) : null, text: stdout }
}

const withToken = (value: string): string[] => [`header = "X-Vault-Token: ${value}"`]
const put = (body: unknown): string[] => ['--request', 'PUT', '--data', JSON.stringify(body)]

before(async () => {
  if (skip !== false) return
  server = await startServer()
  const { body } = await curl('sys/init', put({ secret_shares: 1, secret_threshold: 1 }))
  const made = body as { keys: string[]; root_token: string }
  token = made.root_token
  await curl('sys/unseal', put({ key: made.keys[0] }))
  const mounted = await curl('sys/mounts/secret', put({ type: 'kv', options: { version: '2' } }), withToken(token))
  assert.equal(mounted.status, 204)
})
after(() => server?.[Symbol.asyncDispose]())

const patch = ['--request', 'PATCH', '--data', '{"data":{"c":"d"}}']
const body = (...errors: Expected[]): Expected => ({ errors })

/** One after the other: a later row sees what an earlier one wrote. `null` for a body: it is empty. */
const rows: readonly (readonly [
  rule: string,
  path: string,
  args: readonly string[],
  status: number,
  body: Expected,
])[] = [
  ['health', 'sys/health', [], 200, { initialized: true, sealed: false, standby: false }],
  ['health by HEAD', 'sys/health', ['--head'], 200, null],
  ['health with a status of its own', 'sys/health?activecode=299', [], 299, { sealed: false }],
  ['seal status', 'sys/seal-status', [], 200, { sealed: false, t: 1, n: 1 }],
  [
    'a write with the Content-Type of forms, which curl sends',
    'secret/data/a',
    ['--data', '{"data":{"a":"b"}}'],
    200,
    { data: { version: 1 } },
  ],
  [
    'a write with --json',
    'secret/data/a',
    ['--json', '{"data":{"a":"c"},"options":{"cas":1}}'],
    200,
    { data: { version: 2 } },
  ],
  ['a write with PUT', 'secret/data/b', put({ data: { a: 'b' } }), 200, { data: { version: 1 } }],
  [
    'a read',
    'secret/data/a',
    [],
    200,
    {
      lease_id: '',
      renewable: false,
      lease_duration: 0,
      data: { data: { a: 'c' } },
      wrap_info: null,
      warnings: null,
      auth: null,
      request_id: filled,
    },
  ],
  ['a read of a version', 'secret/data/a?version=1', [], 200, { data: { data: { a: 'b' }, metadata: { version: 1 } } }],
  ['a list with the verb LIST', 'secret/metadata', ['--request', 'LIST'], 200, { data: { keys: ['a', 'b'] } }],
  ['a list with ?list=true', 'secret/metadata/?list=true', [], 200, { data: { keys: ['a', 'b'] } }],
  [
    'a patch',
    'secret/data/a',
    [...patch, '--header', 'Content-Type: application/merge-patch+json'],
    200,
    { data: { version: 3 } },
  ],
  ['a patch with another Content-Type', 'secret/data/a', patch, 415, body(filled)],
  ['a deletion', 'secret/data/a', ['--request', 'DELETE'], 204, null],
  [
    'a deleted secret',
    'secret/data/a',
    [],
    404,
    { data: { data: null, metadata: { version: 3, deletion_time: /^20/ } } },
  ],
  ['a secret that never was', 'secret/data/none', [], 404, body()],
  ['a list of nothing', 'secret/metadata/none', ['--request', 'LIST'], 404, body()],
  ['a body that is no JSON', 'secret/data/a', ['--data', '{"data":'], 400, body(filled)],
  [
    'a write that lost the race',
    'secret/data/a',
    put({ data: {}, options: { cas: 1 } }),
    400,
    body('check-and-set parameter did not match the current version'),
  ],
  ['a path that no mount has', 'none/a', [], 404, body('no handler for route "none/a". route entry not found.')],
  [
    'a verb that a path has not',
    'sys/seal-status',
    ['--request', 'DELETE'],
    405,
    body('1 error occurred:\n\t* unsupported operation\n\n'),
  ],
  [
    'the root namespace by its name',
    'secret/data/b',
    ['--header', 'X-Vault-Namespace: root'],
    200,
    { data: { data: { a: 'b' } } },
  ],
  [
    'the header of the CLI',
    'secret/data/b',
    ['--header', 'X-Vault-Request: true'],
    200,
    { data: { data: { a: 'b' } } },
  ],
  ['HTTP/1.0', 'secret/data/b', ['--http1.0'], 200, { data: { data: { a: 'b' } } }],
  ['a wish for HTTP/2', 'secret/data/b', ['--http2'], 200, { data: { data: { a: 'b' } } }],
  [
    'a wrapped answer',
    'secret/data/b',
    ['--header', 'X-Vault-Wrap-TTL: 60s'],
    200,
    { request_id: '', data: null, auth: null, wrap_info: { ttl: 60, creation_path: 'secret/data/b' } },
  ],
  ['help', 'secret/data/a?help=1', [], 200, { help: /^Request:/ }],
  ['OpenAPI', 'sys/internal/specs/openapi', [], 200, { openapi: /^3\./, paths: value => typeof value === 'object' }],
]

for (const [rule, path, args, status, expected] of rows) {
  test(`curl: ${rule}`, { skip }, async () => {
    const answer = await curl(path, args, withToken(token))
    assert.equal(answer.status, status, answer.text)
    // Exactly this, also where there is no body: hvac reads errors only then.
    assert.equal(answer.type, 'application/json')
    if (expected === null) assert.doesNotMatch(answer.text, /\{/)
    else check(answer.body, expected, 'the body')
  })
}

test('curl: the token as a bearer', { skip }, async () => {
  const answer = await curl('auth/token/lookup-self', [], [`header = "Authorization: Bearer ${token}"`])
  check(answer.body, { data: { policies: ['root'], id: token } })
})

for (const [rule, lines, error] of [
  ['no token', [], 'permission denied'],
  [
    'a token that nobody made',
    withToken('hvs.nobody'),
    '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n',
  ],
] as const) {
  test(`curl: ${rule}`, { skip }, async () => {
    const { status, body: refused } = await curl('secret/data/b', [], lines)
    assert.equal(status, 403)
    assert.deepEqual(refused, { errors: [error] })
  })
}

test('curl: a sealed server', { skip }, async () => {
  assert.equal((await curl('sys/seal', ['--request', 'PUT'], withToken(token))).status, 204)
  const refused = await curl('secret/data/b', [], withToken(token))
  assert.equal(refused.status, 503)
  assert.deepEqual(refused.body, { errors: ['Vault is sealed'] })
  assert.equal((await curl('sys/health', ['--head'])).status, 503)
})

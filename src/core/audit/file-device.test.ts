import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Audited } from '#core/testing/audited.ts'
import { doorman, notebook } from '#core/testing/engines.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'
import { FileDevice } from './file-device.ts'
import { AuditHasher } from './hash.ts'
import { LineWriter } from './line.ts'

/** Takes no line. */
class FullDevice extends FileDevice {
  override flush(): void {
    throw new Error('no space left')
  }
}

function addFull(server: TestServer): void {
  const hasher = new AuditHasher('salt')
  const lines = new LineWriter(hasher, { hmacAccessor: true, elideListResponses: false, prefix: '' })
  const sink = new FullDevice({ path: 'discard', mode: 0, rotateBytes: 0, rotateKeep: 0 })
  server.house.audit.add({ path: 'full/', sink, lines, hasher })
}

test('audit: when no device takes the line, nothing is done, nothing told, and reading waits for better times', async () => {
  await using server = await openTestMount(notebook)
  await server.ask('POST', 'notebook/note/a', { body: { text: 'old' } })
  addFull(server)
  for (const [method, path] of [
    ['POST', 'note/a'],
    ['DELETE', 'note/a'],
    ['GET', 'note/a'],
    ['LIST', 'note'],
    ['POST', 'echo/a'],
  ] as const) {
    const answer = await server.ask(method, `notebook/${path}`, { body: { text: 'new' } })
    assert.deepEqual([answer.status, answer.errors], [500, ['internal error']], `${method} ${path}`)
    assert.doesNotMatch(answer.text, /old/)
  }
  const refused = await server.ask('GET', 'notebook/note/a', { token: 'hvs.unknown' })
  assert.deepEqual([refused.status, refused.errors], [500, ['internal error']])
  assert.equal((await server.ask('GET', 'sys/health', { token: null })).status, 200)
  server.house.audit.remove('full/')
  assert.deepEqual((await server.ask('GET', 'notebook/note/a')).data, { text: 'old' })
})

test('audit: no token is made that could not be audited', async () => {
  await using server = await openTestMount(notebook, { others: [doorman()] })
  await server.ask('POST', 'sys/auth/doorman', { body: { type: 'doorman' } })
  addFull(server)
  for (const [path, body] of [
    ['auth/doorman/login', { name: 'bob' }],
    ['auth/token/create', { policies: ['default'] }],
  ] as const) {
    const answer = await server.ask('POST', path, { body })
    assert.deepEqual([answer.status, answer.body], [500, { errors: ['internal error'] }])
  }
  server.house.audit.remove('full/')
  const { data } = await server.ask('LIST', 'auth/token/accessors')
  assert.equal((data as { keys: string[] }).keys.length, 1)
})

test('audit: one device that takes the line is enough; the failure of the other is logged', async () => {
  const log: string[] = []
  const folder = mkdtempSync(join(tmpdir(), 'coffer-audit-'))
  await using server = await openTestMount(notebook, {
    settings: { auditDirectory: folder },
    log: line => log.push(line),
  })
  await server.ask('PUT', 'sys/audit/a', { body: { type: 'file', options: { file_path: join(folder, 'a.log') } } })
  addFull(server)
  assert.equal((await server.ask('POST', 'notebook/note/a', { body: { text: 'x' } })).status, 204)
  rmSync(folder, { recursive: true })
  assert.ok(log.some(line => line.includes('audit device failed to write') && line.includes('full/')))
})

test('audit file: mode 0600 unless told, and a file that was moved away is opened anew', async () => {
  await using audited = await Audited.open()
  assert.equal(statSync(audited.file).mode & 0o777, 0o600)
  renameSync(audited.file, `${audited.file}.old`)
  audited.server.node.reopenAudit()
  await audited.server.ask('GET', 'notebook/echo/a')
  assert.equal(audited.lines.length, 2)
  const open = join(audited.folder, 'open.log')
  const body = { type: 'file', options: { file_path: open, mode: '0640' } }
  assert.equal((await audited.server.ask('PUT', 'sys/audit/open', { body })).status, 204)
  assert.equal(statSync(open).mode & 0o777, 0o640)
  chmodSync(open, 0o604)
  await audited.server.ask('DELETE', 'sys/audit/open')
  await audited.server.ask('PUT', 'sys/audit/open', {
    body: { type: 'file', options: { file_path: open, mode: '0000' } },
  })
  assert.equal(statSync(open).mode & 0o777, 0o604)
})

test('audit file: rotation keeps what it is told to, and loses no line', async () => {
  await using audited = await Audited.open({ rotate_bytes: '3000', rotate_max_files: '2' })
  for (let n = 0; n < 12; n++) await audited.server.ask('GET', `notebook/echo/n${n}`)
  const kept = ['', '.1', '.2'].map(end => readFileSync(`${audited.file}${end}`, 'utf8'))
  for (const text of kept)
    for (const line of text.split('\n').filter(one => one !== '')) assert.doesNotThrow(() => JSON.parse(line))
  assert.throws(() => readFileSync(`${audited.file}.3`), { code: 'ENOENT' })
  assert.ok(kept[0]!.length < 6_000)
})

const refusals: readonly (readonly [rule: string, body: (folder: string) => Record<string, unknown>, text: RegExp])[] =
  [
    ['another type', () => ({ type: 'syslog' }), /^unknown backend type: "syslog"; this server has: file$/],
    ['no path', () => ({ type: 'file' }), /^file_path is required$/],
    [
      'a file outside of the folder',
      () => ({ type: 'file', options: { file_path: '/tmp/x.log' } }),
      /^file_path must be an absolute path below the audit_directory/,
    ],
    [
      'a way out of the folder',
      folder => ({ type: 'file', options: { file_path: `${folder}/../x.log` } }),
      /below the audit_directory/,
    ],
    ['a relative path', () => ({ type: 'file', options: { file_path: 'x.log' } }), /below the audit_directory/],
    ['the folder itself', folder => ({ type: 'file', options: { file_path: folder } }), /below the audit_directory/],
    [
      'a folder that is not there',
      folder => ({ type: 'file', options: { file_path: `${folder}/no/x.log` } }),
      /^sanity check failed; unable to open .*ENOENT$/,
    ],
    [
      'bits to execute',
      folder => ({ type: 'file', options: { file_path: `${folder}/x`, mode: '0755' } }),
      /^mode with execute bits is refused/,
    ],
    [
      'a mode that is none',
      folder => ({ type: 'file', options: { file_path: `${folder}/x`, mode: 'rw' } }),
      /^mode "rw" is no octal file mode/,
    ],
    [
      'jsonx',
      folder => ({ type: 'file', options: { file_path: `${folder}/x`, format: 'jsonx' } }),
      /consider switching to json$/,
    ],
    [
      'an unknown option',
      folder => ({ type: 'file', options: { file_path: `${folder}/x`, filter: 'x' } }),
      /^unknown audit option "filter" for type file$/,
    ],
    [
      'a flag that is none',
      folder => ({ type: 'file', options: { file_path: `${folder}/x`, log_raw: 'maybe' } }),
      /^audit option "log_raw" must be true or false/,
    ],
    [
      'a path in use',
      folder => ({ type: 'file', options: { file_path: `${folder}/x` }, at: 'file' }),
      /^path already in use$/,
    ],
  ]
for (const [rule, make, text] of refusals) {
  test(`audit device: ${rule} is refused`, async () => {
    await using audited = await Audited.open()
    const { at = 'new', ...body } = make(audited.folder)
    const answer = await audited.server.ask('PUT', `sys/audit/${String(at)}`, { body: body as never })
    assert.equal(answer.status, 400)
    assert.match(answer.errors[0] ?? '', text)
    assert.deepEqual(Object.keys((await audited.server.ask('GET', 'sys/audit')).data as object), ['file/'])
  })
}

test('audit device: without a folder in the configuration there are no files', async () => {
  await using server = await openTestMount(notebook)
  const answer = await server.ask('PUT', 'sys/audit/file', {
    body: { type: 'file', options: { file_path: '/tmp/x.log' } },
  })
  assert.deepEqual(
    [answer.status, answer.errors],
    [400, ['audit files are off: set audit_directory in the server configuration']],
  )
})

test('audit device: all of them by path, in data and at the top; gone is gone, and its log stays', async () => {
  await using audited = await Audited.open({ prefix: '>' })
  const answer = await audited.server.ask('GET', 'sys/audit')
  const device = {
    path: 'file/',
    type: 'file',
    description: '',
    options: { file_path: audited.file, prefix: '>' },
    local: false,
  }
  assert.deepEqual(answer.data, { 'file/': device })
  assert.deepEqual((answer.body as Record<string, unknown>)['file/'], device)
  const weak = await audited.server.tokenWith('path "sys/audit*" { capabilities = ["read", "update", "delete"] }')
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const path = method === 'GET' ? 'sys/audit' : 'sys/audit/file'
    assert.equal((await audited.server.ask(method, path, { token: weak, body: { type: 'file' } })).status, 403, method)
  }
  for (let n = 0; n < 2; n++) assert.equal((await audited.server.ask('DELETE', 'sys/audit/file')).status, 204)
  const before = audited.text
  await audited.server.ask('GET', 'notebook/echo/a')
  assert.equal(audited.text, before)
})

test('audit device: it is there again after a restart, and so are its lines', async () => {
  await using audited = await Audited.open()
  await audited.server.restart()
  const known = audited.lines.length
  await audited.server.ask('GET', 'notebook/echo/a')
  assert.equal(audited.lines.length, known + 2)
})

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Secret } from '#ground/base/secret.ts'
import { type ScriptedAnswer, scriptedClient, type SentRequest } from '../scripted-wire.ts'
import { approleFilesLogin, type ApproleFilesOptions, approleLogin } from './approle.ts'
import { authOf } from './login.ts'

const granted: ScriptedAnswer = { status: 200, body: '{"auth":{"client_token":"hvs.new","lease_duration":60}}' }
const path = 'auth/approle/role/app/secret-id'

class Files implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'coffer-approle-'))
  readonly roleIdPath = join(this.folder, 'role-id')
  readonly secretIdPath = join(this.folder, 'secret-id')

  constructor() {
    writeFileSync(this.roleIdPath, 'r-1\n')
    this.put(' s-1\n')
  }

  put(secretId: string): void {
    writeFileSync(this.secretIdPath, secretId)
  }

  method(more: Partial<ApproleFilesOptions> = {}) {
    const { roleIdPath, secretIdPath } = this
    return approleFilesLogin({ roleIdPath, secretIdPath, isSecretIdFileRemoved: true, wrappingPath: null, ...more })
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

const said = (sent: readonly SentRequest[]) =>
  sent.map(({ method, target, body }) => `${method} ${target} ${String(body ?? '')}`.trim())
const tokenOf = ({ headers }: SentRequest): string | undefined =>
  headers.find(([name]) => name === 'X-Vault-Token')?.[1]

test('approle sends role id and secret id, and no old token', async () => {
  const { client, settle, sent } = scriptedClient([granted], { token: new Secret('old') })
  const auth = authOf(await settle(approleLogin({ roleId: 'r', secretId: new Secret('s'), mount: 'ci' }).login(client)))
  assert.equal(auth.clientToken.reveal('test'), 'hvs.new')
  assert.deepEqual(said(sent), ['PUT /v1/auth/ci/login {"role_id":"r","secret_id":"s"}'])
  assert.equal(tokenOf(sent[0]!), undefined)
  await settle(approleLogin({ roleId: 'r', secretId: null }).login(client))
  assert.equal(said(sent)[1], 'PUT /v1/auth/approle/login {"role_id":"r"}')
})

test('approle reads its files at each login, removes that of the secret id, and keeps what it read', async () => {
  using files = new Files()
  const { client, settle, sent } = scriptedClient([granted])
  const method = files.method()
  await settle(method.login(client))
  assert.equal(existsSync(files.secretIdPath), false)
  await settle(method.login(client))
  files.put('s-2')
  writeFileSync(files.roleIdPath, 'r-2')
  await settle(method.login(client))
  rmSync(files.roleIdPath)
  await settle(method.login(client))
  assert.deepEqual(
    said(sent).map(line => line.slice('PUT /v1/auth/approle/login '.length)),
    [
      '{"role_id":"r-1","secret_id":"s-1"}',
      '{"role_id":"r-1","secret_id":"s-1"}',
      '{"role_id":"r-2","secret_id":"s-2"}',
      '{"role_id":"r-2","secret_id":"s-2"}',
    ],
  )
})

test('approle leaves the file of the secret id where it is told to', async () => {
  using files = new Files()
  const { client, settle } = scriptedClient([granted])
  await settle(files.method({ isSecretIdFileRemoved: false }).login(client))
  assert.ok(existsSync(files.secretIdPath))
})

for (const [what, name] of [
  ['role id', 'roleIdPath'],
  ['secret id', 'secretIdPath'],
] as const) {
  test(`approle names the file of the ${what} when it is missing or empty`, async () => {
    using files = new Files()
    const { client } = scriptedClient([granted])
    const want = { name: 'LoginError', message: `${what} file ${files[name]} is missing or empty` }
    writeFileSync(files[name], '\n')
    await assert.rejects(files.method().login(client), want)
    rmSync(files[name])
    await assert.rejects(files.method().login(client), want)
  })
}

const wrapped =
  (creationPath: string, secretId = 's-unwrapped') =>
  ({ target }: SentRequest): ScriptedAnswer => {
    if (target.endsWith('/lookup')) return { status: 200, body: `{"data":{"creation_path":"${creationPath}"}}` }
    if (target.endsWith('/unwrap')) return { status: 200, body: `{"data":{"secret_id":"${secretId}"}}` }
    return granted
  }

test('approle unwraps its secret id once, by the wrapping token alone', async () => {
  using files = new Files()
  files.put('hvs.wrapping')
  const { client, settle, sent } = scriptedClient(wrapped(path), { token: new Secret('old') })
  const method = files.method({ wrappingPath: path, isSecretIdFileRemoved: false })
  for (let i = 0; i < 2; i++) await settle(method.login(client))
  assert.deepEqual(said(sent), [
    'GET /v1/sys/wrapping/lookup',
    'PUT /v1/sys/wrapping/unwrap {}',
    'PUT /v1/auth/approle/login {"role_id":"r-1","secret_id":"s-unwrapped"}',
    'PUT /v1/auth/approle/login {"role_id":"r-1","secret_id":"s-unwrapped"}',
  ])
  assert.deepEqual(sent.map(tokenOf), ['hvs.wrapping', 'hvs.wrapping', undefined, undefined])
})

test('approle does not unwrap what was made at another path', async () => {
  using files = new Files()
  const { client, settle, sent } = scriptedClient(wrapped('auth/approle/role/evil/secret-id'))
  await assert.rejects(settle(files.method({ wrappingPath: path }).login(client)), {
    message: `SECURITY: the wrapping token of the secret id was made at auth/approle/role/evil/secret-id, not at ${path}`,
  })
  assert.equal(sent.length, 1)
  assert.ok(existsSync(files.secretIdPath))
})

test('approle says so when what it unwrapped is no secret id', async () => {
  using files = new Files()
  const { client, settle } = scriptedClient(wrapped(path, ''))
  await assert.rejects(settle(files.method({ wrappingPath: path }).login(client)), /holds no secret id/)
})

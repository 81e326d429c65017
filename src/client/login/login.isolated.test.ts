import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Secret } from '#ground/base/secret.ts'
import { scriptedClient } from '../scripted-wire.ts'
import { kubernetesLogin } from './kubernetes.ts'
import { authOf } from './login.ts'
import { tokenLogin } from './token.ts'
import { tokenFileLogin } from './token-file.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-login-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const login = '{"auth":{"client_token":"hvs.new","lease_duration":3600,"renewable":true,"policies":["app","default"]}}'

test('kubernetes reads the token file at each login and sends no old token', async () => {
  const tokenPath = join(folder, 'sa-token')
  const { client, settle, sent } = scriptedClient([{ status: 200, body: login }], { token: new Secret('old') })
  const method = kubernetesLogin({ role: 'app', tokenPath })
  await writeFile(tokenPath, 'jwt-1\n')
  await settle(method.login(client))
  await writeFile(tokenPath, 'jwt-2\n')
  const auth = authOf(await settle(method.login(client)))
  assert.deepEqual(
    sent.map(r => [r.method, r.target, r.body]),
    [
      ['PUT', '/v1/auth/kubernetes/login', '{"role":"app","jwt":"jwt-1"}'],
      ['PUT', '/v1/auth/kubernetes/login', '{"role":"app","jwt":"jwt-2"}'],
    ],
  )
  assert.ok(!sent[0]?.headers.some(([name]) => name === 'X-Vault-Token'))
  assert.equal(auth.clientToken.reveal('test'), 'hvs.new')
})

for (const [mount, target] of [
  ['auth/k8s/prod/', '/v1/auth/k8s/prod/login'],
  ['k8s', '/v1/auth/k8s/login'],
] as const) {
  test(`kubernetes at mount ${mount}`, async () => {
    const { client, settle, sent } = scriptedClient([{ status: 200, body: login }])
    const getToken = async () => new Secret('jwt')
    await settle(kubernetesLogin({ role: 'app', mount, getToken }).login(client))
    assert.equal(sent[0]?.target, target)
  })
}

test('a missing service account token is named', async () => {
  const { client } = scriptedClient([{ status: 200, body: login }])
  const tokenPath = join(folder, 'none')
  await assert.rejects(kubernetesLogin({ role: 'app', tokenPath }).login(client), {
    name: 'LoginError',
    message: new RegExp(tokenPath),
  })
})

const lookup =
  '{"data":{"id":"hvs.mine","accessor":"acc","policies":["default"],"identity_policies":["team"],"ttl":60,"renewable":true,"meta":{"a":"b"}}}'

test('token asks the server what it is worth', async () => {
  const { client, settle, sent } = scriptedClient([{ status: 200, body: lookup }])
  const auth = authOf(await settle(tokenLogin({ token: new Secret('hvs.mine') }).login(client)))
  assert.equal(sent[0]?.target, '/v1/auth/token/lookup-self')
  assert.deepEqual(
    [auth.accessor, auth.policies, auth.leaseDuration, auth.renewable, auth.metadata],
    ['acc', ['default', 'team'], 60, true, { a: 'b' }],
  )
})

test('token_file reads its file and refuses an empty one', async () => {
  const path = join(folder, 'token')
  const { client, settle, sent } = scriptedClient([{ status: 200, body: lookup }])
  await writeFile(path, ' hvs.mine\n')
  await settle(tokenFileLogin({ path }).login(client))
  assert.ok(sent[0]?.headers.some(([name, value]) => name === 'X-Vault-Token' && value === 'hvs.mine'))
  await writeFile(path, '\n')
  await assert.rejects(tokenFileLogin({ path }).login(client), { message: /is empty/ })
})

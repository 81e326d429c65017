import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { readCheckoutClient } from './checkout.ts'
import { cliCommand } from './command.ts'
import { runCommand, startStub } from './stub-server.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-cli-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const lookup = {
  body: { data: { id: 'hvs.mine', accessor: 'acc', policies: ['default'], ttl: 60, renewable: true, meta: null } },
}

test('login stores the token privately and later commands use it', async () => {
  await using server = await startStub({
    'GET /v1/auth/token/lookup-self': lookup,
    'GET /v1/a': { body: { data: {} } },
  })
  const home = await mkdtemp(join(folder, 'home-'))
  const env = { VAULT_ADDR: server.address, HOME: home }
  const run = await runCommand(cliCommand('login'), ['-'], { env, input: 'hvs.mine\n' })
  assert.equal(run.stderr, '')
  assert.equal(run.code, 0)
  assert.ok(run.stdout.startsWith('Success! You are now authenticated.'))
  assert.ok(run.stdout.includes('token                hvs.mine\n'))
  const path = join(home, '.vault-token')
  assert.equal(await readFile(path, 'utf8'), 'hvs.mine')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  await runCommand(cliCommand('read'), ['a'], { env })
  assert.deepEqual(server.tokens, ['hvs.mine', 'hvs.mine'])
})

test('login -no-store says that nothing was stored', async () => {
  await using server = await startStub({ 'GET /v1/auth/token/lookup-self': lookup })
  const home = await mkdtemp(join(folder, 'home-'))
  const env = { VAULT_ADDR: server.address, HOME: home }
  const run = await runCommand(cliCommand('login'), ['-no-store', 'hvs.mine'], { env })
  assert.match(run.stderr, /The token was not stored in token helper/)
  await assert.rejects(stat(join(home, '.vault-token')), { code: 'ENOENT' })
})

test('login warns when a variable will beat the stored token', async () => {
  await using server = await startStub({ 'GET /v1/auth/token/lookup-self': lookup })
  const env = { VAULT_ADDR: server.address, HOME: await mkdtemp(join(folder, 'home-')), BAO_TOKEN: 'other' }
  const run = await runCommand(cliCommand('login'), ['hvs.mine'], { env })
  assert.match(run.stderr, /WARNING! The BAO_TOKEN environment\s+variable is set!/)
})

test('login of a wrong token stores nothing and is code 2', async () => {
  const refused = {
    status: 403,
    body: { errors: ['2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n'] },
  }
  await using server = await startStub({ 'GET /v1/auth/token/lookup-self': refused })
  const home = await mkdtemp(join(folder, 'home-'))
  const run = await runCommand(cliCommand('login'), ['hvs.bad'], { env: { VAULT_ADDR: server.address, HOME: home } })
  assert.equal(run.code, 2)
  assert.match(run.stderr, /^Error authenticating: Error making API request\./)
  assert.ok(!run.stderr.includes('hvs.bad'))
  await assert.rejects(stat(join(home, '.vault-token')), { code: 'ENOENT' })
})

test('a wrapped login is unwrapped and stored', async () => {
  await using server = await startStub({
    'PUT /v1/auth/kubernetes/login': {
      body: { wrap_info: { token: 'hvs.wrap', ttl: 60, creation_time: '2026-01-01T00:00:00Z', wrapped_accessor: 'a' } },
    },
    'PUT /v1/sys/wrapping/unwrap': { body: { auth: { client_token: 'hvs.inner', lease_duration: 60 } } },
  })
  const home = await mkdtemp(join(folder, 'home-'))
  const argv = ['-wrap-ttl=1m', '-method=kubernetes', 'role=app', 'jwt=x']
  const run = await runCommand(cliCommand('login'), argv, { env: { VAULT_ADDR: server.address, HOME: home } })
  assert.equal(run.code, 0, run.stderr)
  assert.deepEqual(server.tokens, [undefined, 'hvs.wrap'])
  assert.equal(await readFile(join(home, '.vault-token'), 'utf8'), 'hvs.inner')
})

test("the checkout's pair is read only from inside the checkout, and only whole", async () => {
  const root = await mkdtemp(join(folder, 'checkout-'))
  await mkdir(join(root, '.coffer'))
  await mkdir(join(root, 'docs'))
  const path = join(root, '.coffer', 'client.json')
  await writeFile(path, '{"address":"http://127.0.0.1:1","token":"hvs.dev"}')
  const found = await readCheckoutClient(join(root, 'docs'), root)
  assert.equal(found?.address, 'http://127.0.0.1:1')
  assert.equal(found?.token.reveal('test'), 'hvs.dev')
  assert.equal(await readCheckoutClient(folder, root), null)
  await writeFile(path, '{"address":"http://127.0.0.1:1"}')
  assert.equal(await readCheckoutClient(root, root), null)
})

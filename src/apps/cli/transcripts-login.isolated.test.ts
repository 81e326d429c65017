import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { cliCommand } from './command.ts'
import { runCommand, startStub } from './stub-server.ts'
import { play, type Transcript } from './transcript.ts'

const granted = {
  body: {
    auth: {
      client_token: 'hvs.bob',
      accessor: 'acc',
      policies: ['default'],
      token_policies: ['default'],
      metadata: { username: 'bob' },
      lease_duration: 60,
      renewable: true,
    },
  },
}

const cases: readonly Transcript[] = [
  {
    rule: 'login -method=userpass with a name and a password that are given',
    argv: 'login -method=userpass -token-only username=bob password=s3cret',
    stub: { 'PUT /v1/auth/userpass/login/bob': granted },
    out: 'hvs.bob',
    asked: ['PUT /v1/auth/userpass/login/bob {"password":"s3cret"}'],
  },
  {
    rule: 'login -method=userpass at another path, which mount= beats',
    argv: 'login -method=userpass -path=elsewhere -token-only username=bob password=x mount=people/',
    stub: { 'PUT /v1/auth/people/login/bob': granted },
    out: 'hvs.bob',
    asked: ['PUT /v1/auth/people/login/bob {"password":"x"}'],
  },
  {
    rule: 'login -method=userpass takes a piped password as it is, but for the end of its line',
    argv: 'login -method=userpass -token-only username=bob',
    stub: { 'PUT /v1/auth/userpass/login/bob': granted },
    input: ' two words \n',
    out: 'hvs.bob',
    asked: ['PUT /v1/auth/userpass/login/bob {"password":" two words "}'],
  },
  {
    rule: 'login -method=userpass needs a name',
    argv: 'login -method=userpass password=x',
    stub: {},
    err: "Error authenticating: 'username' must be specified\n",
    code: 2,
  },
  {
    rule: 'login -method=userpass -non-interactive asks for no password',
    argv: 'login -method=userpass -non-interactive username=bob',
    stub: {},
    input: 'x\n',
    err: "Error authenticating: 'password' not supplied and refusing to pull from stdin\n",
    code: 2,
  },
  {
    rule: 'login -method=approle with a role id and a secret id',
    argv: 'login -method=approle -token-only role_id=r-1 secret_id=s-1',
    stub: { 'PUT /v1/auth/approle/login': granted },
    out: 'hvs.bob',
    asked: ['PUT /v1/auth/approle/login {"role_id":"r-1","secret_id":"s-1"}'],
  },
  {
    rule: 'login -method=approle at another path',
    argv: 'login -method=approle -path=ci -token-only role_id=r-1 secret_id=s-1',
    stub: { 'PUT /v1/auth/ci/login': granted },
    out: 'hvs.bob',
    asked: ['PUT /v1/auth/ci/login {"role_id":"r-1","secret_id":"s-1"}'],
  },
  {
    rule: 'login -method=approle takes a piped secret id',
    argv: 'login -method=approle -token-only role_id=r-1',
    stub: { 'PUT /v1/auth/approle/login': granted },
    input: 's-1\n',
    out: 'hvs.bob',
    asked: ['PUT /v1/auth/approle/login {"role_id":"r-1","secret_id":"s-1"}'],
  },
  {
    rule: 'login -method=approle -non-interactive with a role id alone, for roles that ask for no secret id',
    argv: 'login -method=approle -non-interactive -token-only role_id=r-1',
    stub: { 'PUT /v1/auth/approle/login': granted },
    out: 'hvs.bob',
    asked: ['PUT /v1/auth/approle/login {"role_id":"r-1"}'],
  },
  {
    rule: 'login -method=approle needs a role id',
    argv: 'login -method=approle secret_id=x',
    stub: {},
    err: "Error authenticating: 'role_id' must be specified\n",
    code: 2,
  },
  {
    rule: 'login -method=jwt with a role and a token, at another path',
    argv: 'login -method=jwt -path=ci -token-only role=app jwt=e.y.J',
    stub: { 'PUT /v1/auth/ci/login': granted },
    out: 'hvs.bob',
    asked: ['PUT /v1/auth/ci/login {"role":"app","jwt":"e.y.J"}'],
  },
  {
    rule: 'login -method=jwt takes a piped token, and leaves the role to the mount',
    argv: 'login -method=jwt -token-only jwt=-',
    stub: { 'PUT /v1/auth/jwt/login': granted },
    input: 'e.y.J\n',
    out: 'hvs.bob',
    asked: ['PUT /v1/auth/jwt/login {"jwt":"e.y.J"}'],
  },
  {
    rule: 'login -method=jwt needs a token',
    argv: 'login -method=jwt role=app',
    stub: {},
    err: "Error authenticating: 'jwt' must be supplied: jwt=@FILE, or jwt=- for stdin\n",
    code: 2,
  },
  {
    rule: 'login -method=oidc with a port that is none',
    argv: 'login -method=oidc role=app port=x',
    stub: {},
    err: 'Error authenticating: port must be a port\n',
    code: 2,
  },
  {
    rule: 'login -method=oidc with a time that is none',
    argv: 'login -method=oidc role=app port=0 timeout=soon',
    stub: {},
    err: 'Error authenticating: timeout must be a duration like 5m\n',
    code: 2,
  },
]

play(cases)

test('login -method=userpass asks for the password on a terminal, where it does not show', async () => {
  await using server = await startStub({ 'PUT /v1/auth/userpass/login/bob': granted })
  const modes: boolean[] = []
  const terminal = Object.assign(new PassThrough(), { setRawMode: (isRaw: boolean) => modes.push(isRaw) })
  terminal.write('s3crex\u007ft\r')
  const argv = ['-method=userpass', '-token-only', 'username=bob']
  const env = { VAULT_ADDR: server.address }
  const run = await runCommand(cliCommand('login'), argv, { env, stdin: terminal, isInputTerminal: true })
  assert.deepEqual([run.code, run.stdout], [0, 'hvs.bob'])
  assert.equal(run.stderr, 'Password (will be hidden): \n')
  assert.deepEqual(server.asked, ['PUT /v1/auth/userpass/login/bob {"password":"s3cret"}'])
  assert.deepEqual(modes, [true, false])
})

test('login -method=userpass with a wrong password is code 2 and prints neither', async () => {
  const refused = { status: 400, body: { errors: ['invalid username or password'] } }
  await using server = await startStub({ 'PUT /v1/auth/userpass/login/bob': refused })
  const argv = ['-method=userpass', 'username=bob', 'password=hunter2']
  const run = await runCommand(cliCommand('login'), argv, { env: { VAULT_ADDR: server.address } })
  assert.equal(run.code, 2)
  assert.match(run.stderr, /^Error authenticating: Error making API request\.[^]*invalid username or password/)
  assert.ok(!run.stderr.includes('hunter2'))
})

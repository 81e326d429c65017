import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ComputePool } from '#ground/compute/pool.ts'
import { systemClock } from '#ground/base/clock.ts'
import { kvV1 } from '#engines/kv/v1/engine.ts'
import { kvV2 } from '#engines/kv/v2/engine.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { type RealServer, startReal } from '#core/testing/real-server.ts'
import { userpassAuth } from '#auth/userpass/engine.ts'
import { cliCommand } from './command.ts'
import { runCommand } from './stub-server.ts'

// The program itself, as a pipeline runs it.

const main = fileURLToPath(new URL('../../main.ts', import.meta.url))
const outside = new Outside()
const compute = new ComputePool({ clock: systemClock, width: 1, waitingMax: 16, timeoutMs: 10_000 })
let real: RealServer

type End = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

const started = (argv: readonly string[], env: Record<string, string>) =>
  spawn(process.execPath, ['--no-warnings', main, ...argv], {
    env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', VAULT_ADDR: real.address, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })

async function ended(child: ReturnType<typeof started>): Promise<End> {
  const out = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (out.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (out.stderr += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...out }
}

const run = (argv: readonly string[], env: Record<string, string> = { VAULT_TOKEN: real.rootToken }): Promise<End> =>
  ended(started(argv, env))

/** As the operator, in this process. */
async function operator(line: string, stdin = ''): Promise<string> {
  const [name = '', ...argv] = line.split(' ')
  const env = { VAULT_ADDR: real.address, VAULT_TOKEN: real.rootToken, HOME: '/nonexistent' }
  const end = await runCommand(cliCommand(name), argv, { env, stdin: Readable.from([stdin]) })
  assert.equal(end.code, 0, `${line}: ${end.stderr}`)
  return end.stdout
}

const tokens = async (): Promise<number> => (await operator('list auth/token/accessors')).trim().split('\n').length
const login = { VAULT_AUTH_METHOD: 'userpass', VAULT_USERNAME: 'ci', VAULT_PASSWORD: 'very-s3cret' }

const policy = `
path "secret/data/app" { capabilities = ["read"] }
path "old/app" { capabilities = ["read"] }
path "database/creds/app" { capabilities = ["read"] }
`

before(async () => {
  real = await startReal([kvV1, kvV2, userpassAuth, accountsEngine(outside)], { services: { compute } })
  await operator('secrets enable -path=secret -version=2 kv')
  await operator('secrets enable -path=old kv')
  await operator('secrets enable -path=database accounts')
  await operator('kv put secret/app password=hunter2 port=5432')
  await operator('kv put old/app password=older')
  await operator('auth enable userpass')
  await operator('write sys/policies/acl/ci policy=-', policy)
  await operator('write auth/userpass/users/ci password=very-s3cret token_policies=ci token_ttl=60')
})
after(async () => {
  await real[Symbol.asyncDispose]()
  await compute.close()
})

const print = (script: string): readonly string[] => ['--', 'sh', '-c', script]

test('run: fields and templates become variables, of either kv version; nothing else is printed', async () => {
  const argv = ['-env', 'NEW=secret/app#password', '-env', 'OLD=old/app#password', '-env=PORT=secret/app#port']
  const template = 'URL={{ with secret "secret/app" }}db:{{ .Data.data.port }}{{ end }}'
  const end = await run(['run', ...argv, '-template', template, ...print('printf %s "$NEW $OLD $PORT $URL"')])
  assert.deepEqual(end, { code: 0, stdout: 'hunter2 older 5432 db:5432', stderr: '' })
})

test('run: the exit code is that of the command, or 128 and the signal that ended it', async () => {
  assert.equal((await run(['run', ...print('exit 7')])).code, 7)
  assert.equal((await run(['run', ...print('kill -TERM $$')])).code, 143)
  const missing = await run(['run', '--', 'no-such-command', 'secret-argument'])
  assert.equal(missing.code, 127)
  assert.equal(missing.stderr, `can't start "no-such-command": not found\n`)
})

test('run: flags of the command are its own', async () => {
  const end = await run(['run', '--', 'printf', '%s', '-format=json'])
  assert.deepEqual([end.stdout, end.stderr], ['-format=json', ''])
})

test('run: two fields of one leased secret are one account, which ends with the command', async () => {
  const made = outside.accounts.size
  const fields = ['-env', 'A=database/creds/app#name', '-env', 'B=database/creds/app#name']
  const child = started(['run', ...fields, ...print('printf %s "$A $B"; read -r _ < /dev/null; exec sleep 600')], {
    VAULT_TOKEN: real.rootToken,
  })
  const end = ended(child)
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
  const [one, other] = chunk.toString().split(' ')
  assert.ok(one !== '' && one === other)
  assert.equal(outside.accounts.size, made + 1)
  child.kill('SIGTERM')
  assert.equal((await end).code, 143, 'the signal was passed on')
  await real.advance(1_000)
  assert.equal(outside.accounts.size, made)
})

test('run: logs in by the environment, and nothing of that reaches the command or outlives it', async () => {
  const before = await tokens()
  const made = outside.accounts.size
  const script = 'printf %s "$P $A ${VAULT_PASSWORD-none} ${VAULT_TOKEN-none} $VAULT_ADDR"'
  const argv = ['-env', 'P=secret/app#password', '-env', 'A=database/creds/app#name', ...print(script)]
  const end = await run(['run', ...argv], login)
  assert.match(end.stdout, new RegExp(`^hunter2 \\S+ none none ${real.address}$`))
  assert.deepEqual([end.code, end.stderr], [0, ''])
  assert.equal(await tokens(), before, 'its token is revoked')
  await real.advance(1_000)
  assert.equal(outside.accounts.size, made, 'and what was leased with it')
})

test('a command logs in by the environment, does its one thing, and revokes the token', async () => {
  const before = await tokens()
  const end = await run(['kv', 'get', '-field=password', 'secret/app'], login)
  assert.deepEqual(end, { code: 0, stdout: 'hunter2', stderr: '' })
  const refused = await run(['kv', 'get', 'secret/other'], login)
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /permission denied/)
  assert.equal(await tokens(), before)
})

test('a token that is named weighs more than a way to log in', async () => {
  const end = await run(['token', 'lookup', '-field=display_name'], { ...login, VAULT_TOKEN: real.rootToken })
  assert.equal(end.stdout, 'root')
  const own = await run(['token', 'lookup', '-field=display_name'], login)
  assert.equal(own.stdout, 'userpass-ci')
})

for (const [rule, argv, env, code, text] of [
  [
    'a field that is not there',
    ['-env', 'P=secret/app#pasword'],
    {},
    2,
    /^P: secret\/data\/app has no field "pasword": did you mean "password"\?\n$/,
  ],
  ['a secret that is not there', ['-env', 'P=secret/none#x'], {}, 2, /^P: .*no secret exists at secret\/data\/none/],
  [
    'a template that fails',
    ['-template', 'P={{ with secret "secret/app" }}{{ .Data.data.x }}{{ end }}'],
    {},
    2,
    /^P: .*map has no entry for key "x"/,
  ],
  ['a form that is none', ['-env', 'P'], {}, 1, /^-env: "" is no name of a variable; write NAME=PATH#FIELD\n$/],
  ['no field', ['-env', 'P=secret/app'], {}, 1, /^-env P: write NAME=PATH#FIELD/],
  ['a variable twice', ['-env', 'P=secret/app#port', '-template', 'P=x'], {}, 1, /^the variable P is given twice\n$/],
  ['no command', ['-env', 'P=secret/app#port'], {}, 1, /^Not enough arguments/],
  [
    'a login that is refused',
    ['-env', 'P=secret/app#port'],
    { ...login, VAULT_PASSWORD: 'wr0ng', VAULT_TOKEN: '' },
    2,
    /^Error authenticating: /,
  ],
  [
    'a method that is not there',
    ['-env', 'P=secret/app#port'],
    { VAULT_AUTH_METHOD: 'ldap', VAULT_TOKEN: '' },
    1,
    /^AUTH_METHOD names no auth method: ldap\. There are /,
  ],
] as const) {
  test(`run: refused is ${rule}, and the command does not start`, async () => {
    const command = rule === 'no command' ? [] : print('echo started')
    const end = await run(['run', ...argv, ...command], { VAULT_TOKEN: real.rootToken, ...env })
    assert.equal(end.stdout, '')
    assert.match(end.stderr, text)
    assert.equal(end.code, code)
    assert.ok(!end.stderr.includes('hunter2') && !end.stderr.includes('wr0ng'))
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '#ground/base/log.ts'
import { systemWorld } from '#ground/base/world.ts'
import { cliCommand } from '#apps/cli/command.ts'
import { type Run, runCommand } from '#apps/cli/stub-server.ts'
import { startDev } from './dev-server.lab.ts'

/** A command of the CLI with this token; empty: without one. */
const cliAt =
  (address: string) =>
  (token: string, name: string, ...argv: string[]): Promise<Run> =>
    runCommand(cliCommand(name), argv, {
      env: { VAULT_ADDR: address, HOME: '/nonexistent', ...(token !== '' && { VAULT_TOKEN: token }) },
      world: systemWorld(silentLog, AbortSignal.timeout(60_000)),
    })

test('userpass: from auth enable to a login by the CLI, with a server that has its compute pool', async () => {
  await using server = await startDev()
  const cli = cliAt(server.address)
  const enabled = await cli('root', 'auth', 'enable', 'userpass')
  assert.deepEqual([enabled.code, enabled.stdout], [0, 'Success! Enabled userpass auth method at: userpass/\n'])
  const written = await cli('root', 'write', 'auth/userpass/users/bob', 'password=s3cret', 'token_policies=dev')
  assert.equal(written.code, 0, written.stderr)
  const login = await cli('', 'login', '-method=userpass', '-token-only', 'username=Bob', 'password=s3cret')
  assert.equal(login.code, 0, login.stderr)
  const seen = await cli(login.stdout, 'token', 'lookup', '-field=display_name')
  assert.equal(seen.stdout, 'userpass-bob')
  const wrong = await cli('', 'login', '-method=userpass', '-token-only', 'username=bob', 'password=guess')
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /invalid username or password/)
})

test('server: DISABLE_USER_LOCKOUT locks nobody out', async () => {
  for (const [env, last] of [
    [{}, 'permission denied'],
    [{ VAULT_DISABLE_USER_LOCKOUT: 'true' }, 'invalid username or password'],
    [{ VAULT_DISABLE_USER_LOCKOUT: 'true', COFFER_DISABLE_USER_LOCKOUT: '0' }, 'permission denied'],
  ] as const) {
    await using server = await startDev(env)
    const cli = cliAt(server.address)
    await cli('root', 'auth', 'enable', 'userpass')
    await cli('root', 'write', 'auth/userpass/users/bob', 'password=s3cret')
    let said = ''
    for (let i = 0; i < 6; i++) {
      const run = await cli('', 'login', '-method=userpass', '-token-only', 'username=bob', 'password=guess')
      said = run.stderr
    }
    assert.ok(said.includes(last), said)
  }
})

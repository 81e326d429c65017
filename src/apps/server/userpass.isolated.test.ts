import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { silentLog } from '#ground/base/log.ts'
import { systemWorld } from '#ground/base/world.ts'
import { cliCommand } from '#apps/cli/command.ts'
import { type Run, runCommand } from '#apps/cli/stub-server.ts'
import { command } from './command.ts'

/** A server of its own, as `coffer server -dev` starts it; the root token is "root". */
async function startServer(): Promise<AsyncDisposable & { readonly address: string }> {
  const ending = new AbortController()
  const ready = Promise.withResolvers<string>()
  let printed = ''
  const argv = ['-dev', '-dev-no-store-token', '-dev-root-token-id=root', '-dev-listen-address=127.0.0.1:0']
  const ended = command.run(argv, {
    stdout: text => {
      printed += String(text)
      const address = /Api Address: (\S+)/.exec(printed)?.[1]
      if (address !== undefined && printed.includes('server started')) ready.resolve(address)
    },
    stderr: () => undefined,
    stdin: new PassThrough(),
    isInputTerminal: false,
    isOutputTerminal: false,
    env: {},
    cwd: '/',
    calledAs: 'coffer',
    world: systemWorld(silentLog, ending.signal),
  })
  const address = await Promise.race([ready.promise, ended.then(code => assert.fail(`ended with ${code}: ${printed}`))])
  return {
    address,
    async [Symbol.asyncDispose]() {
      ending.abort()
      assert.equal(await ended, 0)
    },
  }
}

test('userpass: from auth enable to a login by the CLI, with a server that has its compute pool', async () => {
  await using server = await startServer()
  const cli = async (token: string, name: string, ...argv: string[]): Promise<Run> =>
    runCommand(cliCommand(name), argv, {
      env: { VAULT_ADDR: server.address, HOME: '/nonexistent', ...(token !== '' && { VAULT_TOKEN: token }) },
      world: systemWorld(silentLog, AbortSignal.timeout(60_000)),
    })
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

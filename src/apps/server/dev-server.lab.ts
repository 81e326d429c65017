import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { silentLog } from '#ground/base/log.ts'
import { systemWorld } from '#ground/base/world.ts'
import { command } from './command.ts'

export type DevServer = AsyncDisposable & { readonly address: string }

/** A server of its own, as `coffer server -dev` starts it; the root token is "root". */
export async function startDev(env: Readonly<Record<string, string>> = {}): Promise<DevServer> {
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
    env,
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

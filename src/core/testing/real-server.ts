import { systemClock } from '#ground/base/clock.ts'
import { silentLog } from '#ground/base/log.ts'
import { listen } from '#ground/http/server.ts'
import type { AnyEngine } from '#backend/engine.ts'
import { openTestServer } from './mount.ts'

/** A server with these engines behind a real socket; initialised and unsealed. */
export type RealServer = AsyncDisposable & { readonly address: string; readonly rootToken: string }

/** For tests of commands against what they talk to: a stub only answers what its author thought of. */
export async function startReal(catalog: readonly AnyEngine[]): Promise<RealServer> {
  const server = await openTestServer({ catalog })
  const { handler } = server.node
  const front = await listen({ address: { host: '127.0.0.1', port: 0 }, handler, clock: systemClock, log: silentLog })
  return {
    address: 'port' in front.address ? `http://127.0.0.1:${front.address.port}` : '',
    rootToken: server.rootToken,
    async [Symbol.asyncDispose]() {
      await front.close({ graceMs: 0 })
      await server[Symbol.asyncDispose]()
    },
  }
}

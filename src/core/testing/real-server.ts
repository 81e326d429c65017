import { systemClock } from '#ground/base/clock.ts'
import { silentLog } from '#ground/base/log.ts'
import { listen } from '#ground/http/server.ts'
import type { TlsSettings } from '#ground/http/tls.ts'
import type { AnyEngine } from '#backend/engine.ts'
import { openTestServer } from './mount.ts'

/** A server with these engines behind a real socket; initialised and unsealed. */
export type RealServer = AsyncDisposable & {
  readonly address: string
  readonly rootToken: string
  /** The server's time stands still but for this: what is due is done. */
  advance(ms: number): Promise<void>
}

/** For tests of commands against what they talk to: a stub only answers what its author thought of. */
export type RealServerOptions = {
  /** Speaks TLS; the server's time begins now then, as that of certificates does. */
  readonly tls?: TlsSettings
  readonly services?: Readonly<Record<string, unknown>>
  /** Wall time of the beginning, ms. */
  readonly start?: number
}

export async function startReal(
  catalog: readonly AnyEngine[],
  { tls, services, start }: RealServerOptions = {},
): Promise<RealServer> {
  const server = await openTestServer({
    catalog,
    ...(services && { services }),
    ...(tls && { start: systemClock.now() }),
    ...(start !== undefined && { start }),
  })
  const { handler } = server.node
  const front = await listen({
    address: { host: '127.0.0.1', port: 0 },
    handler,
    clock: systemClock,
    log: silentLog,
    ...(tls && { tls }),
  })
  return {
    address: 'port' in front.address ? `${tls ? 'https' : 'http'}://127.0.0.1:${front.address.port}` : '',
    rootToken: server.rootToken,
    advance: ms => server.world.clock.advance(ms),
    async [Symbol.asyncDispose]() {
      await front.close({ graceMs: 0 })
      await server[Symbol.asyncDispose]()
    },
  }
}

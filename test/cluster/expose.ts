import { connect, createServer, type NetConnectOpts, type Server } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { net } from './layout.ts'
import { type Running, start, tail } from './process.ts'

/** Where a service of this machine listens. */
export type HostAddress = { host: string; port: number } | { path: string }

type Where = { folder: string; initPid: number }

const relay = (listenOn: string, connectTo: string): string[] => [
  process.execPath,
  '--no-warnings',
  join(import.meta.dirname, 'relay.ts'),
  listenOn,
  connectTo,
]

/** Opens a port on this machine's 127.0.0.1 that leads to the API server inside. It goes with the cluster. */
export async function startApiRelay(where: Where, apiPort: number): Promise<{ port: number }> {
  const server = createServer()
  await listen(server, { host: '127.0.0.1', port: 0 })
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('no port on 127.0.0.1')
  // The relay inherits the listening socket, which stays one of this network namespace. Node shows its number nowhere else.
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle
  await start('relay', relay('fd:3', `tcp:127.0.0.1:${apiPort}`), { ...where, stdio: [fd] })
  // From here on only the relay takes connections.
  await close(server)
  return { port: address.port }
}

/** See `Cluster.expose`. Disposing ends the part outside; the part inside goes with the cluster. */
export async function exposeToCluster(where: Where, port: number, target: HostAddress): Promise<AsyncDisposable> {
  const path = join(where.folder, `expose-${port}.sock`)
  const server = createServer({ allowHalfOpen: true }, client => {
    const service = connect({ ...(target as NetConnectOpts), allowHalfOpen: true })
    const ignore = (): void => undefined
    pipeline(client, service, ignore)
    pipeline(service, client, ignore)
  })
  await listen(server, { path })
  server.unref()
  const name = `expose-${port}`
  const running = await start(name, relay(`tcp:${net.nodeIp}:${port}`, `unix:${path}`), where)
  await untilListening(running)
  return { [Symbol.asyncDispose]: () => close(server) }
}

async function untilListening(running: Running): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (tail(running.log).includes('listening')) return
    if (!running.isRunning()) break
    await sleep(25)
  }
  throw new Error(`${running.name} does not listen:\n${tail(running.log)}`)
}

function listen(server: Server, where: { host: string; port: number } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => resolve())
  })
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => server.close(() => resolve()))
}

import { chmodSync, chownSync, unlinkSync } from 'node:fs'
import { connect, createServer as createNetServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import type { Clock } from '#ground/base/clock.ts'
import type { Log } from '#ground/base/log.ts'
import { errorResponse } from './answers.ts'
import { Connection, type Front } from './connection.ts'
import { Deadlines } from './deadlines.ts'
import { Flusher } from './flusher.ts'
import { httpLimits } from './limits.ts'
import type { HttpHandler, HttpLimits, HttpResponse, Peer } from './message.ts'
import { Prelude, type ProxyProtocol } from './prelude.ts'
import type { ClientAddress } from './proxy-protocol.ts'
import { httpDate } from './render.ts'
import { tlsOptions, tlsPeer, type TlsSettings } from './tls.ts'

export type HttpAddress =
  | { /** Port 0: the system chooses. */ readonly host: string; readonly port: number }
  | {
      /** A unix socket. */
      readonly path: string
      /** Default 0600. */
      readonly mode?: number
      /** Ids of its owner; default: who runs the process. */
      readonly user?: number
      readonly group?: number
    }

export type ListenOptions = {
  readonly address: HttpAddress
  readonly tls?: TlsSettings | null
  readonly handler: HttpHandler
  readonly limits?: Partial<HttpLimits>
  readonly clock: Clock
  readonly log: Log
  /** Read a PROXY header that may stand before everything else; null (default): never. */
  readonly proxyProtocol?: ProxyProtocol | null
  /** A bug: a handler threw, or gave an answer that can't be sent. Default: a line in the log. */
  readonly onError?: (error: unknown) => void
  /** Called once before the answers of one turn of the event loop are written; when it throws, none of them is. */
  readonly beforeWrite?: () => void
  /** What is sent in the place of each of them; default: a bare 500. */
  readonly onBeforeWriteFailed?: (error: unknown) => HttpResponse
}

export interface HttpServer {
  /** Where it listens, with the port that was chosen. */
  readonly address: HttpAddress
  /** Connections that are served now. */
  readonly connections: number
  /** Takes another certificate for connections from now on. @throws when it isn't usable; the old one stays then. */
  reloadTls(settings: TlsSettings): void
  /**
   * Takes no more connections, ends the idle ones, lets answers under way end for `graceMs`, then ends all.
   * Streams and upgraded connections, which have no end of their own, are told by their request's signal at once.
   */
  close(options: { graceMs: number }): Promise<void>
}

/** How often deadlines are looked at, ms. */
const sweepMs = 500

/** @throws Error with the system's code (`EADDRINUSE`, …) when it can't listen, or naming the TLS setting that is wrong */
export async function listen(options: ListenOptions): Promise<HttpServer> {
  const server = new FrontServer(options)
  await server.start()
  return server
}

class FrontServer implements HttpServer {
  #address: HttpAddress
  readonly #options: ListenOptions
  readonly #front: Front
  /** Connections that have said nothing yet that can be answered. */
  readonly #preludes = new Set<Prelude>()
  /** Sockets that a prelude or a handshake still has, or over which TLS runs. */
  readonly #raw = new Set<Socket>()
  /** Who the PROXY header said it is, for the time of the handshake. */
  readonly #announced = new Map<string, ClientAddress>()
  readonly #server: Server
  #tls: TlsServer | null = null
  #onEmpty = (): void => undefined

  constructor(options: ListenOptions) {
    this.#options = options
    this.#address = options.address
    const { clock, log } = options
    const limits = httpLimits(options.limits)
    const onError = options.onError ?? ((error: unknown) => log.error('http handler failed', { error: String(error) }))
    const dates = new DateLine(clock)
    this.#front = {
      handler: options.handler,
      limits,
      deadlines: new Deadlines(clock, sweepMs),
      flusher: new Flusher(options.beforeWrite ?? (() => undefined), error => {
        onError(error)
        return options.onBeforeWriteFailed?.(error) ?? errorResponse(500, 'internal error')
      }),
      connections: new Set(),
      isClosing: false,
      date: () => dates.now(),
      onError,
      onEmpty: () => this.#onEmpty(),
    }
    // Half-open: a client that has ended its side (nc, socat) still gets its answer.
    this.#server = createNetServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, pauseOnConnect: false })
    this.#server.maxConnections = limits.connectionsMax
    this.#server.on('connection', socket => this.#onConnection(socket))
    if (options.tls) this.#tls = this.#secure(options.tls)
  }

  get address(): HttpAddress {
    return this.#address
  }

  get connections(): number {
    return this.#front.connections.size
  }

  async start(): Promise<void> {
    const { address } = this.#options
    if ('path' in address) {
      await listenOn(this.#server, { path: address.path }).catch(async (error: unknown) => {
        if (!(await isLeftOver(address.path, error))) throw error
        unlinkSync(address.path)
        await listenOn(this.#server, { path: address.path })
      })
      if (address.user !== undefined || address.group !== undefined)
        chownSync(address.path, address.user ?? -1, address.group ?? -1)
      chmodSync(address.path, address.mode ?? 0o600)
      return
    }
    await listenOn(this.#server, { host: address.host, port: address.port })
    const bound = this.#server.address()
    if (bound !== null && typeof bound === 'object') this.#address = { host: bound.address, port: bound.port }
  }

  reloadTls(settings: TlsSettings): void {
    // A new server rather than a new context: whether certificates are asked for belongs to the server.
    this.#tls = this.#secure(settings)
  }

  #secure(settings: TlsSettings): TlsServer {
    // It never listens: connections are handed to it once their first byte is there.
    const server = createTlsServer({ ...tlsOptions(settings, this.#front.limits.headTimeoutMs), allowHalfOpen: true })
    server.on('secureConnection', socket => {
      if (this.#front.isClosing) socket.destroy()
      else this.#serve(socket, this.#announced.get(endpoint(socket)) ?? null, tlsPeer(socket))
    })
    server.on('tlsClientError', (error, socket) => {
      this.#options.log.debug('TLS handshake failed', { error, address: socket.remoteAddress ?? '' })
      socket.destroy()
    })
    return server
  }

  #onConnection(socket: Socket): void {
    if (this.#front.isClosing) return void socket.destroy()
    const proxy = this.#options.proxyProtocol ?? null
    const isBelieved =
      proxy !== null && (proxy.behaviour === 'use_always' || proxy.authorized(socket.remoteAddress ?? ''))
    if (proxy?.behaviour === 'deny_unauthorized' && !isBelieved) return void socket.destroy()
    const tls = this.#tls
    if (tls === null && !isBelieved) return this.#serve(socket, null, null)
    const { deadlines, limits } = this.#front
    this.#raw.add(socket)
    const expects = { proxyHeader: isBelieved, tls: tls !== null }
    const prelude = new Prelude(socket, deadlines, limits.headTimeoutMs, expects, result => {
      this.#preludes.delete(prelude)
      if (result.kind === 'plaintext') {
        // The text that users know from Go's servers: the usual cause is http:// in VAULT_ADDR.
        socket.end('HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n')
        socket.resume()
        return
      }
      if (tls !== null) this.#handshake(tls, socket, result.client)
      else {
        this.#serve(socket, result.client, null)
        socket.resume()
      }
    })
    socket.once('close', () => {
      this.#raw.delete(socket)
      this.#preludes.delete(prelude)
    })
    this.#preludes.add(prelude)
    prelude.open()
  }

  #handshake(tls: TlsServer, socket: Socket, client: ClientAddress | null): void {
    if (client !== null) {
      // The TLS socket doesn't show the one it was made of; both have the same endpoint.
      const key = endpoint(socket)
      this.#announced.set(key, client)
      socket.once('close', () => this.#announced.delete(key))
    }
    tls.emit('connection', socket)
  }

  #serve(socket: Socket, client: ClientAddress | null, tls: Peer['tls']): void {
    const address = client?.address ?? socket.remoteAddress ?? ''
    const transport = 'path' in this.#address ? 'unix' : 'tcp'
    const port = client?.port ?? socket.remotePort ?? 0
    new Connection(this.#front, socket, { transport, address, port, tls }).open()
  }

  async close(options: { graceMs: number }): Promise<void> {
    const { connections } = this.#front
    this.#front.isClosing = true
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    for (const connection of connections) connection.shutdown()
    for (const prelude of this.#preludes) prelude.destroy()
    const timer = this.#options.clock.after(options.graceMs, () => this.#destroyAll())
    await closed
    timer[Symbol.dispose]()
    // A TLS connection tells its end a little after the socket beneath it.
    if (connections.size > 0) {
      await new Promise<void>(resolve => {
        this.#onEmpty = resolve
      })
    }
  }

  #destroyAll(): void {
    for (const connection of this.#front.connections) connection.destroy()
    for (const socket of this.#raw) socket.destroy()
  }
}

function endpoint(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}

function listenOn(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ ...where, backlog: 1024 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** A socket file that a killed process left: nobody answers there. */
function isLeftOver(path: string, error: unknown): Promise<boolean> {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return Promise.resolve(false)
  return new Promise(resolve => {
    const probe = connect(path)
    probe.on('connect', () => {
      probe.destroy()
      resolve(false)
    })
    probe.on('error', (cause: NodeJS.ErrnoException) => resolve(cause.code === 'ECONNREFUSED'))
  })
}

/** The Date header, made once a second. */
class DateLine {
  readonly #clock: Clock
  #second = -1
  #text = ''

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): string {
    const second = Math.floor(this.#clock.now() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#text = httpDate(second * 1000)
    }
    return this.#text
  }
}

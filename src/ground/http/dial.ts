import { connect as connectSocket, isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import type { Clock } from '#ground/base/clock.ts'
import type { Secret } from '#ground/base/secret.ts'

/** How a client of ours speaks TLS. Never below 1.2. */
export type ClientTls = {
  /** PEM; default: the CAs that come with Node. */
  readonly ca?: string
  /** PEM: our certificate, then its intermediates. */
  readonly certificate?: string
  readonly key?: Secret
  /** Whom the server's certificate must name, and SNI; default: the host of the address. */
  readonly serverName?: string
  /** Default true. */
  readonly rejectUnauthorized?: boolean
}

/** `connect` gives the stream on which TLS or HTTP is spoken, such as a port-forward's; default: TCP to host and port. */
export type Connect = (signal: AbortSignal) => Duplex | Promise<Duplex>

export type DialTarget =
  | { readonly host: string; readonly port: number; readonly tls: ClientTls | null; readonly connect?: Connect }
  | { readonly socketPath: string }

/**
 * Why there is no answer, or no whole one.
 * - `connect`: no connection came about; the server has seen nothing of the request.
 * - `broken`: the connection broke; the server may have done what was asked.
 * - `timeout`: the caller's time for it ran out; likewise.
 * - `too-large`: the answer is above the caller's bound.
 * - `busy`: too many requests wait for a connection; nothing was sent.
 */
export class HttpClientError extends Error {
  override readonly name = 'HttpClientError'
  readonly code: 'connect' | 'broken' | 'timeout' | 'too-large' | 'busy'
  /** A kept connection was used: it may just have been closed by a server that saw nothing of the request. */
  readonly isReused: boolean

  constructor(code: HttpClientError['code'], message: string, options: { cause?: unknown; isReused?: boolean } = {}) {
    super(message, options)
    this.code = code
    this.isReused = options.isReused ?? false
  }
}

/**
 * Opens a connection, TLS handshake included.
 * @throws HttpClientError `connect` or `timeout`; the signal's reason when it is aborted
 */
export async function dial(
  target: DialTarget,
  options: { clock: Clock; timeoutMs: number; signal: AbortSignal },
): Promise<Duplex> {
  const { clock, timeoutMs, signal } = options
  signal.throwIfAborted()
  const expired = new AbortController()
  using _timer = clock.after(timeoutMs, () => {
    expired.abort(new HttpClientError('timeout', `no connection to ${nameOf(target)} within ${timeoutMs} ms`))
  })
  const either = AbortSignal.any([signal, expired.signal])
  try {
    const stream = await base(target, either)
    return 'socketPath' in target || target.tls === null ? stream : await secure(stream, target, target.tls, either)
  } catch (error) {
    if (either.aborted) throw either.reason
    const reason = error instanceof Error ? error.message : String(error)
    throw new HttpClientError('connect', `can't connect to ${nameOf(target)}: ${reason}`, { cause: error })
  }
}

function nameOf(target: DialTarget): string {
  return 'socketPath' in target ? target.socketPath : `${target.host}:${target.port}`
}

async function base(target: DialTarget, signal: AbortSignal): Promise<Duplex> {
  if (!('socketPath' in target) && target.connect) {
    const stream = await target.connect(signal)
    if (!signal.aborted) return stream
    stream.destroy()
    throw signal.reason
  }
  const where = 'socketPath' in target ? { path: target.socketPath } : { host: target.host, port: target.port }
  const socket = connectSocket({ ...where, noDelay: true, keepAlive: true })
  await until(socket, 'connect', signal)
  return socket
}

async function secure(stream: Duplex, target: { host: string }, tls: ClientTls, signal: AbortSignal): Promise<Socket> {
  const name = tls.serverName ?? target.host
  const options: ConnectionOptions = {
    socket: stream,
    host: name,
    // SNI has no addresses (RFC 6066 section 3); the certificate is held against `host` then.
    ...(isIP(name) === 0 && { servername: name }),
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(tls.certificate !== undefined && { cert: tls.certificate }),
    ...(tls.key && { key: tls.key.reveal('TLS client key') }),
    rejectUnauthorized: tls.rejectUnauthorized ?? true,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['http/1.1'],
  }
  const socket = connectTls(options)
  await until(socket, 'secureConnect', signal).catch((error: unknown) => {
    stream.destroy()
    throw error
  })
  return socket
}

/** Waits for `event`; destroys the socket when it fails or the signal is aborted first. */
function until(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (failure: { reason: unknown } | null): void => {
      socket.off(event, onReady)
      socket.off('error', onError)
      socket.off('close', onClose)
      signal.removeEventListener('abort', onAbort)
      if (failure === null) return resolve()
      socket.on('error', () => undefined)
      socket.destroy()
      reject(failure.reason)
    }
    const onReady = (): void => settle(null)
    const onError = (reason: unknown): void => settle({ reason })
    const onClose = (): void => settle({ reason: new Error('the connection was closed') })
    const onAbort = (): void => settle({ reason: signal.reason })
    socket.on(event, onReady)
    socket.on('error', onError)
    socket.on('close', onClose)
    signal.addEventListener('abort', onAbort)
  })
}

import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Bytes } from '#ground/base/brand.ts'
import type { Clock } from '#ground/base/clock.ts'
import { type ClientTls, type Connect, dial, HttpClientError } from './dial.ts'
import type { Headers } from './message.ts'
import { type Place, placeOf } from './place.ts'
import { type WebSocketBounds, type WebSocketPeer, WsPeer, wsOptions } from './websocket-peer.ts'

export type { WebSocketBounds, WebSocketPeer }

/** What the front needs to answer 101 and hand the connection over. */
export type AcceptedUpgrade = {
  readonly headers: readonly (readonly [name: string, value: string])[]
  run(socket: Duplex, head: Bytes): Promise<void>
}

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const keyPattern = /^[A-Za-z0-9+/]{22}==$/

/**
 * Accepts the upgrade that the headers ask for; `serve` has the connection until it returns, its signal is aborted when
 * the connection ends.
 * @returns null when the headers are no handshake of version 13 (RFC 6455 section 4.2.1): answer 400
 */
export function acceptWebSocket(
  headers: Headers,
  serve: (peer: WebSocketPeer, signal: AbortSignal) => Promise<void>,
  bounds: WebSocketBounds = {},
): AcceptedUpgrade | null {
  const key = headers.get('sec-websocket-key') ?? ''
  const isUpgrade = headers.get('upgrade')?.toLowerCase() === 'websocket'
  if (!isUpgrade || headers.get('sec-websocket-version') !== '13' || !keyPattern.test(key)) return null
  return {
    headers: [
      ['Upgrade', 'websocket'],
      [
        'Sec-WebSocket-Accept',
        createHash('sha1')
          .update(key + guid)
          .digest('base64'),
      ],
    ],
    run: (socket, head) => run(socket, head, serve, bounds),
  }
}

// How the server of `ws` makes its sockets once the handshake is done. That server wants Node's own request objects.
type RawWebSocket = WebSocket & { setSocket(socket: Duplex, head: Buffer, options: object): void }
type RawConstructor = new (address: null, protocols: undefined, options: object) => RawWebSocket

async function run(
  socket: Duplex,
  head: Bytes,
  serve: (peer: WebSocketPeer, signal: AbortSignal) => Promise<void>,
  bounds: WebSocketBounds,
): Promise<void> {
  // Loaded when the first socket opens: a program that serves none doesn't pay for it.
  const { WebSocket } = await import('ws')
  const options = wsOptions(bounds)
  const web = new (WebSocket as unknown as RawConstructor)(null, undefined, options)
  const peer = new WsPeer(web, bounds)
  const ended = new AbortController()
  void peer.closed.then(() => ended.abort(new Error('the WebSocket was closed')))
  web.setSocket(socket, Buffer.from(head), options)
  socket.resume()
  try {
    await serve(peer, ended.signal)
    peer.close(1000, '')
  } catch (error) {
    peer.close(1011, 'internal error')
    if (!ended.signal.aborted) throw error
  } finally {
    await peer.closed
  }
}

/** The server answered the handshake with something else than 101. */
export class WebSocketRefused extends Error {
  override readonly name = 'WebSocketRefused'
  readonly status: number

  constructor(status: number) {
    super(`the server answered the WebSocket handshake with status ${status}`)
    this.status = status
  }
}

export type ConnectWebSocketOptions = WebSocketBounds & {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly headers?: readonly (readonly [name: string, value: string])[]
  readonly tls?: ClientTls
  readonly connect?: Connect
  /** ms for connection and handshake together; default 10,000. */
  readonly timeoutMs?: number
}

/**
 * Opens a WebSocket. The signal ends it at any time.
 * @param url `http://`, `https://` or a unix socket with its path
 * @throws WebSocketRefused; HttpClientError `connect`, `broken`, `timeout`; the signal's reason
 */
export async function connectWebSocket(
  url: string | URL | { readonly socketPath: string; readonly path: string },
  options: ConnectWebSocketOptions,
): Promise<WebSocketPeer> {
  const { clock, signal, timeoutMs = 10_000 } = options
  const place = placeOf(url, options)
  const expired = new AbortController()
  using _timer = clock.after(timeoutMs, () => {
    expired.abort(new HttpClientError('timeout', `no WebSocket from ${place.host} within ${timeoutMs} ms`))
  })
  const either = AbortSignal.any([signal, expired.signal])
  const stream = await dial(place.target, { clock, timeoutMs, signal: either })
  const { WebSocket } = await import('ws')
  const web = new WebSocket(`ws://${place.host}${place.path}`, {
    ...wsOptions(options),
    // The connection stands already, TLS included. The name decides the Host header only.
    createConnection: () => stream as never,
    headers: { ...Object.fromEntries(options.headers ?? []), Host: place.host },
  })
  const peer = new WsPeer(web, options)
  try {
    await handshake(web, place, either)
  } catch (error) {
    web.terminate()
    stream.destroy()
    throw error
  }
  const onAbort = (): void => web.terminate()
  signal.addEventListener('abort', onAbort, { once: true })
  void peer.closed.then(() => signal.removeEventListener('abort', onAbort))
  return peer
}

function handshake(web: WebSocket, place: Place, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  web.once('open', resolve)
  web.once('unexpected-response', (_, response) => reject(new WebSocketRefused(response.statusCode ?? 0)))
  web.once('error', cause => reject(new HttpClientError('broken', `${place.host}: ${cause.message}`, { cause })))
  if (signal.aborted) onAbort()
  return promise.finally(() => signal.removeEventListener('abort', onAbort))
}

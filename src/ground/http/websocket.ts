import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { BoundedQueue } from '#ground/base/queue.ts'
import type { Bytes } from '#ground/base/brand.ts'
import type { Headers } from './message.ts'

/** One end of an open WebSocket, ours being the server's. */
export interface WebSocketPeer {
  /** Texts as they come, within the bounds; ends when the connection does. */
  readonly messages: AsyncIterable<string>
  /** Resolves when the text has left our buffers: who awaits it is slowed down by a slow reader. Never throws. */
  send(text: string): Promise<void>
  /** Begins the closing handshake (RFC 6455 section 7); the connection is gone a little later, in any case. */
  close(code: number, reason: string): void
}

export type WebSocketBounds = {
  /** Bytes of one message; a larger one closes with 1009. Default 16 KiB. */
  readonly messageBytesMax?: number
  /** Messages received and not read yet; one more closes with 1008. Default 64. */
  readonly queueMax?: number
}

/** What the front needs to answer 101 and hand the connection over. */
export type AcceptedUpgrade = {
  readonly headers: readonly (readonly [name: string, value: string])[]
  run(socket: Duplex, head: Bytes): Promise<void>
}

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const keyPattern = /^[A-Za-z0-9+/]{22}==$/

/**
 * Accepts the upgrade that the headers ask for; `serve` has the connection until it returns.
 * @returns null when the headers are no handshake of version 13 (RFC 6455 section 4.2.1): answer 400.
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
      ['Connection', 'Upgrade'],
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

// The class of `ws` for a connection whose handshake is done; so does its own server make it.
type RawWebSocket = {
  setSocket(socket: Duplex, head: Buffer, options: Record<string, unknown>): void
  send(text: string, done: (error?: Error) => void): void
  close(code: number, reason: string): void
  terminate(): void
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): void
  on(event: 'close' | 'error', listener: () => void): void
}
type RawConstructor = new (address: null, protocols: undefined, options: Record<string, unknown>) => RawWebSocket

async function run(
  socket: Duplex,
  head: Bytes,
  serve: (peer: WebSocketPeer, signal: AbortSignal) => Promise<void>,
  bounds: WebSocketBounds,
): Promise<void> {
  // Loaded when the first socket opens: a program that serves none doesn't pay for it.
  const { WebSocket } = await import('ws')
  const web = new (WebSocket as unknown as RawConstructor)(null, undefined, { autoPong: true, closeTimeout: 5_000 })
  const queue = new BoundedQueue<string>(bounds.queueMax ?? 64)
  const ended = new AbortController()
  const closed = new Promise<void>(resolve => {
    web.on('close', () => {
      queue.close()
      ended.abort()
      resolve()
    })
  })
  web.on('error', () => ended.abort())
  web.on('message', (data, isBinary) => {
    if (isBinary) web.close(1003, 'text only')
    else if (!queue.push(data.toString('utf8'))) web.close(1008, 'too many messages')
  })
  web.setSocket(socket, Buffer.from(head), {
    maxPayload: bounds.messageBytesMax ?? 16 * 1024,
    skipUTF8Validation: false,
  })
  const peer: WebSocketPeer = {
    messages: queue.read(ended.signal),
    send: text => new Promise(resolve => web.send(text, () => resolve())),
    close: (code, reason) => web.close(code, reason.slice(0, 120)),
  }
  try {
    await serve(peer, ended.signal)
  } finally {
    web.close(1000, '')
    await closed
  }
}

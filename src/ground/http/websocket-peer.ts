import type { WebSocket } from 'ws'
import type { Bytes } from '#ground/base/brand.ts'
import type { Clock } from '#ground/base/clock.ts'
import { BoundedQueue } from '#ground/base/queue.ts'

/** One end of an open WebSocket that takes texts, and sends them or bytes. */
export interface WebSocketPeer {
  /** Texts as they come, within the bounds; ends when the connection does. One reader. */
  readonly messages: AsyncIterable<string>
  /** How it ended: 1006 when the connection broke without a closing handshake. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  /**
   * Resolves when the message has left our buffers: who awaits it is slowed down by a slow reader. Never throws. A peer
   * that takes nothing while messages pile up above the bound is closed with 1008.
   */
  send(message: string | Bytes): Promise<void>
  /** Begins the closing handshake (RFC 6455 section 7); the connection is gone a little later, in any case. */
  close(code: number, reason: string): void
}

export type WebSocketBounds = {
  /** Bytes of one message; a larger one closes with 1009. Default 16 KiB. */
  readonly messageBytesMax?: number
  /** Messages received and not read yet, before the other end has to wait. Default 64. */
  readonly queueMax?: number
  /** Bytes sent and not taken yet. Default 1 MiB. */
  readonly unsentBytesMax?: number
  /** Asks for a sign of life each `periodMs`, and ends the connection when none has come by the next. Default: never. */
  readonly heartbeat?: { readonly clock: Clock; readonly periodMs: number }
}

const messageBytesDefault = 16 * 1024
const queueDefault = 64
const unsentBytesDefault = 1024 * 1024
/** What one read of the socket may bring after a pause, in messages of the smallest size. */
const overrunMax = 32_768
// RFC 6455 section 5.5: a control frame has 125 bytes, the code takes two.
const reasonBytesMax = 123
const closeTimeoutMs = 5_000

/** For the class of `ws`, either side. Compression is off: it mixes secrets with what an attacker may choose. */
export function wsOptions(bounds: WebSocketBounds) {
  return {
    autoPong: true,
    maxPendingAutoPongs: 60,
    closeTimeout: closeTimeoutMs,
    maxPayload: bounds.messageBytesMax ?? messageBytesDefault,
    maxFragments: 1_024,
    maxBufferedChunks: 65_536,
    skipUTF8Validation: false,
    perMessageDeflate: false,
  } as const
}

/** Listens to a `WebSocket` of `ws`; call it before its first message can come. */
export class WsPeer implements WebSocketPeer {
  readonly messages: AsyncIterable<string>
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly #web: WebSocket
  readonly #queue: BoundedQueue<string>
  readonly #queueMax: number
  readonly #unsentBytesMax: number
  #timer: Disposable | null = null
  #isAlive = true

  constructor(web: WebSocket, bounds: WebSocketBounds) {
    this.#web = web
    this.#queueMax = bounds.queueMax ?? queueDefault
    this.#unsentBytesMax = bounds.unsentBytesMax ?? unsentBytesDefault
    this.#queue = new BoundedQueue(this.#queueMax + overrunMax)
    this.messages = this.#read()
    const { promise, resolve } = Promise.withResolvers<{ code: number; reason: string }>()
    this.closed = promise
    web.on('close', (code, reason) => {
      this.#timer?.[Symbol.dispose]()
      this.#queue.close()
      resolve({ code, reason: reason.toString('utf8') })
    })
    // A broken frame or connection is followed by `close`.
    web.on('error', () => undefined)
    web.on('message', (data, isBinary) => this.#onMessage(data as Buffer, isBinary))
    web.on('pong', () => {
      this.#isAlive = true
    })
    if (bounds.heartbeat) this.#beat(bounds.heartbeat.clock, bounds.heartbeat.periodMs)
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (isBinary) return this.close(1003, 'text only')
    if (!this.#queue.push(data.toString('utf8'))) return this.close(1008, 'too many messages')
    if (this.#queue.size >= this.#queueMax) this.#web.pause()
  }

  async *#read(): AsyncGenerator<string> {
    for await (const message of this.#queue.read()) {
      if (this.#web.isPaused && this.#queue.size < this.#queueMax / 2) this.#web.resume()
      yield message
    }
  }

  #beat(clock: Clock, periodMs: number): void {
    this.#timer = clock.after(periodMs, () => {
      if (!this.#isAlive) return this.#web.terminate()
      this.#isAlive = false
      if (this.#web.readyState === this.#web.OPEN) this.#web.ping()
      this.#beat(clock, periodMs)
    })
  }

  send(message: string | Bytes): Promise<void> {
    return new Promise(resolve => {
      if (this.#web.bufferedAmount > this.#unsentBytesMax) {
        this.close(1008, 'messages are taken too slowly')
        resolve()
      } else this.#web.send(message, () => resolve())
    })
  }

  close(code: number, reason: string): void {
    // Whoever closes reads no more, but the other end's answer has to be read.
    if (this.#web.isPaused) this.#web.resume()
    let short = reason
    while (Buffer.byteLength(short) > reasonBytesMax) short = short.slice(0, -1)
    this.#web.close(code, short)
  }
}

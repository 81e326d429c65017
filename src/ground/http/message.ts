import type { Duplex } from 'node:stream'
import type { Bytes, Maybe } from '#ground/base/brand.ts'

/** Header fields in the order received; names are lower case, values are latin1 text with outer blanks removed. */
export interface Headers {
  /** The first value, or undefined. */
  get(name: string): string | undefined
  /** Every value, in order. */
  all(name: string): readonly string[]
  has(name: string): boolean
  [Symbol.iterator](): Iterator<readonly [name: string, value: string]>
}

/** Who is at the other end of the connection; made once a connection, after the PROXY header if one is expected. */
export type Peer = {
  readonly transport: 'tcp' | 'unix'
  /** IP address without brackets; empty on a unix socket. */
  readonly address: string
  /** 0 on a unix socket. */
  readonly port: number
  readonly tls: null | {
    readonly version: string
    /**
     * The client's chain, leaf first, DER; empty when it sent none. Node adds the issuers that the listener's CAs hold.
     * Verified only if `isAuthorized`.
     */
    readonly certificates: readonly Bytes[]
    readonly isAuthorized: boolean
    readonly serverName: string | null
  }
}

/** The body of a request, read at most once. */
export interface Body {
  /** From Content-Length; null for chunked; 0 when there is none. */
  readonly length: number | null
  /**
   * The whole body; there at once when it came with the head.
   * @throws BodyError `too-large`, `timeout`, `aborted`, `malformed` (a bad chunk)
   */
  bytes(limit: number): Maybe<Bytes>
  /** Chunk by chunk, with back-pressure. Same errors. */
  stream(limit: number): AsyncIterable<Bytes>
}

export class BodyError extends Error {
  override readonly name = 'BodyError'
  readonly code: 'too-large' | 'timeout' | 'aborted' | 'malformed'

  constructor(code: BodyError['code'], message: string) {
    super(message)
    this.code = code
  }
}

export type HttpRequest = {
  /** As sent: `GET`, `LIST`, `HELP`, … one of the verbs that the front takes. */
  readonly method: string
  /** Path as sent, percent-encoded (raw bytes above ASCII by the front), without the query: `/v1/secret/data/a%20b`. */
  readonly path: string
  /** What stands after the first `?`, as sent; empty when there is none. */
  readonly query: string
  readonly headers: Headers
  readonly body: Body
  readonly peer: Peer
  /** Aborted when the client goes away or the server stops. Made only when asked for. */
  readonly signal: AbortSignal
}

export type HttpResponse = {
  readonly status: number
  /** Names as they go out. Content-Length, Transfer-Encoding, Connection and Date are the front's own. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** A string is sent as UTF-8. An iterable is sent chunked, with back-pressure, and closed when the client goes. */
  readonly body: string | Bytes | AsyncIterable<Bytes> | null
}

/** 101 with these headers, then the connection belongs to `run`; it is destroyed when `run` ends. */
export type HttpUpgrade = {
  readonly status: 101
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly upgrade: (socket: Duplex, head: Bytes) => Promise<void>
}

/**
 * Answers one request. Must not throw: a handler that does gets a bare 500 and its error goes to `onError`.
 * Requests of one connection are handled and answered in order.
 */
export type HttpHandler = (request: HttpRequest) => Maybe<HttpResponse | HttpUpgrade>

export type HttpLimits = {
  /** Bytes of request line and header block; 431 above. Default 16,384 + 8,192. */
  headBytesMax: number
  /** Header fields; 431 above. Default 100. */
  headerCountMax: number
  /** ms from the first byte of a request to the end of its head; default 10,000. */
  headTimeoutMs: number
  /** ms from the end of the head to the end of the body, or of a streamed body between two pieces; default 30,000. */
  bodyTimeoutMs: number
  /** ms between requests of a kept connection; default 300,000. */
  idleTimeoutMs: number
  /** Connections at once; further ones are closed at once. Default 10,000. */
  connectionsMax: number
  /** Bytes answered but not taken by the client, per connection, before reading stops. Default 1 MiB. */
  unsentBytesMax: number
}

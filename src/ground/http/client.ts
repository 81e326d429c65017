import {
  Agent,
  type ClientRequest,
  type IncomingMessage,
  METHODS,
  type RequestOptions,
  request as startRequest,
} from 'node:http'
import { Readable, type Duplex } from 'node:stream'
import type { Bytes } from '#ground/base/brand.ts'
import type { Clock } from '#ground/base/clock.ts'
import { type ClientTls, type Connect, dial, type DialTarget, HttpClientError } from './dial.ts'
import { HeaderList } from './headers.ts'
import type { Headers } from './message.ts'
import { placeOf } from './place.ts'
import { Slots } from './slots.ts'

export type HttpClientOptions = {
  readonly clock: Clock
  readonly tls?: ClientTls
  /** Requests at once, each on a connection of its own; a stream counts until its end. Default 64. */
  readonly connectionsMax?: number
  /** Requests that wait for a connection; further ones fail with `busy`. Default 1,000. */
  readonly waitingMax?: number
  /** ms for a connection with its handshake; default 10,000. */
  readonly connectTimeoutMs?: number
  /** ms for which an unused connection is kept; default 30,000. */
  readonly idleTimeoutMs?: number
  /** The stream to speak on instead of TCP to the address; TLS goes over it as the address says. */
  readonly connect?: Connect
}

export type HttpClientRequest = {
  /**
   * Node's client sends the verbs in `http.METHODS` only: LIST, SCAN and HELP go as GET with `list=true`, `scan=true`,
   * `help=1`, as Go's clients send them.
   */
  readonly method: string
  /** `http://` or `https://`; or a unix socket with path and query. */
  readonly url: string | URL | { readonly socketPath: string; readonly path: string }
  readonly headers?: Iterable<readonly [name: string, value: string]>
  readonly body?: string | Bytes | AsyncIterable<Bytes> | null
  readonly signal?: AbortSignal
  /** ms to the end of the answer (`stream`: of its head); default: only the signal ends it. */
  readonly timeoutMs?: number
  /** Bytes of the answer's body; default 32 MiB. */
  readonly responseBytesMax?: number
}

export type HttpClientResponse = { readonly status: number; readonly headers: Headers; readonly body: Bytes }

export type HttpClientStream = {
  readonly status: number
  readonly headers: Headers
  /** Read once. Leaving the loop early ends the connection. @throws HttpClientError `broken`, the signal's reason */
  readonly chunks: AsyncIterable<Bytes>
}

/** Keeps connections alive between requests. Follows no redirects, repeats nothing, reads no proxy variables. */
export interface HttpClient {
  /** @throws HttpClientError; the signal's reason when it is aborted; RangeError for a verb that can't be sent */
  request(request: HttpClientRequest): Promise<HttpClientResponse>
  /** Resolves with the head of the answer. Same errors. */
  stream(request: HttpClientRequest): Promise<HttpClientStream>
  /** A connection of its own to the host of an address, for a protocol that takes it over. */
  dial(url: HttpClientRequest['url'], signal: AbortSignal): Promise<Duplex>
  /** Ends all connections, those in use too. */
  close(): void
}

const responseBytesDefault = 32 * 1024 * 1024
const sendable: ReadonlySet<string> = new Set(METHODS)

export function createHttpClient(options: HttpClientOptions): HttpClient {
  return new NodeClient(options)
}

class NodeClient implements HttpClient {
  readonly #options: HttpClientOptions
  readonly #agent: DialAgent
  readonly #slots: Slots

  constructor(options: HttpClientOptions) {
    this.#options = options
    const { connectionsMax = 64, waitingMax = 1_000, idleTimeoutMs = 30_000 } = options
    this.#slots = new Slots(connectionsMax, waitingMax)
    this.#agent = new DialAgent(connectionsMax, idleTimeoutMs, (target, signal) => this.#dial(target, signal))
  }

  async request(request: HttpClientRequest): Promise<HttpClientResponse> {
    return this.#send(request, async (incoming, fail) => {
      const body = await collect(incoming, request.responseBytesMax ?? responseBytesDefault, fail)
      return { status: incoming.statusCode ?? 0, headers: headersOfAnswer(incoming), body }
    })
  }

  async stream(request: HttpClientRequest): Promise<HttpClientStream> {
    return this.#send(request, async (incoming, fail) => {
      const chunks = pieces(incoming, request.responseBytesMax ?? Number.POSITIVE_INFINITY, fail)
      return { status: incoming.statusCode ?? 0, headers: headersOfAnswer(incoming), chunks }
    })
  }

  dial(url: HttpClientRequest['url'], signal: AbortSignal): Promise<Duplex> {
    return this.#dial(placeOf(url, this.#options).target, signal)
  }

  #dial(target: DialTarget, signal: AbortSignal): Promise<Duplex> {
    const { clock, connectTimeoutMs } = this.#options
    return dial(target, { clock, timeoutMs: connectTimeoutMs ?? 10_000, signal })
  }

  async #send<T>(request: HttpClientRequest, take: (incoming: IncomingMessage, fail: Fail) => Promise<T>): Promise<T> {
    if (!sendable.has(request.method)) {
      throw new RangeError(
        `${request.method} can't be sent: use GET with ?${request.method.toLowerCase()}=true (help: ?help=1)`,
      )
    }
    request.signal?.throwIfAborted()
    const { target, path, host } = placeOf(request.url, this.#options)
    const ending = new AbortController()
    const onAbort = (): void => ending.abort(request.signal?.reason)
    request.signal?.addEventListener('abort', onAbort, { once: true })
    const { timeoutMs } = request
    const onTimeout = (): void =>
      ending.abort(new HttpClientError('timeout', `no answer from ${host} within ${timeoutMs} ms`))
    const timer = timeoutMs === undefined ? null : this.#options.clock.after(timeoutMs, onTimeout)
    let outgoing: ClientRequest | null = null
    let release = (): void => undefined
    const fail: Fail = error => failure(error, ending.signal, outgoing?.reusedSocket ?? false, host)
    try {
      release = await this.#slots.take(ending.signal)
      const options: RequestOptions & Dialled = {
        agent: this.#agent,
        method: request.method,
        path,
        headers: pairsOf(request, host),
        signal: ending.signal,
        dialTarget: target,
      }
      outgoing = startRequest(options)
      // `close` comes with the end of the answer, and the connection is free for the next request right after it. A
      // stream may be aborted by its caller for as long as it runs.
      outgoing.once('close', () => {
        request.signal?.removeEventListener('abort', onAbort)
        release()
      })
      return await take(await answerTo(outgoing, request.body ?? null), fail)
    } catch (error) {
      request.signal?.removeEventListener('abort', onAbort)
      outgoing?.destroy()
      release()
      throw fail(error)
    } finally {
      timer?.[Symbol.dispose]()
    }
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** Turns what Node reports into what our callers look at. */
type Fail = (error: unknown) => unknown

function failure(error: unknown, ended: AbortSignal, isReused: boolean, host: string): unknown {
  if (ended.aborted) return ended.reason
  if (error instanceof HttpClientError) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new HttpClientError('broken', `connection to ${host} broke: ${reason}`, { cause: error, isReused })
}

function answerTo(
  outgoing: ClientRequest,
  body: NonNullable<HttpClientRequest['body']> | null,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.on('response', resolve)
    // The server took the connection for another protocol, which nobody asked for.
    outgoing.on('upgrade', (_, socket) => {
      socket.destroy()
      reject(new Error('unexpected upgrade'))
    })
    if (body === null || typeof body === 'string' || body instanceof Uint8Array) outgoing.end(body ?? undefined)
    else
      Readable.from(body)
        .on('error', error => outgoing.destroy(error))
        .pipe(outgoing)
  })
}

async function collect(incoming: IncomingMessage, bytesMax: number, fail: Fail): Promise<Bytes> {
  const chunks: Bytes[] = []
  for await (const chunk of pieces(incoming, bytesMax, fail)) chunks.push(chunk)
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}

async function* pieces(incoming: IncomingMessage, bytesMax: number, fail: Fail): AsyncGenerator<Bytes> {
  let received = 0
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      received += chunk.length
      if (received > bytesMax) throw new HttpClientError('too-large', `the answer is above ${bytesMax} bytes`)
      yield chunk
    }
  } catch (error) {
    throw fail(error)
  }
}

function headersOfAnswer(incoming: IncomingMessage): Headers {
  const list = new HeaderList()
  const raw = incoming.rawHeaders
  for (let i = 0; i + 1 < raw.length; i += 2) list.add(raw[i]!.toLowerCase(), raw[i + 1]!)
  return list
}

/** Names may come more than once, and `Host` may be the caller's. */
function pairsOf(request: HttpClientRequest, host: string): string[] {
  const flat: string[] = []
  const seen = new Set<string>()
  for (const [name, value] of request.headers ?? []) {
    seen.add(name.toLowerCase())
    flat.push(name, value)
  }
  if (!seen.has('host')) flat.unshift('Host', host)
  if (!seen.has('connection')) flat.push('Connection', 'keep-alive')
  const { body } = request
  if (seen.has('content-length') || seen.has('transfer-encoding')) return flat
  if (typeof body === 'string' || body instanceof Uint8Array)
    flat.push('Content-Length', String(Buffer.byteLength(body)))
  else if (body) flat.push('Transfer-Encoding', 'chunked')
  else if (request.method !== 'GET' && request.method !== 'HEAD') flat.push('Content-Length', '0')
  return flat
}

// Node hands a request's options on to the agent as they are.
type Dialled = { readonly dialTarget?: DialTarget }

/**
 * Node's pool of kept connections, over connections that we open: TLS is done before Node sees them. Node doesn't count
 * connections that are still being opened, so that it is `Slots` that bounds their number.
 */
class DialAgent extends Agent {
  readonly #open: (target: DialTarget, signal: AbortSignal) => Promise<Duplex>
  readonly #closing = new AbortController()

  constructor(
    connectionsMax: number,
    idleTimeoutMs: number,
    open: (target: DialTarget, signal: AbortSignal) => Promise<Duplex>,
  ) {
    super({ keepAlive: true, maxSockets: connectionsMax, maxFreeSockets: connectionsMax, timeout: idleTimeoutMs })
    this.#open = open
  }

  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const { dialTarget } = options as Dialled
    if (dialTarget === undefined || callback === undefined)
      throw new RangeError('connections are made for requests of this client only')
    this.#open(dialTarget, this.#closing.signal).then(
      stream => callback(null, asSocket(stream)),
      // Node's signature wants a stream even beside an error, and ignores it.
      (error: Error) => callback(error, undefined as unknown as Duplex),
    )
    return undefined
  }

  override getName(options?: RequestOptions): string {
    const target = (options as Dialled | undefined)?.dialTarget
    if (target === undefined) return ''
    return 'socketPath' in target
      ? target.socketPath
      : `${target.tls ? 'https' : 'http'}://${target.host}:${target.port}`
  }

  override destroy(): void {
    this.#closing.abort(new HttpClientError('connect', 'the client was closed'))
    super.destroy()
  }
}

// The pool calls these on what it keeps; a stream that is no socket (a port-forward without TLS) lacks them.
const socketCalls = ['setKeepAlive', 'setNoDelay', 'setTimeout', 'ref', 'unref'] as const

function asSocket(stream: Duplex): Duplex {
  const bare = stream as Duplex & { [call in (typeof socketCalls)[number]]?: () => unknown }
  for (const call of socketCalls) bare[call] ??= () => stream
  return stream
}

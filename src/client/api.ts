import type { Bytes } from '#ground/base/brand.ts'
import type { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { formatGoDuration } from '#ground/text/duration.ts'
import { isJsonObject, type Json, renderJson } from '#ground/text/json.ts'
import { type JsonLimits, parseJson } from '#ground/text/json-parse.ts'
import { defaultAddress, displayBase, parseAddress, type ServerAddress } from '#protocol/address.ts'
import { type Envelope, parseEnvelope } from '#protocol/envelope.ts'
import { headerNames, jsonType } from '#protocol/headers.ts'
import type { Duplex } from 'node:stream'
import type { Headers } from '#ground/http/message.ts'
import { textsOf } from '#protocol/members.ts'
import { ApiError, ConnectError } from './api-error.ts'
import type { TlsSettings } from './environment.ts'
import { HttpWire, type Route } from './http-wire.ts'
import { type Query, wirePath, wireQuery } from './path.ts'
import { isRetryableStatus, retryDelayMs } from './retry-policy.ts'
import type { Wire, WireAnswer, WireStream } from './wire.ts'

export type ApiRequest = {
  /** `GET`, `PUT`, `POST`, `PATCH`, `DELETE`; a list is GET with the query `list: true`, as the Go client sends it. */
  readonly method: string
  /** Logical path without `/v1/`: `secret/data/app`. */
  readonly path: string
  readonly query?: Query
  readonly body?: Json
  /** Ask for a wrapped answer; seconds, 0 = no. Beats the client's own. */
  readonly wrapTtlSeconds?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  /** ms for this request with all its tries; default the client's. */
  readonly timeoutMs?: number
}

export type ApiAnswer = {
  readonly status: number
  /** The body as a tree; null when there is none or it isn't JSON. Number literals are kept. */
  readonly json: Json
  readonly envelope: Envelope | null
  readonly headers: Headers
  readonly bytes: Bytes
}

export type ApiClientOptions = {
  /** `http(s)://`, `unix:///` or `kube://`; default https://127.0.0.1:8200. */
  readonly address?: string
  readonly token?: Secret | null
  readonly namespace?: string
  readonly tls?: TlsSettings
  /** ms for a request with all its tries; default 60,000. */
  readonly timeoutMs?: number
  /** Further tries after the first; default 2. */
  readonly maxRetries?: number
  readonly wrapTtlSeconds?: number
  readonly mfa?: readonly string[]
  readonly policyOverride?: boolean
  readonly disableRedirects?: boolean
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>
  readonly world: Pick<World, 'clock' | 'entropy' | 'signal'>
  /** The way into a cluster for a `kube://` address; default: by the user's kubeconfig. */
  readonly route?: (signal: AbortSignal) => Promise<Route>
  /** Opens connections; tests hand in their own. */
  readonly openWire?: (address: ServerAddress, tls: TlsSettings) => Wire
}

/** What differs between clients that share connections. */
export type ClientChange = Pick<ApiClientOptions, 'wrapTtlSeconds' | 'timeoutMs' | 'maxRetries' | 'namespace'> & {
  readonly token?: Secret | null
}

/** Answers may be larger than what a server takes: a list of a million keys is legal. */
export const answerLimits: JsonLimits = {
  depthMax: 500,
  stringBytesMax: 64 * 1024 * 1024,
  objectEntriesMax: 2_000_000,
  arrayElementsMax: 2_000_000,
  tokensMax: 10_000_000,
}

/** The one client of the Vault API. One value is one identity at one server; `with` makes another on the same connections. */
export interface ApiClient extends AsyncDisposable {
  readonly address: ServerAddress
  readonly token: Secret | null
  readonly namespace: string
  /** The wrapping that this client asks for by itself, seconds. */
  readonly wrapTtlSeconds: number
  /**
   * One request with retries, one redirect and a deadline.
   * @throws ApiError for a status that isn't 2xx or 3xx (but 429 of `sys/health`); a 404 that carries data or warnings
   * has them in `error.envelope`
   * @throws ConnectError when no answer came; Error `context deadline exceeded` after the deadline
   */
  request(request: ApiRequest): Promise<ApiAnswer>
  /**
   * One request whose bodies may be of any size: sent and read piece by piece, once, without redirects, retries or a
   * deadline but the signal.
   * @throws as `request`
   */
  transfer(
    request: Pick<ApiRequest, 'method' | 'path' | 'signal'> & { readonly body?: AsyncIterable<Bytes> },
  ): Promise<AsyncIterable<Bytes>>
  /** What `request` would send, for `-output-curl-string`: nothing is sent. */
  describe(request: ApiRequest): {
    readonly url: string
    readonly headers: readonly (readonly [string, string])[]
    readonly body: string | null
  }
  with(change: ClientChange): ApiClient
  /** A connection to the same server for an upgrade, and the headers it must carry. */
  dial(
    request: Pick<ApiRequest, 'path' | 'query'>,
    signal: AbortSignal,
  ): Promise<{
    readonly socket: Duplex
    readonly target: string
    readonly host: string
    readonly headers: readonly (readonly [string, string])[]
  }>
  /** Closes the connections that all clients made from this one share. */
  close(): Promise<void>
}

class Client implements ApiClient {
  readonly address: ServerAddress
  readonly #options: ApiClientOptions
  readonly #wire: Wire

  constructor(options: ApiClientOptions, address: ServerAddress, wire: Wire) {
    this.#options = options
    this.address = address
    this.#wire = wire
  }

  get token(): Secret | null {
    return this.#options.token ?? null
  }

  get namespace(): string {
    return this.#options.namespace ?? ''
  }

  get wrapTtlSeconds(): number {
    return this.#options.wrapTtlSeconds ?? 0
  }

  with(change: ClientChange): ApiClient {
    return new Client({ ...this.#options, ...change }, this.address, this.#wire)
  }

  close(): Promise<void> {
    return this.#wire.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  describe(request: ApiRequest): { url: string; headers: (readonly [string, string])[]; body: string | null } {
    return {
      url: displayBase(this.address) + this.#target(request),
      headers: this.#headers(request),
      body: request.body === undefined ? null : renderJson(request.body),
    }
  }

  async dial(
    asked: Pick<ApiRequest, 'path' | 'query'>,
    signal: AbortSignal,
  ): Promise<{ socket: Duplex; target: string; host: string; headers: (readonly [string, string])[] }> {
    const socket = await this.#wire.dial(signal)
    const request = { method: 'GET', ...asked }
    return { socket, target: this.#target(request), host: hostOf(this.address), headers: this.#headers(request) }
  }

  async request(request: ApiRequest): Promise<ApiAnswer> {
    const { clock, signal: ending } = this.#options.world
    const deadline = new AbortController()
    const timeoutMs = request.timeoutMs ?? this.#options.timeoutMs ?? 60_000
    const url = displayBase(this.address) + this.#target(request)
    using _ = clock.after(timeoutMs, () =>
      deadline.abort(new ConnectError(request.method, url, 'context deadline exceeded', { isRetryable: false })),
    )
    const signal = AbortSignal.any([deadline.signal, ending, ...(request.signal ? [request.signal] : [])])
    const answer = await this.#follow(request, url, signal)
    return this.#read(request, answer.url, answer.answer)
  }

  async transfer(
    request: Pick<ApiRequest, 'method' | 'path' | 'signal'> & { readonly body?: AsyncIterable<Bytes> },
  ): Promise<AsyncIterable<Bytes>> {
    const { method, path, body = null } = request
    const target = this.#target({ method, path })
    const url = displayBase(this.address) + target
    const signal = AbortSignal.any([this.#options.world.signal, ...(request.signal ? [request.signal] : [])])
    let answer: WireStream
    try {
      answer = await this.#wire.stream({ method, target, headers: this.#headers({ method, path }), body, signal })
    } catch (error) {
      throw error instanceof ConnectError ? error.of(method, url) : error
    }
    if (answer.status >= 200 && answer.status < 300) return answer.chunks
    const bytes = await gathered(answer.chunks, refusalBytesMax)
    this.#read({ method, path }, url, { ...answer, body: bytes })
    throw new Error(`${url} answered with status ${answer.status}`)
  }

  async #follow(request: ApiRequest, url: string, signal: AbortSignal): Promise<{ url: string; answer: WireAnswer }> {
    const answer = await this.#try(this.#wire, this.#target(request), request, url, signal)
    const location = answer.headers.get(headerNames.location)
    if (![301, 302, 307].includes(answer.status) || this.#options.disableRedirects || location === undefined) {
      return { url, answer }
    }
    const next = new URL(location, url.startsWith('http') ? url : 'http://localhost')
    if (url.startsWith('https:') && next.protocol !== 'https:') {
      throw new ConnectError(request.method, url, 'redirect would cause protocol downgrade', { isRetryable: false })
    }
    const target = next.pathname + next.search
    // A socket or a tunnel leads to one server only; what it names may not be reachable from here.
    if (this.address.kind !== 'tcp' || next.origin === new URL(this.address.text).origin) {
      return { url: next.href, answer: await this.#try(this.#wire, target, request, next.href, signal) }
    }
    const wire = open(this.#options)(parseAddress(next.origin), this.#options.tls ?? {})
    try {
      return { url: next.href, answer: await this.#try(wire, target, request, next.href, signal) }
    } finally {
      await wire.close()
    }
  }

  async #try(wire: Wire, target: string, request: ApiRequest, url: string, signal: AbortSignal): Promise<WireAnswer> {
    const { clock, entropy } = this.#options.world
    const triesMax = 1 + (this.#options.maxRetries ?? 2)
    const headers = this.#headers(request)
    const body = request.body === undefined ? null : renderJson(request.body)
    for (let failures = 0; ; ) {
      let answer: WireAnswer | null = null
      try {
        signal.throwIfAborted()
        answer = await wire.send({ method: request.method, target, headers, body, signal })
        if (!isRetryableStatus(answer.status) || isHealthStatus(answer.status, request.path)) return answer
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof ConnectError) || !error.isRetryable || failures + 1 >= triesMax) {
          throw error instanceof ConnectError ? error.of(request.method, url) : error
        }
      }
      failures++
      if (answer && failures >= triesMax) return answer
      const retryAfter = answer?.headers.get(headerNames.retryAfter)
      await clock.sleep(retryDelayMs(entropy, failures, answer?.status ?? 0, retryAfter), signal)
    }
  }

  #read(request: ApiRequest, url: string, answer: WireAnswer): ApiAnswer {
    const { status, headers, body } = answer
    const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
    const json = parseOrNull(text)
    const isFine = (status >= 200 && status < 400) || isHealthStatus(status, request.path)
    if (isFine) return { status, json: json ?? null, envelope: parseEnvelope(json ?? null), headers, bytes: body }
    throw errorOf({ request, url, status, text, json, headers })
  }

  #target(request: ApiRequest): string {
    const base = this.address.kind === 'tcp' ? this.address.basePath : ''
    return wirePath(base, request.path) + wireQuery(request.query ?? {})
  }

  #headers(request: ApiRequest): (readonly [string, string])[] {
    const { token, namespace, mfa, policyOverride } = this.#options
    const wrapTtl = request.wrapTtlSeconds ?? (this.wrapTtlSeconds || ownWrapTtl(request))
    const out: (readonly [string, string])[] = [['X-Vault-Request', 'true']]
    if (token) out.push(['X-Vault-Token', printable(token.reveal('client request header'))])
    if (namespace) out.push(['X-Vault-Namespace', namespace.endsWith('/') ? namespace : `${namespace}/`])
    if (wrapTtl > 0) out.push(['X-Vault-Wrap-TTL', formatGoDuration(wrapTtl)])
    for (const value of mfa ?? []) out.push(['X-Vault-MFA', value])
    if (policyOverride) out.push(['X-Vault-Policy-Override', 'true'])
    if (request.body !== undefined && !hasHeader(request.headers, headerNames.contentType)) {
      out.push(['Content-Type', jsonType])
    }
    out.push(...Object.entries({ ...this.#options.headers, ...request.headers }))
    return out
  }
}

// What is sent to be wrapped is wrapped for five minutes unless somebody says otherwise, as by the Go client.
function ownWrapTtl({ method, path }: ApiRequest): number {
  return (method === 'PUT' || method === 'POST') && path.replace(/^\/+/, '') === 'sys/wrapping/wrap' ? 300 : 0
}

// Only the status of a standby's health is told by 429; elsewhere it is a quota.
function isHealthStatus(status: number, path: string): boolean {
  return status === 429 && path.replace(/^\/+/, '') === 'sys/health'
}

function hasHeader(headers: Readonly<Record<string, string>> | undefined, name: string): boolean {
  return Object.keys(headers ?? {}).some(key => key.toLowerCase() === name)
}

function printable(token: string): string {
  if (/^[\x20-\x7e]*$/.test(token)) return token
  throw new RangeError('configured Vault token contains non-printable characters and cannot be used')
}

function parseOrNull(text: string): Json | undefined {
  if (text.trim() === '') return undefined
  try {
    return parseJson(text, { limits: answerLimits, isTrailingIgnored: true })
  } catch {
    return undefined
  }
}

type Refusal = {
  readonly request: ApiRequest
  readonly url: string
  readonly status: number
  readonly text: string
  readonly json: Json | undefined
  readonly headers: Headers
}

function errorOf({ request, url, status, text, json, headers }: Refusal): ApiError {
  const sent = isJsonObject(json) ? textsOf(json, 'errors') : null
  const envelope = status === 404 ? parseEnvelope(json ?? null) : null
  return new ApiError({
    status,
    method: request.method,
    url,
    namespace: headers.get(headerNames.namespace),
    requestId: headers.get(headerNames.requestId),
    ...(json === undefined ? { errors: [text], isRaw: true } : { errors: sent ?? [] }),
    envelope: envelope && (envelope.data || envelope.warnings.length > 0) ? envelope : null,
  })
}

function hostOf(address: ServerAddress): string {
  if (address.kind === 'tcp') return new URL(address.text).host
  return address.kind === 'unix' ? 'localhost' : `${address.service}.${address.namespace}.svc`
}

function open(options: ApiClientOptions): (address: ServerAddress, tls: TlsSettings) => Wire {
  const { clock } = options.world
  const none = (): Promise<Route> => {
    throw new ConnectError('', '', 'kube:// addresses are not available here', { isRetryable: false })
  }
  return (
    options.openWire ??
    ((address, tls) => new HttpWire(clock, address, tls, async signal => (options.route ?? none)(signal)))
  )
}

/**
 * A client of the server at `address`. Nothing is connected before the first request.
 * @throws AddressError
 */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const address = parseAddress(options.address ?? defaultAddress)
  return new Client(options, address, open(options)(address, options.tls ?? {}))
}

const refusalBytesMax = 1 << 20

async function gathered(chunks: AsyncIterable<Bytes>, bytesMax: number): Promise<Bytes> {
  const pieces: Bytes[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > bytesMax) break
    pieces.push(chunk)
  }
  return Buffer.concat(pieces)
}

import type { Duplex } from 'node:stream'
import type { Clock } from '#ground/base/clock.ts'
import { createHttpClient, type HttpClient, type HttpClientRequest } from '#ground/http/client.ts'
import { type Connect, HttpClientError } from '#ground/http/dial.ts'
import type { ServerAddress } from '#protocol/address.ts'
import { ConnectError } from './api-error.ts'
import type { TlsSettings } from './environment.ts'
import { clientTls } from './tls.ts'
import type { Wire, WireAnswer, WireRequest, WireStream } from './wire.ts'

/** How to reach a service in a cluster: streams to one of its pods, and how its port speaks. */
export type Route = { readonly base: string; readonly serverName: string; readonly connect: Connect }

const answerBytesMax = 64 * 1024 * 1024

type Opened = { readonly http: HttpClient; readonly url: (target: string) => HttpClientRequest['url'] }

/** Connections over TCP, TLS, a unix socket or into a cluster. Nothing is opened or read before the first request. */
export class HttpWire implements Wire {
  readonly #clock: Clock
  readonly #address: ServerAddress
  readonly #settings: TlsSettings
  readonly #route: (signal: AbortSignal) => Promise<Route>
  #opened: Promise<Opened> | null = null

  /** @param route asked once, for `kube` addresses */
  constructor(
    clock: Clock,
    address: ServerAddress,
    settings: TlsSettings,
    route: (signal: AbortSignal) => Promise<Route>,
  ) {
    this.#clock = clock
    this.#address = address
    this.#settings = settings
    this.#route = route
  }

  async send(request: WireRequest): Promise<WireAnswer> {
    const { method, headers, body, signal } = request
    try {
      const { http, url } = await this.#open(signal)
      const target = url(request.target)
      return await http.request({ method, url: target, headers, body, signal, responseBytesMax: answerBytesMax })
    } catch (error) {
      signal.throwIfAborted()
      throw connectError(error, this.#address)
    }
  }

  async stream(request: Parameters<Wire['stream']>[0]): Promise<WireStream> {
    const { method, headers, body, signal } = request
    try {
      const { http, url } = await this.#open(signal)
      return await http.stream({ method, url: url(request.target), headers, body, signal })
    } catch (error) {
      signal.throwIfAborted()
      throw connectError(error, this.#address)
    }
  }

  async dial(signal: AbortSignal): Promise<Duplex> {
    try {
      const { http, url } = await this.#open(signal)
      return await http.dial(url('/'), signal)
    } catch (error) {
      signal.throwIfAborted()
      throw connectError(error, this.#address)
    }
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = null
    const { http } = (await opened?.catch(() => null)) ?? {}
    http?.close()
  }

  #open(signal: AbortSignal): Promise<Opened> {
    this.#opened ??= this.#make(signal).catch((error: unknown) => {
      this.#opened = null
      throw error
    })
    return this.#opened
  }

  async #make(signal: AbortSignal): Promise<Opened> {
    const address = this.#address
    const clock = this.#clock
    if (address.kind === 'unix') {
      return { http: createHttpClient({ clock }), url: path => ({ socketPath: address.path, path }) }
    }
    if (address.kind === 'tcp') {
      const { origin } = new URL(address.text)
      const tls = address.isTls ? { tls: clientTls(this.#settings) } : {}
      return { http: createHttpClient({ clock, ...tls }), url: target => origin + target }
    }
    const { base, serverName, connect } = await this.#route(signal)
    const tls = base.startsWith('https:') ? { tls: { serverName, ...clientTls(this.#settings) } } : {}
    return { http: createHttpClient({ clock, connect, ...tls }), url: target => base + target }
  }
}

function connectError(error: unknown, address: ServerAddress): unknown {
  if (!(error instanceof HttpClientError)) return error
  const cause = error.cause instanceof Error ? error.cause : error
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : ''
  const isCertificate = /CERT|^ERR_TLS|EPROTO|SELF_SIGNED|UNABLE_TO|WRONG_VERSION/.test(code)
  const isRetryable = error.code !== 'too-large' && !isCertificate
  return new ConnectError('', '', explain(code, cause, address), { isRetryable, cause: error })
}

// The words of the Go client, which operators search for.
function explain(code: string, error: Error, address: ServerAddress): string {
  const network = address.kind === 'unix' ? 'unix' : 'tcp'
  const where = address.kind === 'unix' ? address.path : address.kind === 'tcp' ? `${address.host}:${address.port}` : ''
  const untrusted = 'tls: failed to verify certificate: x509:'
  switch (code) {
    case 'ECONNREFUSED':
      return `dial ${network} ${where}: connect: connection refused`
    case 'ENOENT':
      return `dial ${network} ${where}: connect: no such file or directory`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `dial tcp: lookup ${address.kind === 'tcp' ? address.host : where}: no such host`
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return 'http: server gave HTTP response to HTTPS client'
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return `${untrusted} certificate signed by unknown authority (name its CA by -ca-cert or VAULT_CACERT)`
    case 'CERT_HAS_EXPIRED':
      return `${untrusted} certificate has expired or is not yet valid`
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `${untrusted} ${error.message}`
    default:
      return error.message
  }
}

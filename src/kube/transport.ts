import type { Duplex } from 'node:stream'
import type { Clock } from '#ground/base/clock.ts'
import { createHttpClient, type HttpClient, type HttpClientStream } from '#ground/http/client.ts'
import type { KubeConfig } from './config.ts'
import type { Credential } from './credentials.ts'

export type TransportRequest = {
  readonly method: string
  /** Path and query, encoded; the server's own path is put before it. */
  readonly path: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string | null
  readonly signal: AbortSignal
}

/**
 * Connections to one API server. A changed CA or client certificate starts new ones; the old ones end with the change
 * after it, so that what runs on them (a watch, five minutes at most) comes to its end.
 */
export class Transport {
  readonly #config: KubeConfig
  readonly #clock: Clock
  #current: HttpClient | null = null
  #before: HttpClient | null = null
  #madeFor: Credential | null = null

  constructor(config: KubeConfig, clock: Clock) {
    this.#config = config
    this.#clock = clock
  }

  /** @throws HttpClientError, or the signal's reason */
  send(credential: Credential, request: TransportRequest): Promise<HttpClientStream> {
    const { path, ...rest } = request
    return this.#clientFor(credential).stream({ ...rest, url: this.#config.server + path })
  }

  /** A connection for a protocol of its own (WebSocket). @throws HttpClientError, or the signal's reason */
  dial(credential: Credential, signal: AbortSignal): Promise<Duplex> {
    return this.#clientFor(credential).dial(this.#config.server, signal)
  }

  close(): void {
    this.#before?.close()
    this.#current?.close()
  }

  #clientFor(credential: Credential): HttpClient {
    const { ca, certificate } = credential
    const last = this.#madeFor
    const isSame = last?.ca === ca && last.certificate?.certificate === certificate?.certificate
    if (this.#current && isSame) return this.#current
    const { serverName, isInsecure } = this.#config
    this.#before?.close()
    this.#before = this.#current
    this.#madeFor = credential
    this.#current = createHttpClient({
      clock: this.#clock,
      // Each watch has one.
      connectionsMax: 256,
      // The API server closes an idle connection after 90 s; we do it first, so that no request meets a closing one.
      idleTimeoutMs: 30_000,
      tls: {
        ...(ca === null ? {} : { ca }),
        ...(certificate ? { certificate: certificate.certificate, key: certificate.key } : {}),
        ...(serverName === null ? {} : { serverName }),
        rejectUnauthorized: !isInsecure,
      },
    })
    return this.#current
  }
}

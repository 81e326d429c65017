import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import type { KubeConfig } from './config.ts'
import type { Credential } from './credentials.ts'

export type TransportRequest = {
  readonly method: string
  /** Path and query, encoded; the server's own path is put before it. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: string | null
  readonly signal: AbortSignal
}

export type TransportResponse = {
  readonly status: number
  header(name: string): string | undefined
  readonly body: AsyncIterable<Uint8Array>
}

/** TLS options that node:tls takes, for one identity. */
export type TlsIdentity = {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
  readonly rejectUnauthorized: boolean
  readonly minVersion: 'TLSv1.2'
}

/** Kept connections to one API server; a changed CA or client certificate starts new ones. */
export interface Transport {
  send(credential: Credential, request: TransportRequest): Promise<TransportResponse>
  close(): void
}

const connectionsMax = 64
/** The API server closes idle connections after 90 s; we do it first, so that no request meets a closing one. */
const idleMs = 30_000

export function tlsIdentity(config: KubeConfig, credential: Credential): TlsIdentity {
  return {
    ...(credential.ca === null ? {} : { ca: credential.ca }),
    ...(credential.certificate
      ? { cert: credential.certificate.certificate, key: credential.certificate.key.reveal('TLS client certificate') }
      : {}),
    ...(config.serverName === null ? {} : { servername: config.serverName }),
    rejectUnauthorized: !config.isInsecure,
    minVersion: 'TLSv1.2',
  }
}

export function createTransport(config: KubeConfig): Transport {
  return new NodeTransport(config)
}

class NodeTransport implements Transport {
  readonly #config: KubeConfig
  readonly #url: URL
  #agent: PlainAgent | TlsAgent | null = null
  #madeFor: Credential | null = null

  constructor(config: KubeConfig) {
    this.#config = config
    this.#url = new URL(config.server)
  }

  send(credential: Credential, request: TransportRequest): Promise<TransportResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<TransportResponse>()
    const start = this.#url.protocol === 'https:' ? tlsRequest : plainRequest
    const outgoing = start({
      agent: this.#agentFor(credential),
      host: this.#url.hostname.replace(/^\[|\]$/g, ''),
      port: this.#url.port || (this.#url.protocol === 'https:' ? 443 : 80),
      method: request.method,
      path: `${this.#url.pathname.replace(/\/$/, '')}${request.path}`,
      headers: { ...request.headers } as Record<string, string | string[]>,
      signal: request.signal,
    })
    outgoing.on('error', reject)
    outgoing.on('response', (incoming: IncomingMessage) => {
      resolve({
        status: incoming.statusCode ?? 0,
        header: name => {
          const value = incoming.headers[name]
          return Array.isArray(value) ? value[0] : value
        },
        body: incoming,
      })
    })
    outgoing.end(request.body ?? undefined)
    return promise
  }

  close(): void {
    this.#agent?.destroy()
  }

  #agentFor(credential: Credential): PlainAgent | TlsAgent {
    const last = this.#madeFor
    const isSame = last?.ca === credential.ca && last.certificate?.certificate === credential.certificate?.certificate
    if (this.#agent && isSame) return this.#agent
    const options = { keepAlive: true, maxSockets: connectionsMax, timeout: idleMs }
    this.#agent =
      this.#url.protocol === 'https:'
        ? new TlsAgent({ ...options, ...tlsIdentity(this.#config, credential) })
        : new PlainAgent(options)
    this.#madeFor = credential
    return this.#agent
  }
}

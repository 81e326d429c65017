import { Agent, type AgentOptions, type IncomingMessage, request as plainRequest } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as tlsConnect } from 'node:tls'
import type { Bytes } from '#ground/base/brand.ts'
import { headersOf } from '#ground/http/headers.ts'
import type { ServerAddress } from '#protocol/address.ts'
import { ConnectError } from './api-error.ts'
import type { TlsSettings } from './environment.ts'
import { type TlsClientOptions, tlsClientOptions } from './tls.ts'
import type { Wire, WireAnswer, WireRequest } from './wire.ts'

/** Opens a stream to the server's port instead of dialling its host: how `kube://` goes through the API server. */
export type Dial = () => Promise<{ readonly stream: Duplex; readonly isTls: boolean; readonly serverName: string }>

const connectionsMax = 64
const answerBytesMax = 64 * 1024 * 1024
// Servers close idle connections after five minutes; doing it first means that no request meets a closing one.
const idleMs = 60_000
const agentOptions: AgentOptions = { keepAlive: true, maxSockets: connectionsMax, maxFreeSockets: 4, timeout: idleMs }

/** Connections over TCP, TLS or a unix socket. Nothing is opened before the first request. */
export class HttpWire implements Wire {
  readonly #address: ServerAddress
  readonly #settings: TlsSettings
  readonly #dial: Dial | null
  #agent: Agent | TlsAgent | null = null
  #tls: TlsClientOptions | null = null

  constructor(address: ServerAddress, settings: TlsSettings, dial: Dial | null = null) {
    this.#address = address
    this.#settings = settings
    this.#dial = dial
  }

  async send(request: WireRequest): Promise<WireAnswer> {
    const body = typeof request.body === 'string' ? Buffer.from(request.body) : request.body
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const outgoing = this.#start(request, body)
    outgoing.on('response', resolve)
    outgoing.on('error', error => reject(request.signal.aborted ? request.signal.reason : this.#failure(error)))
    outgoing.end(body ?? undefined)
    const response = await promise
    try {
      const bytes = await collect(response)
      const pairs = response.rawHeaders
      const headers = headersOf(pairs.flatMap((name, i) => (i % 2 === 0 ? [[name, pairs[i + 1] ?? ''] as const] : [])))
      return { status: response.statusCode ?? 0, headers, body: bytes }
    } catch (error) {
      request.signal.throwIfAborted()
      throw this.#failure(error as Error)
    }
  }

  async dial(signal: AbortSignal): Promise<Duplex> {
    signal.throwIfAborted()
    try {
      if (this.#dial) return await secured(this.#dial, this.#options())
      const address = this.#address
      if (address.kind === 'unix') return await opened(connect(address.path), 'connect', signal)
      if (address.kind === 'kube') throw new ConnectError('', '', 'no way into the cluster', { isRetryable: false })
      if (!address.isTls) return await opened(connect(address.port, address.host), 'connect', signal)
      const options = { ...this.#options(), host: address.host, port: address.port, ALPNProtocols: ['http/1.1'] }
      return await opened(tlsConnect(options), 'secureConnect', signal)
    } catch (error) {
      signal.throwIfAborted()
      throw this.#failure(error as Error)
    }
  }

  close(): Promise<void> {
    this.#agent?.destroy()
    this.#agent = null
    return Promise.resolve()
  }

  #start(request: WireRequest, body: Bytes | null) {
    const length = body === null ? [] : [['Content-Length', String(body.byteLength)] as const]
    const headers = [...request.headers, ...length].flat()
    const common = { method: request.method, path: request.target, signal: request.signal, agent: this.#pool() }
    const address = this.#address
    switch (address.kind) {
      case 'unix':
        return plainRequest({ ...common, socketPath: address.path, headers: ['Host', 'localhost', ...headers] })
      case 'kube':
        return plainRequest({ ...common, host: address.service, headers: ['Host', address.service, ...headers] })
      case 'tcp': {
        const start = address.isTls ? tlsRequest : plainRequest
        const host = new URL(address.text).host
        return start({ ...common, host: address.host, port: address.port, headers: ['Host', host, ...headers] })
      }
    }
  }

  #pool(): Agent | TlsAgent {
    if (this.#agent) return this.#agent
    const dial = this.#dial
    if (dial) this.#agent = new DialAgent(() => secured(dial, this.#options()))
    else if (this.#address.kind === 'tcp' && this.#address.isTls) {
      this.#agent = new TlsAgent({ ...agentOptions, ...this.#options(), ALPNProtocols: ['http/1.1'] })
    } else this.#agent = new Agent(agentOptions)
    return this.#agent
  }

  #options(): TlsClientOptions {
    this.#tls ??= tlsClientOptions(this.#settings)
    return this.#tls
  }

  #failure(error: Error): Error {
    if (error instanceof ConnectError) return error
    const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
    return new ConnectError('', '', explain(code, error, this.#address), {
      isRetryable: !/CERT|^ERR_TLS|^ERR_INVALID|^ERR_HTTP|EPROTO|SELF_SIGNED|UNABLE_TO/.test(code),
      cause: error,
    })
  }
}

class DialAgent extends Agent {
  readonly #dial: () => Promise<Duplex>

  constructor(dial: () => Promise<Duplex>) {
    super(agentOptions)
    this.#dial = dial
  }

  override createConnection(_: unknown, done?: (error: Error | null, stream: Duplex) => void): undefined {
    this.#dial().then(
      stream => done?.(null, stream),
      (error: unknown) => done?.(error as Error, undefined as unknown as Duplex),
    )
  }
}

async function secured(dial: Dial, options: TlsClientOptions): Promise<Duplex> {
  const { stream, isTls, serverName } = await dial()
  if (!isTls) return stream
  const socket = tlsConnect({ servername: serverName, ...options, socket: stream, ALPNProtocols: ['http/1.1'] })
  return opened(socket, 'secureConnect', new AbortController().signal)
}

function opened(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      socket.destroy()
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', abort, { once: true })
    socket.once(event, () => {
      signal.removeEventListener('abort', abort)
      socket.off('error', reject)
      resolve(socket)
    })
    socket.once('error', reject)
  })
}

async function collect(response: IncomingMessage): Promise<Bytes> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > answerBytesMax) {
      response.destroy()
      throw new ConnectError('', '', `the answer is larger than ${answerBytesMax} bytes`, { isRetryable: false })
    }
    chunks.push(chunk)
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
}

// The words of the Go client, which operators search for.
function explain(code: string, error: Error, address: ServerAddress): string {
  const network = address.kind === 'unix' ? 'unix' : 'tcp'
  const where = address.kind === 'unix' ? address.path : address.kind === 'tcp' ? `${address.host}:${address.port}` : ''
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
    case 'ECONNRESET':
      return 'EOF'
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return 'tls: failed to verify certificate: x509: certificate signed by unknown authority'
    case 'CERT_HAS_EXPIRED':
      return 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid'
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `tls: failed to verify certificate: x509: ${error.message}`
    default:
      return error.message
  }
}

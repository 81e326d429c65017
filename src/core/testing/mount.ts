import { seconds } from '#ground/base/clock.ts'
import { createLog, type Log, silentLog } from '#ground/base/log.ts'
import { Metrics } from '#ground/base/metrics.ts'
import { simWorld } from '#ground/base/world.ts'
import { headersOf } from '#ground/http/headers.ts'
import { type Body, BodyError, type HttpRequest, type HttpResponse } from '#ground/http/message.ts'
import { type Json, renderJson } from '#ground/text/json.ts'
import type { AnyEngine } from '#backend/engine.ts'
import { AuditBlocked } from '#core/audit/broker.ts'
import { noLockoutSettings } from '#core/lockout/rule.ts'
import { auditFailedResponse, type NodeOptions, ServerNode } from '#core/node/node.ts'
import { noTelemetry } from '#core/node/telemetry.ts'
import { staticSeal } from '#core/seal/static.ts'
import { MemoryMedium, openMemoryStore } from '#stores/memory/memory.ts'
import type { Store } from '#stores/store.ts'

/** An answer as a client would see it; `body` is parsed, null where there is none. */
export type TestAnswer = {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  /** The body as it goes over the wire: numbers keep their form there. */
  readonly text: string
  readonly body: Json
  /** `data` of the envelope, null where there is none. */
  readonly data: Json
  /** `errors`, empty where there are none. */
  readonly errors: readonly string[]
}

export type TestAsk = {
  /** `RawJson` is sent as it is: number literals, forms, what is broken. */
  readonly body?: Json
  /** Instead of `body`: as it is. */
  readonly text?: string
  /** Default: the root token; null sends none. */
  readonly token?: string | null
  readonly headers?: Readonly<Record<string, string>>
  /** Where the client is. */
  readonly address?: string
  /** Over TLS, with this chain (DER, leaf first; may be empty). Default: no TLS. */
  readonly certificates?: readonly Uint8Array[]
}

export type TestServerOptions = {
  readonly catalog: readonly AnyEngine[]
  readonly services?: Readonly<Record<string, unknown>>
  readonly settings?: Partial<NodeOptions['settings']>
  readonly seed?: number
  /** Wall time of the beginning, ms: now, for tests whose outside has a clock of its own. */
  readonly start?: number
  /** Default: `static`, initialised and unsealed at `start`. With `shamir` the tests do both. */
  readonly seal?: 'static' | 'shamir'
  /** Opens the store over what is kept; default: the memory store. Called again by `restart`. */
  readonly store?: (medium: MemoryMedium) => Store
  /** Gets each log line. */
  readonly log?: (line: string) => void
}

const settings: NodeOptions['settings'] = {
  requestBytesMax: 32 << 20,
  requestSecondsMax: 90,
  defaultLeaseTtl: seconds(2_764_800),
  maxLeaseTtl: seconds(2_764_800),
  lockout: noLockoutSettings,
  cacheBytes: 16 << 20,
  audits: [],
  auditDirectory: null,
  clusterName: null,
  telemetry: { ...noTelemetry, retentionMs: 86_400_000 },
}

/**
 * The whole server but its listeners: initialised, unsealed, over the memory store and under virtual time. Tests of
 * engines and methods ask it as a client would; `world.clock` moves the time.
 */
export class TestServer {
  readonly world: ReturnType<typeof simWorld>
  readonly #options: TestServerOptions
  readonly #medium = new MemoryMedium()
  readonly #ending = new AbortController()
  #node: ServerNode
  rootToken = ''
  #policies = 0

  constructor(options: TestServerOptions) {
    this.#options = options
    this.world = simWorld({
      seed: options.seed ?? 1,
      ...(options.start !== undefined && { start: options.start }),
      log: this.#log(),
      signal: this.#ending.signal,
    })
    this.#node = this.#make()
  }

  get node(): ServerNode {
    return this.#node
  }

  get house(): NonNullable<ServerNode['house']> {
    return this.#node.house!
  }

  async start(): Promise<void> {
    await this.#node.start()
    if (this.#node.state !== 'uninitialised' || this.#options.seal === 'shamir') return
    const none = { secretShares: 0, secretThreshold: 0, recoveryShares: 0, recoveryThreshold: 0 }
    this.rootToken = (await this.#node.init({ ...none, sent: new Set() })).rootToken
  }

  /** Everything in memory is gone, everything acknowledged is there. */
  async restart(): Promise<void> {
    await this.#node.stop()
    this.#node = this.#make()
    await this.start()
  }

  /** @param path below `/v1/`, with its query if it has one. */
  async ask(method: string, path: string, ask: TestAsk = {}): Promise<TestAnswer> {
    const answer = await this.#node.handler(this.#request(method, path, ask))
    if (!('body' in answer)) throw new Error(`${method} ${path} answered with an upgrade`)
    return readAnswer(this.#audited() ? answer : auditFailedResponse())
  }

  /** What the HTTP front does before it writes the answers of a tick. */
  #audited(): boolean {
    try {
      this.#node.house?.audit.flush()
      return true
    } catch (error) {
      if (error instanceof AuditBlocked) return false
      throw error
    }
  }

  /**
   * A token of a policy that holds these rules (HCL), made by the root token.
   * @param more of the body of `auth/token/create`; its `policies` replace the policy.
   */
  async tokenWith(rules: string, more: Readonly<Record<string, Json>> = {}): Promise<string> {
    const name = `test-${this.#policies++}`
    const written = await this.ask('PUT', `sys/policies/acl/${name}`, { body: { policy: rules } })
    if (written.status !== 204) throw new Error(written.errors.join('; '))
    const made = await this.ask('POST', 'auth/token/create', { body: { policies: [name], ...more } })
    if (made.status !== 200) throw new Error(made.errors.join('; '))
    return (made.body as { auth: { client_token: string } }).auth.client_token
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    await this.#node.stop()
  }

  #log(): Log {
    const { log } = this.#options
    if (log === undefined) return silentLog
    return createLog({ level: 'trace', format: 'json', write: log, now: () => this.world.clock.now() })
  }

  #make(): ServerNode {
    const { catalog, services = {}, store } = this.#options
    const key = new Uint8Array(32).fill(7)
    return new ServerNode({
      world: this.world,
      store: store?.(this.#medium) ?? openMemoryStore({ medium: this.#medium }),
      settings: { ...settings, ...this.#options.settings },
      autoSeal:
        this.#options.seal === 'shamir'
          ? null
          : staticSeal({ current: { id: 'test', key }, previous: null, entropy: this.world.entropy }),
      catalog,
      services,
      metrics: new Metrics(this.world.clock),
      bareMetrics: () => [],
      pages: () => null,
      onFatal: () => undefined,
    })
  }

  #request(method: string, path: string, ask: TestAsk): HttpRequest {
    const { token, headers = {}, address = '192.0.2.7', certificates } = ask
    const tls =
      certificates === undefined ? null : { version: 'TLSv1.3', certificates, isAuthorized: false, serverName: null }
    const [way = '', query = ''] = path.split('?')
    const sent = token === undefined ? this.rootToken : token
    return {
      method,
      path: `/v1/${way}`,
      query,
      headers: headersOf(
        Object.entries({ ...(sent !== null && { 'x-vault-token': sent }), ...headers }).map(
          ([name, value]) => [name.toLowerCase(), value] as const,
        ),
      ),
      body: bodyOf(ask.text ?? (ask.body === undefined ? '' : renderJson(ask.body))),
      peer: { transport: 'tcp', address, port: 4711, tls },
      signal: this.#ending.signal,
    }
  }
}

function bodyOf(text: string): Body {
  const bytes = new TextEncoder().encode(text)
  return {
    length: bytes.length,
    bytes(bytesMax) {
      if (bytes.length > bytesMax) throw new BodyError('too-large', 'too large')
      return bytes
    },
    async *stream() {
      yield bytes
    },
  }
}

function readAnswer({ status, headers, body }: HttpResponse): TestAnswer {
  if (body !== null && typeof body !== 'string' && !(body instanceof Uint8Array)) throw new Error('the answer streams')
  const text = body === null ? '' : typeof body === 'string' ? body : new TextDecoder().decode(body)
  const named = new Map(headers.map(([name, value]) => [name.toLowerCase(), value]))
  const isJson = named.get('content-type')?.startsWith('application/json') ?? false
  const parsed = text === '' ? null : isJson ? (JSON.parse(text) as Json) : text
  const members = (parsed ?? {}) as { data?: Json; errors?: string[] }
  return { status, headers: named, text, body: parsed, data: members.data ?? null, errors: members.errors ?? [] }
}

/** A server of these engines, started. */
export async function openTestServer(options: TestServerOptions): Promise<TestServer> {
  const server = new TestServer(options)
  await server.start()
  return server
}

/** A server with one engine, mounted: `path` ends in `/`, and for an auth method doesn't begin with `auth/`. */
export async function openTestMount(
  engine: AnyEngine,
  { path = `${engine.type}/`, options, ...rest }: Omit<TestServerOptions, 'catalog'> & TestMountOptions = {},
): Promise<TestServer> {
  const server = await openTestServer({ ...rest, catalog: [engine, ...(rest.others ?? [])] })
  const where = engine.kind === 'auth' ? 'sys/auth' : 'sys/mounts'
  const body = { type: engine.type, ...(options && { options: { ...options } }) }
  const { status, errors } = await server.ask('POST', `${where}/${path.slice(0, -1)}`, { body })
  if (status !== 204) throw new Error(`${engine.type} can not be mounted: ${errors.join('; ')}`)
  return server
}

export type TestMountOptions = {
  readonly path?: string
  readonly options?: Readonly<Record<string, string>>
  /** More engines and methods that can be mounted. */
  readonly others?: readonly AnyEngine[]
}

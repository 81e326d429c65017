import type { Duplex } from 'node:stream'
import { backoffMs } from '#ground/base/retry.ts'
import type { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import type { HttpClientStream } from '#ground/http/client.ts'
import { HttpClientError } from '#ground/http/dial.ts'
import type { KubeConfig } from './config.ts'
import { type Credential, type CredentialSource, credentialsOf } from './credentials.ts'
import { Deadline } from './deadline.ts'
import { errorOfAnswer, KubeError } from './errors.ts'
import { Transport } from './transport.ts'

export type CallerOptions = {
  readonly config: KubeConfig
  readonly world: World
  /** For exec plugins. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly isInteractive?: boolean
  /** Default `coffer`. */
  readonly userAgent?: string
  /** For a whole call with its repetitions, ms; default 30,000. */
  readonly deadlineMs?: number
  /** What carries the calls; default: connections to the server of the configuration. */
  readonly transport?: Pick<Transport, 'send' | 'dial' | 'close'>
}

export type RawCall = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Path and query, encoded. */
  readonly path: string
  readonly body?: string
  readonly contentType?: string
  readonly accept?: string
  /** Doing it twice is as good as once: it is repeated after a lost connection or a 5xx. Default: only GET is so. */
  readonly isRepeatable?: boolean
  /** Instead of our own credential. */
  readonly bearer?: Secret
  readonly signal?: AbortSignal
  readonly deadlineMs?: number
  /** Default 64 MiB. */
  readonly answerBytesMax?: number
}

export type HeaderPairs = readonly (readonly [name: string, value: string])[]

const attemptsMax = 5
const waits = { waitMs: 100, waitMsMax: 5_000 } as const
/** A server that asks for more than this isn't waited for. */
const retryAfterMsMax = 20_000
const errorBytesMax = 1024 * 1024
const answerBytesMax = 64 * 1024 * 1024
const defaultDeadlineMs = 30_000

/** Sends calls: credential, deadline, repetition, errors. What a call means is the client's business. */
export class Caller {
  readonly config: KubeConfig
  readonly world: World
  readonly credentials: CredentialSource
  readonly #transport: Pick<Transport, 'send' | 'dial' | 'close'>
  readonly #userAgent: string
  readonly #deadlineMs: number
  readonly #closed = new AbortController()

  constructor(options: CallerOptions) {
    this.config = options.config
    this.world = options.world
    this.#userAgent = options.userAgent ?? 'coffer'
    this.#deadlineMs = options.deadlineMs ?? defaultDeadlineMs
    this.#transport = options.transport ?? new Transport(options.config, options.world.clock)
    this.credentials = credentialsOf(options.config, {
      clock: options.world.clock,
      signal: this.#closed.signal,
      ...(options.env ? { env: options.env } : {}),
      ...(options.isInteractive === undefined ? {} : { isInteractive: options.isInteractive }),
    })
  }

  /**
   * One call, its answer as text.
   * @throws KubeError for any answer but 2xx and for none; KubeConfigError when there is no credential; the signal's
   * reason when the caller gave up.
   */
  async text(call: RawCall): Promise<string> {
    const operation = operationOf(call)
    using deadline = this.#deadline(call)
    const response = await this.#attempts(call, operation, deadline)
    try {
      return await readText(response, call.answerBytesMax ?? answerBytesMax, operation)
    } catch (error) {
      throw this.#failure(error, operation, deadline)
    }
  }

  /**
   * Opens a call whose answer goes on (a watch). The deadline is for the head only; `signal` or `close` end the rest.
   * Bytes end with an error when the connection breaks.
   */
  async stream(call: RawCall & { readonly signal: AbortSignal }): Promise<AsyncIterable<Uint8Array>> {
    const operation = operationOf(call)
    const deadline = this.#deadline(call)
    try {
      const response = await this.#attempts(call, operation, deadline)
      deadline.disarm()
      return this.#rest(response, operation, deadline)
    } catch (error) {
      deadline[Symbol.dispose]()
      throw error
    }
  }

  close(): void {
    this.#closed.abort(new Error('the Kubernetes client was closed'))
    this.#transport.close()
  }

  /**
   * Opens a connection and gives it with the headers of a call, for a protocol that takes the connection over.
   * @throws as `text`
   */
  async dial(signal: AbortSignal): Promise<{ readonly stream: Duplex; readonly headers: HeaderPairs }> {
    using deadline = this.#deadline({ method: 'GET', path: '/', signal })
    try {
      const credential = await this.credentials.current(deadline.signal)
      const stream = await this.#transport.dial(credential, deadline.signal)
      return { stream, headers: this.#headers(credential, undefined) }
    } catch (error) {
      throw this.#failure(error, 'dial', deadline)
    }
  }

  // Who we are, and on whose behalf.
  #headers(credential: Credential, bearer: Secret | undefined): HeaderPairs {
    const headers: [string, string][] = [['User-Agent', this.#userAgent]]
    const token = bearer ?? credential.token
    if (token) headers.push(['Authorization', `Bearer ${token.reveal('Kubernetes API authorization header')}`])
    const as = this.config.impersonate
    if (!as || bearer) return headers
    headers.push(['Impersonate-User', as.user])
    if (as.uid !== null) headers.push(['Impersonate-Uid', as.uid])
    for (const group of as.groups) headers.push(['Impersonate-Group', group])
    for (const [key, values] of Object.entries(as.extra)) {
      for (const value of values) headers.push([`Impersonate-Extra-${encodeURIComponent(key)}`, value])
    }
    return headers
  }

  #deadline(call: RawCall): Deadline {
    const signals = [this.world.signal, this.#closed.signal, ...(call.signal ? [call.signal] : [])]
    return new Deadline(this.world.clock, call.deadlineMs ?? this.#deadlineMs, signals)
  }

  async *#rest(response: HttpClientStream, operation: string, deadline: Deadline): AsyncGenerator<Uint8Array> {
    try {
      yield* response.chunks
    } catch (error) {
      throw this.#failure(error, operation, deadline)
    } finally {
      // Closes the connection when the reader stops early.
      deadline.abort()
      deadline[Symbol.dispose]()
    }
  }

  async #attempts(call: RawCall, operation: string, deadline: Deadline): Promise<HttpClientStream> {
    let isRefreshed = false
    for (let attempt = 1; ; attempt++) {
      let failed: KubeError
      try {
        const response = await this.#once(call, deadline.signal)
        if (response.status >= 200 && response.status < 300) return response
        const body = await readText(response, errorBytesMax, operation)
        failed = errorOfAnswer(operation, response.status, body, response.headers.get('retry-after'))
      } catch (error) {
        const failure = this.#failure(error, operation, deadline)
        if (!(failure instanceof KubeError)) throw failure
        failed = failure
      }
      if (failed.code === 401 && !call.bearer && !isRefreshed && this.credentials.refused()) {
        isRefreshed = true
        continue
      }
      if (attempt >= attemptsMax || !isWorthRepeating(call, failed)) throw failed
      const waitMs = this.#waitMs(failed, attempt)
      if (waitMs === null || waitMs >= deadline.leftMs()) throw failed
      this.world.log.debug('kubernetes call is repeated', { operation, reason: failed.reason, waitMs })
      await this.world.clock.sleep(waitMs, deadline.signal).catch((error: unknown) => {
        throw this.#failure(error, operation, deadline)
      })
    }
  }

  #waitMs(failed: KubeError, attempt: number): number | null {
    if (failed.retryAfterSeconds === null) return backoffMs(waits, attempt) * (0.75 + this.world.entropy.fraction() / 4)
    const waitMs = failed.retryAfterSeconds * 1000
    return waitMs > retryAfterMsMax ? null : waitMs
  }

  async #once(call: RawCall, signal: AbortSignal): Promise<HttpClientStream> {
    const credential = await this.credentials.current(signal)
    const headers = [...this.#headers(credential, call.bearer), ['Accept', call.accept ?? 'application/json'] as const]
    if (call.body !== undefined) headers.push(['Content-Type', call.contentType ?? 'application/json'])
    const { method, path } = call
    return this.#transport.send(credential, { method, path, headers, body: call.body ?? null, signal })
  }

  // Our deadline, the caller's signal and the wire all end a call with an error of their own; only the wire's and the
  // deadline's become a KubeError.
  #failure(error: unknown, operation: string, deadline: Deadline): unknown {
    if (error instanceof KubeError) return error
    if (deadline.isOver) {
      const message = `the Kubernetes API at ${this.config.server} gave no answer within ${deadline.ms} ms`
      return new KubeError({ code: 0, reason: 'Timeout', message, operation, cause: error })
    }
    if (deadline.signal.aborted) return deadline.signal.reason
    if (!(error instanceof Error) || error.name === 'KubeConfigError') return error
    const message = `cannot reach the Kubernetes API at ${this.config.server}: ${wireText(error)}`
    return new KubeError({ code: 0, reason: 'Unreachable', message, operation, cause: error })
  }
}

function operationOf(call: RawCall): string {
  return `${call.method} ${call.path.split('?', 1)[0]}`
}

// A certificate that isn't trusted won't be on the next try.
const untrusted = /CERT|SIGNATURE|ISSUER/

function isWorthRepeating(call: RawCall, failed: KubeError): boolean {
  const isRepeatable = call.isRepeatable ?? call.method === 'GET'
  if (failed.code === 429) return true
  if (failed.code >= 500) return isRepeatable || failed.retryAfterSeconds !== null
  const error = failed.cause
  if (failed.reason !== 'Unreachable' || !(error instanceof HttpClientError)) return false
  if (error.code === 'connect') return !untrusted.test((error.cause as NodeJS.ErrnoException | undefined)?.code ?? '')
  return isRepeatable && error.code === 'broken'
}

// The wire's own words, without the address that the outer text has already.
function wireText(error: Error): string {
  const inner = error.cause instanceof Error ? error.cause : error
  // Both address families of a name were tried: each has its reason.
  if (inner instanceof AggregateError && inner.errors[0] instanceof Error) return inner.errors[0].message
  return inner.message || error.message
}

async function readText(response: HttpClientStream, limit: number, operation: string): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.chunks) {
    length += chunk.length
    if (length > limit) {
      const message = `the answer of the Kubernetes API is larger than ${limit} bytes`
      throw new KubeError({ code: 0, reason: 'TooLarge', message, operation })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length).toString('utf8')
}

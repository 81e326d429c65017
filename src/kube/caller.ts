import { backoffMs } from '#ground/base/retry.ts'
import type { World } from '#ground/base/world.ts'
import type { Secret } from '#ground/base/secret.ts'
import type { KubeConfig } from './config.ts'
import { type CredentialSource, credentialsOf } from './credentials.ts'
import { Deadline } from './deadline.ts'
import { errorOfAnswer, KubeError } from './errors.ts'
import { createTransport, type Transport, type TransportResponse } from './transport.ts'

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
  readonly #transport: Transport
  readonly #userAgent: string
  readonly #deadlineMs: number
  readonly #closed = new AbortController()

  constructor(options: CallerOptions) {
    this.config = options.config
    this.world = options.world
    this.#userAgent = options.userAgent ?? 'coffer'
    this.#deadlineMs = options.deadlineMs ?? defaultDeadlineMs
    this.#transport = createTransport(options.config)
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

  /** Headers of every call: who we are, and on whose behalf. */
  async headers(call: Pick<RawCall, 'bearer' | 'signal'>): Promise<Record<string, string | readonly string[]>> {
    const credential = await this.credentials.current(call.signal)
    const headers: Record<string, string | readonly string[]> = { 'User-Agent': this.#userAgent }
    const token = call.bearer ?? credential.token
    if (token) headers['Authorization'] = `Bearer ${token.reveal('Kubernetes API authorization header')}`
    const as = this.config.impersonate
    if (as && !call.bearer) {
      headers['Impersonate-User'] = as.user
      if (as.uid !== null) headers['Impersonate-Uid'] = as.uid
      if (as.groups.length > 0) headers['Impersonate-Group'] = as.groups
      for (const [key, values] of Object.entries(as.extra)) {
        headers[`Impersonate-Extra-${encodeURIComponent(key)}`] = values
      }
    }
    return headers
  }

  #deadline(call: RawCall): Deadline {
    const signals = [this.world.signal, this.#closed.signal, ...(call.signal ? [call.signal] : [])]
    return new Deadline(this.world.clock, call.deadlineMs ?? this.#deadlineMs, signals)
  }

  async *#rest(response: TransportResponse, operation: string, deadline: Deadline): AsyncGenerator<Uint8Array> {
    try {
      yield* response.body
    } catch (error) {
      throw this.#failure(error, operation, deadline)
    } finally {
      // Closes the connection when the reader stops early.
      deadline.abort()
      deadline[Symbol.dispose]()
    }
  }

  async #attempts(call: RawCall, operation: string, deadline: Deadline): Promise<TransportResponse> {
    let isRefreshed = false
    for (let attempt = 1; ; attempt++) {
      let failed: KubeError
      try {
        const response = await this.#once(call, deadline.signal)
        if (response.status >= 200 && response.status < 300) return response
        const body = await readText(response, errorBytesMax, operation)
        failed = errorOfAnswer(operation, response.status, body, response.header('retry-after'))
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

  async #once(call: RawCall, signal: AbortSignal): Promise<TransportResponse> {
    const headers = await this.headers({ ...call, signal })
    headers['Accept'] = call.accept ?? 'application/json'
    if (call.body !== undefined) {
      headers['Content-Type'] = call.contentType ?? 'application/json'
      headers['Content-Length'] = String(Buffer.byteLength(call.body))
    }
    const { method, path } = call
    const credential = await this.credentials.current(signal)
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

const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])
const final = new Set(['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_TLS_CERT_ALTNAME_INVALID'])

function isWorthRepeating(call: RawCall, failed: KubeError): boolean {
  const isRepeatable = call.isRepeatable ?? call.method === 'GET'
  if (failed.code === 429) return true
  if (failed.code >= 500) return isRepeatable || failed.retryAfterSeconds !== null
  if (failed.reason !== 'Unreachable') return false
  const code = (failed.cause as NodeJS.ErrnoException | undefined)?.code ?? ''
  return !final.has(code) && (isRepeatable || neverSent.has(code))
}

function wireText(error: Error): string {
  // "Happy eyeballs" wraps the reasons of both address families.
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return error.errors[0].message
  return error.message || (error as NodeJS.ErrnoException).code || 'the connection broke'
}

async function readText(response: TransportResponse, limit: number, operation: string): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body) {
    length += chunk.length
    if (length > limit) {
      const message = `the answer of the Kubernetes API is larger than ${limit} bytes`
      throw new KubeError({ code: 0, reason: 'TooLarge', message, operation })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length).toString('utf8')
}

import type { Envelope } from '#protocol/envelope.ts'

/**
 * A server's answer that is no success, or none at all. `message` is word for word what the Go client prints, because
 * scripts read it.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  /** HTTP status; 0 when no answer came. */
  readonly status: number
  /** The server's own texts; empty when it gave none. */
  readonly errors: readonly string[]
  readonly method: string
  /** As asked for; never holds a token. */
  readonly url: string
  /** Our server's request id, for `policy explain`; null elsewhere. */
  readonly requestId: string | null
  readonly #envelope: Envelope | null

  constructor(init: {
    status: number
    errors: readonly string[]
    isRaw?: boolean
    method: string
    url: string
    namespace?: string | undefined
    requestId?: string | undefined
    envelope?: Envelope | null
  }) {
    super(render(init))
    this.status = init.status
    this.errors = init.errors
    this.method = init.method
    this.url = init.url
    this.requestId = init.requestId ?? null
    this.#envelope = init.envelope ?? null
  }

  /** Data or warnings that came with a 404 (a deleted KV version); private to keep it out of dumps of the error. */
  get envelope(): Envelope | null {
    return this.#envelope
  }
}

// @source openbao api/response.go ResponseError.Error
function render(init: ConstructorParameters<typeof ApiError>[0]): string {
  const namespace = init.namespace && init.namespace !== 'root/' ? `Namespace: ${init.namespace}\n` : ''
  const head = `Error making API request.\n\n${namespace}URL: ${init.method} ${init.url}\nCode: ${init.status}.`
  if (init.isRaw) return `${head} Raw Message:\n\n${init.errors[0] ?? ''}`
  return `${head} Errors:\n\n${init.errors.map(text => `* ${text}`).join('')}`
}

/** No answer came: refused, reset, timed out, bad certificate. The cause says more. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError'
  readonly isRetryable: boolean
  readonly reason: string

  constructor(method: string, url: string, reason: string, options: { isRetryable: boolean; cause?: unknown }) {
    super(url === '' ? reason : `${goMethod(method)} "${url}": ${reason}`, { cause: options.cause })
    this.isRetryable = options.isRetryable
    this.reason = reason
  }

  /** The same failure, said of a request: a connection doesn't know what it was asked for. */
  of(method: string, url: string): ConnectError {
    return new ConnectError(method, url, this.reason, { isRetryable: this.isRetryable, cause: this.cause })
  }
}

// Go's url.Error writes the method as a word: `Get "https://…": dial tcp …: connect: connection refused`.
function goMethod(method: string): string {
  return method.charAt(0) + method.slice(1).toLowerCase()
}

/**
 * Does the server say that this token works no more (expired, revoked, unknown)? A policy's refusal reads differently:
 * its text is the multi-error form. Then logging in again is no help.
 */
export function isTokenGone(error: unknown): boolean {
  if (!(error instanceof ApiError) || error.status !== 403) return false
  return error.errors.some(
    text => text.trim() === 'permission denied' || text.includes('invalid token') || text.includes('bad token'),
  )
}

const leaseGone = ['lease not found', 'invalid lease', 'lease expired', 'lease is expired', 'lease is not renewable']

/** Is the lease gone for good? Clients match these literal texts (server-core 2.10). */
export function isLeaseGone(error: unknown): boolean {
  return (
    error instanceof ApiError &&
    error.status === 400 &&
    error.errors.some(text => leaseGone.some(w => text.includes(w)))
  )
}

/** Was the server sealed? The CLI and operators look for these literal words. */
export function isSealed(error: unknown): boolean {
  return error instanceof ApiError && error.message.includes('Vault is sealed')
}

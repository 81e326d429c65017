/** What the API server says of a failure: `Status` of meta/v1. */
export type KubeStatus = {
  readonly kind?: string
  readonly status?: string
  readonly message?: string
  /** CamelCase word for machines: `NotFound`, `AlreadyExists`, `Conflict`, `Expired`, … */
  readonly reason?: string
  readonly code?: number
  readonly details?: {
    readonly name?: string
    readonly kind?: string
    readonly retryAfterSeconds?: number
    readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[]
  }
}

/**
 * A call to the Kubernetes API that failed. `code` is the HTTP status, or 0 when no answer came; then `reason` is
 * `Unreachable` (no connection, TLS refused), `Timeout` (our deadline) or `TooLarge` (an answer beyond our bound).
 * `message` is the server's own text where it gave one.
 */
export class KubeError extends Error {
  override readonly name = 'KubeError'
  readonly code: number
  readonly reason: string
  readonly status: KubeStatus | null
  /** `GET /api/v1/pods`, for people who look for the cause. */
  readonly operation: string
  /** What the server asked us to wait, seconds; null when it didn't say. */
  readonly retryAfterSeconds: number | null

  constructor(init: {
    code: number
    reason: string
    message: string
    operation: string
    status?: KubeStatus | null
    retryAfterSeconds?: number | null
    cause?: unknown
  }) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause })
    this.code = init.code
    this.reason = init.reason
    this.status = init.status ?? null
    this.operation = init.operation
    this.retryAfterSeconds = init.retryAfterSeconds ?? null
  }
}

/** The configuration is at fault: the text names file and field and says what to write instead. */
export class KubeConfigError extends Error {
  override readonly name = 'KubeConfigError'
}

export function isKubeError(error: unknown, reason?: string): error is KubeError {
  return error instanceof KubeError && (reason === undefined || error.reason === reason)
}

export const isNotFound = (error: unknown): boolean => error instanceof KubeError && error.code === 404

/** The resource version or the page token is older than what the server keeps: list again. */
export const isExpired = (error: unknown): boolean => error instanceof KubeError && error.code === 410

// What an answer without a Status body means; a proxy before the API server answers in HTML.
const reasons: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

/**
 * The error for an answer that isn't 2xx. A body that is no `Status` gives its first 200 characters.
 * @param retryAfter the header as received.
 */
export function errorOfAnswer(
  operation: string,
  code: number,
  body: string,
  retryAfter: string | undefined,
): KubeError {
  const status = parseStatus(body)
  const seconds = retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : null
  return new KubeError({
    code,
    reason: status?.reason || reasons[code] || 'Unknown',
    message: status?.message || body.trim().slice(0, 200) || `the Kubernetes API answered ${code} without a text`,
    operation,
    status,
    retryAfterSeconds: seconds ?? status?.details?.retryAfterSeconds ?? null,
  })
}

/** The error for a `Status` that came inside a watch. */
export function errorOfStatus(operation: string, status: KubeStatus): KubeError {
  const code = status.code ?? 500
  return new KubeError({
    code,
    reason: status.reason || reasons[code] || 'Unknown',
    message: status.message || `the Kubernetes API ended the watch with ${code}`,
    operation,
    status,
    retryAfterSeconds: status.details?.retryAfterSeconds ?? null,
  })
}

function parseStatus(body: string): KubeStatus | null {
  try {
    const value: unknown = JSON.parse(body)
    const isStatus = typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'Status'
    return isStatus ? (value as KubeStatus) : null
  } catch {
    return null
  }
}

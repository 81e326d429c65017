import type { Json } from '#ground/text/json.ts'

/**
 * What can be refused or fail, each with the one status that Vault's clients expect for it.
 * Status alone decides what clients do: the Go SDK retries 412, 429 and 5xx except 501, agents log in again on 403.
 * @source openbao sdk/logical/response_util.go; the shapes of the texts are `shape`: `bare` texts stand as they are,
 * `multi` ones as Go's multi-error renders a single item.
 */
export const faultCodes = {
  'request.invalid': { status: 400, shape: 'bare' },
  /** Refused with `{"errors":[]}`: bad query values, unparsable codes. */
  'request.unreadable': { status: 400, shape: 'silent' },
  'request.unsupported_media_type': { status: 415, shape: 'bare' },
  'request.too_large': { status: 413, shape: 'bare' },
  'request.precondition': { status: 412, shape: 'bare' },
  /** The token's policies don't allow it. */
  'permission.denied': { status: 403, shape: 'multi' },
  /** No, unknown, expired or misplaced token: the two-item text of Vault 1.17 and later, which holds both phrases. */
  'token.invalid': { status: 403, shape: 'bare' },
  /** A login or lookup that answers 403 with its own text. */
  'permission.bare': { status: 403, shape: 'bare' },
  /** A login with credentials that aren't those of who it names: it counts towards a lockout. */
  'credentials.refused': { status: 400, shape: 'bare' },
  /** A login that names nobody: told alike, and counted alike. */
  'credentials.unknown': { status: 400, shape: 'bare' },
  'route.unknown': { status: 404, shape: 'bare' },
  'path.unsupported': { status: 404, shape: 'multi' },
  'entry.missing': { status: 404, shape: 'silent' },
  'operation.unsupported': { status: 405, shape: 'multi' },
  'verb.unsupported': { status: 405, shape: 'silent' },
  'quota.exceeded': { status: 429, shape: 'bare' },
  /** What Vault's handlers return as a bare error: a user's mistake that is 500 there stays 500 here. */
  'backend.failed': { status: 500, shape: 'multi' },
  /** The same from a login path, whose texts aren't wrapped. */
  'backend.failed_bare': { status: 500, shape: 'bare' },
  /** Our bug, or the medium failed: the cause is logged, the client sees "internal error" and the request id. */
  internal: { status: 500, shape: 'bare' },
  /**
   * The store's disk is full, and nothing was written. Not 503, which clients read as sealed; as a 5xx the Go SDK and its
   * kin ask again, and 507 is what it is called (RFC 4918, 11.5).
   */
  'storage.full': { status: 507, shape: 'bare' },
  'upstream.failed': { status: 502, shape: 'bare' },
  'server.sealed': { status: 503, shape: 'bare' },
  'server.unready': { status: 503, shape: 'bare' },
} as const satisfies Record<string, { status: number; shape: 'bare' | 'multi' | 'silent' }>

export type FaultCode = keyof typeof faultCodes

/**
 * A refusal or failure that the client is told of.
 * `text` is safe to send; `reason` says more to those who may ask (audit, `sys/policies/explain`); `cause` is logged
 * and never sent. None of them may hold a secret.
 */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: FaultCode
  readonly data: Json | undefined
  readonly reason: string | undefined

  constructor(code: FaultCode, text: string, more: { data?: Json; reason?: string; cause?: unknown } = {}) {
    super(text, more.cause === undefined ? undefined : { cause: more.cause })
    this.code = code
    this.data = more.data
    this.reason = more.reason
  }

  get text(): string {
    return this.message
  }

  get status(): number {
    return faultCodes[this.code].status
  }
}

/** @returns the fault to throw: `throw fault('request.invalid', 'missing role')`. */
export function fault(code: FaultCode, text: string, more?: { data?: Json; reason?: string; cause?: unknown }): Fault {
  return new Fault(code, text, more)
}

/** How Go's multi-error renders several texts; clients match on these characters. */
export function multiError(texts: readonly string[]): string {
  const head = texts.length === 1 ? '1 error occurred:' : `${texts.length} errors occurred:`
  return `${head}\n${texts.map(text => `\t* ${text}\n`).join('')}\n`
}

/** The two-item text for a token that is no good. @source hv docs/concepts/tokens, error responses */
export const invalidTokenText = multiError(['permission denied', 'invalid token'])

/** What stands in `errors` of the answer. */
export function faultTexts(problem: Fault): readonly string[] {
  switch (faultCodes[problem.code].shape) {
    case 'silent':
      return []
    case 'multi':
      return [multiError([problem.text])]
    case 'bare':
      return [problem.text]
  }
}

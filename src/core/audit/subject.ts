import type { Json } from '#ground/text/json.ts'
import type { WrapInfo } from '#protocol/envelope.ts'
import type { Verdict } from '#protocol/verdict.ts'
import type { AuditedMount } from '#core/mounts/audited.ts'
import type { AuditedToken } from '#core/tokens/audited.ts'

/** One request as the audit sees it; filled as far as the pipeline came. */
export type AuditSubject = {
  readonly id: string
  readonly operation: string
  readonly path: string
  readonly namespace: { readonly id: string; readonly path: string }
  readonly remoteAddress: string
  readonly remotePort: number
  readonly data: Json | null
  readonly mount: AuditedMount | null
  readonly token: AuditedToken | null
  readonly verdict: Verdict | null
  /** Seconds; 0 = none asked for. */
  readonly wrapTtl: number
  readonly headers: Readonly<Record<string, readonly string[]>> | null
  readonly certificateSerial: string | null
}

/** What was answered, as far as it is audited. */
export type AuditedReply = {
  readonly data: Json | null
  readonly warnings: readonly string[]
  readonly leaseId: string
  /** The token that a login or creation made. */
  readonly auth: AuditedToken | null
  /** Where it was put away, when the client got only that. */
  readonly wrapInfo: WrapInfo | null
  /** Same object, same text: the hashed data is kept beside it. */
  readonly memo: object | null
}

export type AuditFailure = { readonly error: string; readonly reason: string | null }

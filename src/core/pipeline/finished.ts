import type { Instant } from '#ground/base/clock.ts'
import type { HttpResponse, HttpUpgrade } from '#ground/http/message.ts'
import type { WrapAsk } from '#backend/call.ts'
import type { AuditedReply } from '#core/audit/subject.ts'
import type { Mount } from '#core/mounts/mount.ts'
import type { LiveToken } from '#core/tokens/live.ts'
import type { Operation } from '#protocol/verdict.ts'
import type { Charge, House } from './deps.ts'

/** What `finish` needs to know of the request. */
export type Ending = {
  readonly id: string
  readonly operation: Operation
  readonly path: string
  readonly mount: Mount
  readonly house: House | null
  readonly live: LiveToken | null
  readonly now: Instant
  readonly unknown: readonly string[]
  readonly replaced: readonly string[]
  readonly audits: boolean
  /** The request took the token's last use. */
  readonly isLastUse: boolean
  /** The role that quotas count it under. */
  readonly role: string | null
  readonly charged: Charge | null
  /** The wrapping that the request asks for, where it may. */
  readonly wrap: WrapAsk | null
}

/** The answer, and what the response's audit entry shows of it. */
export type Finished = {
  readonly answer: HttpResponse | HttpUpgrade
  readonly audited: AuditedReply | null
  /** Ends the lease or token that was made for it: the answer can't go out. */
  readonly undo?: () => Promise<unknown>
}

export const nothingAudited: AuditedReply = {
  data: null,
  warnings: [],
  leaseId: '',
  auth: null,
  wrapInfo: null,
  memo: null,
}

import type { Gate } from '#ground/base/queue.ts'
import { type Parts, rowOf } from '#backend/engine.ts'
import type { Owner } from './entries.ts'

/** One mount of the method. */
export type ApproleState = {
  readonly parts: Parts
  /** Writes of roles and of chosen secret ids, one after the other: they must be the only ones of their id. */
  readonly writing: Gate
  /** Has no secret ids. Logins under a role id that nobody has look there, which takes the time of any other. */
  readonly nobody: Owner
  /** A tidy that runs; ended with the mount. */
  tidying: Promise<void> | null
  readonly closing: AbortController
}

export const row = rowOf<ApproleState>()

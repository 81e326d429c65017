import { type Parts, rowOf } from '#backend/engine.ts'
import type { Kit } from './kit.ts'
import type { Responders } from './ocsp.ts'
import type { Revocations } from './revocations.ts'
import type { Trusts } from './trusts.ts'

/** One mount of the method. */
export type CertState = {
  readonly parts: Parts
  readonly kit: Kit
  readonly trusts: Trusts
  readonly revocations: Revocations
  readonly responders: Responders
}

export const row = rowOf<CertState>()

import { type Parts, rowOf } from '#backend/engine.ts'
import type { Issuer } from './issuer.ts'
import type { Kit } from './kit.ts'
import type { OidcStates } from './oidc-states.ts'

/** One mount of the method. */
export type JwtState = {
  readonly parts: Parts
  readonly kit: Kit
  readonly issuer: Issuer
  readonly states: OidcStates
}

export const row = rowOf<JwtState>()

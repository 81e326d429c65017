import type { Call } from '#backend/call.ts'
import { rowOf } from '#backend/engine.ts'
import type { Leases } from '#core/leases/leases.ts'
import type { LiveToken } from '#core/tokens/live.ts'
import type { Renewals } from '#core/tokens/renewal.ts'
import type { TokenRoles } from '#core/tokens/roles.ts'
import type { Tokens } from '#core/tokens/tokens.ts'

/** What `auth/token/` works on. */
export type TokenState = {
  readonly tokens: Tokens
  readonly roles: TokenRoles
  readonly renewals: Renewals
  readonly leases: Pick<Leases, 'tidy'>
  policyExists(name: string): Promise<boolean>
  identityPolicies(entityId: string): Promise<readonly string[]>
  /** The caller's token, which a call doesn't carry; null without one. */
  callerOf(call: Call): LiveToken | null
}

export const row = rowOf<TokenState>()

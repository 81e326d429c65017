import { rowOf } from '#backend/engine.ts'
import type { Identity } from '#core/identity/identity.ts'
import type { MountShown } from '#core/identity/parts.ts'
import { isRootPolicy } from '#core/policy/names.ts'
import { fault } from '#protocol/fault.ts'

/** What `identity/` works on. */
export type IdentityState = { readonly identity: Identity; readonly mountOf: MountShown }

export const row = rowOf<IdentityState>()

/** As they are shown again: without outer blanks and doubles. @throws Fault for root, in any spelling. */
export function writtenPolicies(names: readonly string[]): readonly string[] {
  if (names.some(isRootPolicy)) throw fault('request.invalid', 'policies cannot contain root')
  return [...new Set(names.map(name => name.trim()).filter(name => name !== ''))]
}

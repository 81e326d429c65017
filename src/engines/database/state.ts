import { type Parts, rowOf } from '#backend/engine.ts'
import { defaultPasswordRules, generatePassword, type PasswordPolicies } from '#backend/passwords.ts'
import { fault } from '#protocol/fault.ts'
import type { Connections } from './connections.ts'

/** One mount of the engine. */
export type DatabaseState = {
  readonly parts: Parts
  readonly connections: Connections
  /** One after the other, by the name of a connection or static role. */
  readonly turns: Map<string, Promise<unknown>>
}

export const row = rowOf<DatabaseState>()

/** What Vault's handlers return as a bare error: 500, with the words of the database. */
export function failed(lead: string, error: unknown) {
  const text = error instanceof Error ? error.message : String(error)
  return fault('backend.failed', lead === '' ? text : `${lead}: ${text}`)
}

/** A password by the policy, or the default rules. @throws Fault for a policy that isn't there */
export async function newPassword({ services, world }: Parts, policy: string): Promise<string> {
  if (policy !== '') return (services['passwords'] as PasswordPolicies).generate(policy)
  return generatePassword(world.entropy, defaultPasswordRules)
}

/** Runs after whatever else runs under this name. */
export function inTurn<R>({ turns }: DatabaseState, name: string, work: () => Promise<R>): Promise<R> {
  const before = turns.get(name) ?? Promise.resolve()
  const mine = before.then(work, work)
  const settled = mine.then(
    () => undefined,
    () => undefined,
  )
  turns.set(name, settled)
  void settled.then(() => {
    if (turns.get(name) === settled) turns.delete(name)
  })
  return mine
}

import { type Parts, rowOf } from '#backend/engine.ts'
import { defaultPasswordRules, generatePassword, type PasswordPolicies } from '#backend/passwords.ts'
import { Fault, fault } from '#protocol/fault.ts'
import type { Connections } from './connections.ts'
import type { DatabaseDriver } from './driver.ts'

/** One mount of the engine. */
export type DatabaseState = {
  readonly parts: Parts
  readonly connections: Connections
  /** @throws Fault for a plugin that this server doesn't have */
  driverOf(plugin: string): DatabaseDriver
  /** One after the other, by the name of a connection or static role. */
  readonly turns: Map<string, Promise<unknown>>
  /** Names of accounts that are being made. */
  readonly making: Set<string>
}

export const row = rowOf<DatabaseState>()

export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** What Vault's handlers return as a bare error: 500, with the words of the database. A fault stays what it is. */
export function failed(lead: string, error: unknown): Fault {
  if (error instanceof Fault) return error
  return fault('backend.failed', lead === '' ? textOf(error) : `${lead}: ${textOf(error)}`)
}

/** A password by the policy, or the default rules. @throws Fault for a policy that isn't there */
export async function newPassword({ services, world }: Parts, policy: string): Promise<string> {
  if (policy !== '') return (services['passwords'] as PasswordPolicies).generate(policy)
  return generatePassword(world.entropy, defaultPasswordRules)
}

/**
 * Tells who subscribes; after what happened is durable.
 * @param operation Vault's: `creds-create`. @param path of the request, or what stands for it.
 * @param changed the path that reads otherwise from now on, where there is one: whoever watches it reads it again.
 */
export function tell({ parts }: DatabaseState, operation: string, path: string, changed?: string): void {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const event = { type: `database/${operation}`, path, dataPath: changed ?? path, operation, metadata: { name } }
  parts.emit({ ...event, modified: changed !== undefined })
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

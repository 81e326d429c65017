import type { World } from '#ground/base/world.ts'
import type { Keeper } from '#core/storage/keeper.ts'
import { fault } from '#protocol/fault.ts'
import type { IdentityKeys } from './keys.ts'
import type { Members } from './members.ts'

/** What all that changes identities works with. */
export type IdentityParts = {
  readonly keeper: Keeper
  readonly world: Pick<World, 'clock' | 'entropy' | 'log'>
  readonly keys: IdentityKeys
  readonly members: Members
  /** Runs while no other change of operators' does. Logins don't wait for it. */
  readonly alone: <R>(work: () => Promise<R>) => Promise<R>
}

/** The mount of an accessor, as answers show it; null: it is gone. */
export type MountShown = (
  accessor: string,
) => { readonly type: string; readonly path: string; readonly isLocal: boolean } | null

const aliasNameBytesMax = 4_096

/** @throws Fault for a name of an alias, of an entity or a group, that is too long. */
export function checkAliasName(name: string): void {
  if (Buffer.byteLength(name) <= aliasNameBytesMax) return
  throw fault('request.invalid', `the name of the alias has more than ${aliasNameBytesMax} bytes`)
}

/** Ways of one entity to log in; what finds it by them is one commit with it. */
export const aliasesMax = 24
/** Entities that became one. */
export const mergedMax = 10_000

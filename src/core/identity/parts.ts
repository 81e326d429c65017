import type { World } from '#ground/base/world.ts'
import type { Keeper } from '#core/storage/keeper.ts'
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

/** Ways of one entity to log in; what finds it by them is one commit with it. */
export const aliasesMax = 24
/** Entities that became one. */
export const mergedMax = 10_000

import type { Json } from '#ground/text/json.ts'
import { type Fault, fault, multiError } from '#protocol/fault.ts'
import type { AliasEntry, EntityEntry } from './entry.ts'
import { aliasesMax, mergedMax, type MountShown } from './parts.ts'

type Pair = {
  readonly to: EntityEntry
  readonly mine: AliasEntry
  readonly from: EntityEntry
  readonly alias: AliasEntry
}

/**
 * One entity has one alias of a mount: of two, the operator says which one stays.
 * @param keep their ids
 * @throws Fault with Vault's texts, and with the aliases that clash. @source vault vault/identity_store_entities.go mergeEntity
 */
export function checkMerge(
  to: EntityEntry,
  from: readonly EntityEntry[],
  keep: readonly string[],
  mountOf: MountShown,
): void {
  const owners = new Map<string, string>()
  for (const { id, aliases } of from) {
    for (const { mountAccessor } of aliases) {
      const owner = owners.get(mountAccessor)
      if (owner !== undefined && owner !== id) {
        const text = `mount accessor ${mountAccessor} found in multiple fromEntities, merge should be done with one fromEntity at a time`
        throw fault('request.invalid', text)
      }
      owners.set(mountAccessor, id)
    }
  }
  const pairs = from
    .flatMap(one => pairsOf(to, one))
    .filter(({ mine, alias }) => !keep.includes(mine.id) && !keep.includes(alias.id))
  const first = pairs[0]
  if (first !== undefined && keep.length > 0) {
    const text = `conflicting mount accessors in following alias IDs and neither were present in conflicting_alias_ids_to_keep: ${first.alias.id}, ${first.mine.id}`
    throw fault('request.invalid', text)
  }
  if (first !== undefined) throw clash(pairs, mountOf)
  const aliases = to.aliases.length + from.reduce((sum, one) => sum + one.aliases.length, 0)
  if (aliases > aliasesMax) throw fault('request.invalid', `an entity can have at most ${aliasesMax} aliases`)
  const merged = to.mergedIds.length + from.reduce((sum, one) => sum + one.mergedIds.length + 1, 0)
  if (merged > mergedMax) throw fault('request.invalid', `at most ${mergedMax} entities can be merged into one`)
}

const pairsOf = (to: EntityEntry, from: EntityEntry): Pair[] =>
  to.aliases.flatMap(mine =>
    from.aliases.filter(alias => alias.mountAccessor === mine.mountAccessor).map(alias => ({ to, mine, from, alias })),
  )

function clash(pairs: readonly Pair[], mountOf: MountShown): Fault {
  const head =
    'toEntity and at least one fromEntity have aliases with the same mount accessor, repeat the merge request specifying exactly one fromEntity, clashes: '
  const texts = pairs.map(
    ({ to, mine, from, alias }) =>
      `mountAccessor: ${mine.mountAccessor}, toEntity ID: ${to.id}, fromEntity ID: ${from.id}, conflicting toEntity alias ID: ${mine.id}, conflicting fromEntity alias ID: ${alias.id}`,
  )
  const shown = (entity: EntityEntry, alias: AliasEntry): Json => {
    const mount = mountOf(alias.mountAccessor)
    return {
      alias: alias.name,
      entity: entity.name,
      entity_id: entity.id,
      mount: mount?.type ?? '',
      mount_path: mount?.path ?? '',
    }
  }
  const data = pairs.flatMap(({ to, mine, from, alias }) => [shown(to, mine), shown(from, alias)])
  return fault('request.invalid', multiError([head, ...texts]), { data })
}

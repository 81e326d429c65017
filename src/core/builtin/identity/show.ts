import type { Json } from '#ground/text/json.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import { rootNamespace } from '#backend/namespace.ts'
import type { AliasEntry, EntityEntry, GroupEntry } from '#core/identity/entry.ts'
import type { MountShown } from '#core/identity/parts.ts'
import type { IdentityState } from './state.ts'

type Shown = { readonly [key: string]: Json }

// Where the original keeps nothing it shows null.
const list = (values: readonly string[]): Json => (values.length === 0 ? null : values)
const texts = (values: Readonly<Record<string, string>>): Json => (Object.keys(values).length === 0 ? null : values)

/** Where an alias logs in, while that is mounted. */
function mountOfAlias(accessor: string, mountOf: MountShown): Shown {
  const mount = mountOf(accessor)
  return mount === null ? {} : { mount_type: mount.type, mount_path: mount.path }
}

function aliasFields(alias: AliasEntry, canonicalId: string, mountOf: MountShown): Shown {
  return {
    id: alias.id,
    canonical_id: canonicalId,
    mount_accessor: alias.mountAccessor,
    ...mountOfAlias(alias.mountAccessor, mountOf),
    name: alias.name,
    metadata: texts(alias.metadata),
    merged_from_canonical_ids: list(alias.mergedFrom),
    creation_time: formatRfc3339Nano(alias.createdAt),
    last_update_time: formatRfc3339Nano(alias.updatedAt),
  }
}

/** One alias of an entity or a group. @source vault vault/identity_store_aliases.go handleAliasReadCommon */
export function aliasData(alias: AliasEntry, canonicalId: string, { mountOf }: IdentityState): Shown {
  return {
    ...aliasFields(alias, canonicalId, mountOf),
    custom_metadata: texts(alias.customMetadata),
    local: mountOf(alias.mountAccessor)?.isLocal ?? false,
    namespace_id: rootNamespace.id,
  }
}

/** @source vault vault/identity_store_entities.go handleEntityReadCommon */
export async function entityData(entity: EntityEntry, { identity, mountOf }: IdentityState): Promise<Shown> {
  const standing = await identity.standing(entity.id)
  const direct = standing?.direct.map(group => group.id) ?? []
  const inherited = standing?.inherited.map(group => group.id) ?? []
  return {
    id: entity.id,
    name: entity.name,
    metadata: texts(entity.metadata),
    policies: entity.policies,
    disabled: entity.isDisabled,
    merged_entity_ids: list(entity.mergedIds),
    namespace_id: rootNamespace.id,
    creation_time: formatRfc3339Nano(entity.createdAt),
    last_update_time: formatRfc3339Nano(entity.updatedAt),
    aliases: entity.aliases.map(alias => ({
      ...aliasFields(alias, entity.id, mountOf),
      custom_metadata: texts(alias.customMetadata),
      local: mountOf(alias.mountAccessor)?.isLocal ?? false,
    })),
    mfa_secrets: {},
    direct_group_ids: direct,
    inherited_group_ids: inherited,
    group_ids: [...direct, ...inherited],
  }
}

/** @source vault vault/identity_store_groups.go handleGroupReadCommon */
export async function groupData(group: GroupEntry, { identity, mountOf }: IdentityState): Promise<Shown> {
  const { groups } = identity
  return {
    id: group.id,
    name: group.name,
    type: group.type,
    policies: list(group.policies),
    metadata: texts(group.metadata),
    member_entity_ids: list(await groups.entitiesOf(group.id)),
    member_group_ids: list(await groups.groupsOf(group.id)),
    parent_group_ids: list(await groups.parentsOf(group)),
    alias: group.alias === null ? {} : aliasFields(group.alias, group.id, mountOf),
    namespace_id: rootNamespace.id,
    creation_time: formatRfc3339Nano(group.createdAt),
    last_update_time: formatRfc3339Nano(group.updatedAt),
    modify_index: group.modifyIndex,
  }
}

/** What lists say of each entity. */
export function entityInfo({ name, aliases }: EntityEntry, mountOf: MountShown): Shown {
  if (aliases.length === 0) return { name }
  return {
    name,
    aliases: aliases.map(alias => ({
      id: alias.id,
      name: alias.name,
      mount_accessor: alias.mountAccessor,
      ...mountOfAlias(alias.mountAccessor, mountOf),
    })),
  }
}

/** What lists say of each alias. */
export function aliasInfo(alias: AliasEntry, canonicalId: string, mountOf: MountShown): Shown {
  return {
    name: alias.name,
    canonical_id: canonicalId,
    mount_accessor: alias.mountAccessor,
    ...mountOfAlias(alias.mountAccessor, mountOf),
    metadata: texts(alias.metadata),
    custom_metadata: texts(alias.customMetadata),
    local: mountOf(alias.mountAccessor)?.isLocal ?? false,
  }
}

/** What lists say of each group. */
export async function groupInfo(group: GroupEntry, { identity, mountOf }: IdentityState): Promise<Shown> {
  const { alias } = group
  return {
    name: group.name,
    num_member_entities: (await identity.groups.entitiesOf(group.id)).length,
    num_parent_groups: (await identity.groups.parentsOf(group)).length,
    ...(alias !== null && {
      alias: {
        id: alias.id,
        name: alias.name,
        mount_accessor: alias.mountAccessor,
        ...mountOfAlias(alias.mountAccessor, mountOf),
      },
    }),
  }
}

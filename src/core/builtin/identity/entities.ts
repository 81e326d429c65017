import { bool, captured, commaList, stringMap, text } from '#ground/fields/kit.ts'
import type { Call } from '#backend/call.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import type { EntityEntry } from '#core/identity/entry.ts'
import { fault } from '#protocol/fault.ts'
import { entityData } from './show.ts'
import { type IdentityState, row, writtenPolicies } from './state.ts'

const said = {
  metadata: stringMap({ description: 'Metadata of the entity; replaced as a whole.' }),
  policies: commaList({ description: 'Policies that each of its tokens has besides its own.' }),
  disabled: bool({ description: 'Refuse its tokens, and give it no new ones; they are not revoked.' }),
}
const idField = text({ description: 'Id of an entity that is there.' })
const nameField = text({ description: 'Name of the entity; none has the same, in whatever case.' })

type Said = {
  readonly id: string
  readonly name: string
  readonly metadata: Readonly<Record<string, string>>
  readonly policies: readonly string[]
  readonly disabled: boolean
}

/** Creating answers with what there is now, updating doesn't. @source vault vault/identity_store_entities.go */
async function write({ input, sent }: Call<Said>, { identity }: IdentityState): Promise<Reply> {
  const policies = sent.has('policies') ? writtenPolicies(input.policies) : null
  const made = await identity.entities.put({
    ...(input.id !== '' && { id: input.id }),
    ...(input.name !== '' && { name: input.name }),
    ...(policies && { policies: [...policies].sort() }),
    ...(sent.has('metadata') && { metadata: input.metadata }),
    ...(sent.has('disabled') && { isDisabled: input.disabled }),
  })
  return made === null ? empty : { kind: 'data', data: { id: made.id, name: made.name, aliases: null } }
}

export async function shownEntity(entity: EntityEntry | null, state: IdentityState, none = missing): Promise<Reply> {
  return entity === null ? none : { kind: 'data', data: await entityData(entity, state) }
}

const help = {
  synopsis: 'A person or workload, whichever way it logs in.',
  description:
    'Its policies add to those of each of its tokens, from the next request on. A token of an entity that is deleted is good for nothing.',
}

const byName = async (name: string, { identity }: IdentityState): Promise<EntityEntry | null> => {
  if (name === '') throw fault('request.invalid', 'missing entity name')
  return identity.entities.byName(name)
}

const mergeFields = {
  to_entity_id: text({ description: 'Id of the entity that is left.' }),
  from_entity_ids: commaList({ description: 'Ids of entities that become it.' }),
  conflicting_alias_ids_to_keep: commaList({
    description: 'Of two aliases of one mount, the one that stays; for one entity at a time.',
  }),
  force: bool({ description: 'Taken and not used: there are no second factors that could clash.' }),
}

export const entityRows = [
  row({
    path: 'entity',
    fields: { id: idField, name: nameField, ...said },
    operations: { update: { access: 'policy', summary: 'Create or update an entity.', handler: write } },
    help,
  }),
  row({
    path: 'entity/batch-delete',
    fields: { entity_ids: commaList({ description: 'Ids of the entities.' }) },
    operations: {
      update: {
        access: 'policy',
        summary: 'Delete entities.',
        async handler({ input }, { identity }) {
          if (input.entity_ids.length === 0) throw fault('request.invalid', 'missing entity ids to delete')
          await identity.entities.remove(input.entity_ids)
          return empty
        },
      },
    },
    help: { synopsis: 'Delete entities.', description: 'Those that are not there are gone already.' },
  }),
  row({
    path: 'entity/merge',
    fields: mergeFields,
    operations: {
      update: {
        access: 'policy',
        summary: 'Make one entity of several.',
        async handler({ input }, { identity, mountOf }) {
          if (input.to_entity_id === '') throw fault('request.invalid', 'missing entity id to merge to')
          if (input.from_entity_ids.length === 0) throw fault('request.invalid', 'missing entity ids to merge from')
          const keep = input.conflicting_alias_ids_to_keep
          await identity.entities.merge({ to: input.to_entity_id, from: input.from_entity_ids, keep }, mountOf)
          return empty
        },
      },
    },
    help: {
      synopsis: 'Make one entity of several.',
      description: 'Aliases, groups and tokens become those of the one that is left; policies and metadata do not.',
    },
  }),
  row({
    path: 'entity/id/:id',
    fields: { id: captured('Id of the entity.'), name: nameField, ...said },
    operations: {
      read: {
        access: 'policy',
        summary: 'Read an entity.',
        handler: async ({ input }, state) => shownEntity(await state.identity.entities.get(input.id), state),
      },
      update: { access: 'policy', summary: 'Update an entity.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete an entity.',
        async handler({ input }, { identity }) {
          await identity.entities.remove([input.id])
          return empty
        },
      },
    },
    help,
  }),
  row({
    path: 'entity/name/*name',
    fields: { name: captured('Name of the entity.'), id: idField, ...said },
    operations: {
      read: {
        access: 'policy',
        summary: 'Read an entity.',
        handler: async ({ input }, state) => shownEntity(await byName(input.name, state), state),
      },
      update: { access: 'policy', summary: 'Create or update an entity.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete an entity.',
        async handler({ input }, state) {
          const entity = await byName(input.name, state)
          if (entity !== null) await state.identity.entities.remove([entity.id])
          return empty
        },
      },
    },
    help,
  }),
]

import { captured, optionalStringMap, text } from '#ground/fields/kit.ts'
import type { Call } from '#backend/call.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { aliasData } from './show.ts'
import { type IdentityState, row } from './state.ts'

const said = {
  name: text({ description: 'Who it is at the mount: what the auth method calls its users.' }),
  mount_accessor: text({ description: 'Accessor of the auth method.' }),
  canonical_id: text({ description: 'Id of the entity; without one, a new one is made.' }),
  entity_id: text({ description: 'Old name of canonical_id.', isDeprecated: true }),
  custom_metadata: optionalStringMap({ description: 'Up to 64 texts of your own; replaced as a whole.' }),
}

type Said = {
  readonly id: string
  readonly name: string
  readonly mount_accessor: string
  readonly canonical_id: string
  readonly entity_id: string
  readonly custom_metadata: Readonly<Record<string, string>> | undefined
}

/** A change that changes nothing has nothing to say. @source vault vault/identity_store_aliases.go handleAliasCreateUpdate */
async function write({ input }: Call<Said>, { identity, mountOf }: IdentityState): Promise<Reply> {
  const done = await identity.aliases.put(
    {
      id: input.id,
      name: input.name,
      mountAccessor: input.mount_accessor,
      canonicalId: input.canonical_id || input.entity_id,
      customMetadata: input.custom_metadata ?? null,
    },
    mountOf,
    () => identity.entities.blank(),
  )
  return done === null ? empty : { kind: 'data', data: { id: done.alias.id, canonical_id: done.entity.id } }
}

const help = {
  synopsis: 'A way of an entity to log in.',
  description: 'Whoever logs in at the mount under this name is the entity. One entity has one alias of a mount.',
}

const rowsOf = (path: string) => [
  row({
    path,
    fields: { id: text({ description: 'Id of an alias that is there.' }), ...said },
    operations: { update: { access: 'policy', summary: 'Create or update an alias of an entity.', handler: write } },
    help,
  }),
  row({
    path: `${path}/id/:id`,
    fields: { id: captured('Id of the alias.'), ...said },
    operations: {
      read: {
        access: 'policy',
        summary: 'Read an alias of an entity.',
        async handler({ input }, state) {
          const found = await state.identity.aliases.get(input.id)
          if (found === null) return missing
          return { kind: 'data', data: aliasData(found.alias, found.entity.id, state) }
        },
      },
      update: { access: 'policy', summary: 'Update an alias of an entity.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete an alias of an entity.',
        async handler({ input }, { identity }) {
          await identity.aliases.remove(input.id)
          return empty
        },
      },
    },
    help,
  }),
]

/** `alias` and `persona` are older names. */
export const aliasRows = ['entity-alias', 'alias', 'persona'].flatMap(rowsOf)

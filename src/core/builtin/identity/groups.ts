import { captured, commaList, stringMap, text } from '#ground/fields/kit.ts'
import type { Call } from '#backend/call.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import type { GroupEntry } from '#core/identity/entry.ts'
import { normalPolicyName } from '#core/policy/names.ts'
import { fault } from '#protocol/fault.ts'
import { aliasData, groupData } from './show.ts'
import { type IdentityState, row, writtenPolicies } from './state.ts'

const said = {
  type: text({ description: '"internal" (default), or "external": its members are who a login says.' }),
  metadata: stringMap({ description: 'Metadata of the group; replaced as a whole.' }),
  policies: commaList({ description: 'Policies of each token of each of its members.' }),
  member_entity_ids: commaList({ description: 'Ids of the entities in it; replaced as a whole.' }),
  member_group_ids: commaList({ description: 'Ids of the groups in it; replaced as a whole.' }),
}
const idField = text({ description: 'Id of a group that is there.' })
const nameField = text({ description: 'Name of the group; none has the same, in whatever case.' })

type Said = {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly metadata: Readonly<Record<string, string>>
  readonly policies: readonly string[]
  readonly member_entity_ids: readonly string[]
  readonly member_group_ids: readonly string[]
}

async function write(id: string | null, call: Call<Said>, { identity }: IdentityState): Promise<Reply> {
  const { input, sent } = call
  const policies = sent.has('policies') ? writtenPolicies(input.policies).map(normalPolicyName) : null
  const made = await identity.groups.put(
    id,
    {
      ...(input.name !== '' && { name: input.name }),
      ...(sent.has('type') && { type: input.type }),
      ...(policies && { policies: [...new Set(policies)].sort() }),
      ...(sent.has('metadata') && { metadata: input.metadata }),
      ...(sent.has('member_entity_ids') && { entities: input.member_entity_ids }),
      ...(sent.has('member_group_ids') && { groups: input.member_group_ids }),
    },
    identity.entities,
  )
  return made === null ? empty : { kind: 'data', data: { id: made.id, name: made.name } }
}

/** An id counts before a name. @source vault vault/identity_store_groups.go pathGroupRegister */
function register(call: Call<Said>, state: IdentityState): Promise<Reply> {
  const { input, sent } = call
  if (sent.has('id')) return write(given(input.id, 'empty group ID'), call, state)
  if (sent.has('name')) given(input.name, 'empty group name')
  return write(null, call, state)
}

function given(value: string, text: string): string {
  if (value === '') throw fault('request.invalid', text)
  return value
}

export async function shownGroup(group: GroupEntry | null, state: IdentityState, none = missing): Promise<Reply> {
  return group === null ? none : { kind: 'data', data: await groupData(group, state) }
}

const help = {
  synopsis: 'Entities and groups that get the same policies.',
  description: 'Groups may be in groups: who is in one has the policies of all above it, from the next request on.',
}

const groupRow = (path: string, by: 'id' | 'name') =>
  row({
    path,
    fields:
      by === 'id'
        ? { id: captured('Id of the group.'), name: nameField, ...said }
        : { name: captured('Name of the group.'), id: idField, ...said },
    operations: {
      read: {
        access: 'policy',
        summary: 'Read a group.',
        handler: async ({ input }, state) => shownGroup(await find(by, input, state), state),
      },
      update: {
        access: 'policy',
        summary: by === 'id' ? 'Update a group.' : 'Create or update a group.',
        handler(call, state) {
          if (by === 'id') return write(call.input.id, call, state)
          given(call.input.name, 'empty group name')
          return write(null, call, state)
        },
      },
      delete: {
        access: 'policy',
        summary: 'Delete a group.',
        async handler({ input }, state) {
          await state.identity.groups.remove(() => find(by, input, state))
          return empty
        },
      },
    },
    help,
  })

const find = (
  by: 'id' | 'name',
  { id, name }: { readonly id: string; readonly name: string },
  { identity }: IdentityState,
): Promise<GroupEntry | null> =>
  by === 'id' ? identity.groups.get(id) : identity.groups.byName(given(name, 'empty group name'))

const aliasFields = {
  name: text({ description: 'Name of the group outside, as logins through the mount bring it.' }),
  mount_accessor: text({ description: 'Accessor of the auth method.' }),
  canonical_id: text({ description: 'Id of an external group; without one, a new one is made.' }),
}

type AliasSaid = {
  readonly id: string
  readonly name: string
  readonly mount_accessor: string
  readonly canonical_id: string
}

async function writeAlias(id: string | null, input: AliasSaid, { identity, mountOf }: IdentityState): Promise<Reply> {
  const ask = { name: input.name, mountAccessor: input.mount_accessor, canonicalId: input.canonical_id }
  const done = await identity.groups.putAlias(id, ask, mountOf)
  return done === null ? empty : { kind: 'data', data: { id: done.alias.id, canonical_id: done.group.id } }
}

const aliasHelp = {
  synopsis: 'A group of the outside that an external group stands for.',
  description:
    'Who logs in through the mount and is in that group becomes a member, and is one until a login says otherwise.',
}

export const groupRows = [
  row({
    path: 'group',
    fields: { id: idField, name: nameField, ...said },
    operations: { update: { access: 'policy', summary: 'Create or update a group.', handler: register } },
    help,
  }),
  groupRow('group/id/:id', 'id'),
  groupRow('group/name/*name', 'name'),
  row({
    path: 'group-alias',
    fields: { id: text({ description: 'Id of an alias that is there.' }), ...aliasFields },
    operations: {
      update: {
        access: 'policy',
        summary: 'Create or update an alias of a group.',
        handler: ({ input, sent }, state) =>
          writeAlias(sent.has('id') ? given(input.id, 'empty group alias ID') : null, input, state),
      },
    },
    help: aliasHelp,
  }),
  row({
    path: 'group-alias/id/:id',
    fields: { id: captured('Id of the alias.'), ...aliasFields },
    operations: {
      read: {
        access: 'policy',
        summary: 'Read an alias of a group.',
        async handler({ input }, state) {
          const found = await state.identity.groups.alias(input.id)
          return found === null ? missing : { kind: 'data', data: aliasData(found.alias, found.group.id, state) }
        },
      },
      update: {
        access: 'policy',
        summary: 'Update an alias of a group.',
        handler: ({ input }, state) => writeAlias(input.id, input, state),
      },
      delete: {
        access: 'policy',
        summary: 'Delete an alias of a group.',
        async handler({ input }, { identity }) {
          await identity.groups.removeAlias(input.id)
          return empty
        },
      },
    },
    help: aliasHelp,
  }),
]

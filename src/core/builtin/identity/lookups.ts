import { text } from '#ground/fields/kit.ts'
import type { Call } from '#backend/call.ts'
import { empty } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { shownEntity } from './entities.ts'
import { shownGroup } from './groups.ts'
import { row } from './state.ts'

const fields = {
  id: text({ description: 'Its id.' }),
  name: text({ description: 'Its name.' }),
  alias_id: text({ description: 'Id of an alias of it.' }),
  alias_name: text({ description: 'Name of an alias of it; with alias_mount_accessor.' }),
  alias_mount_accessor: text({ description: 'Accessor of the mount of the alias; with alias_name.' }),
}

type Asked = { readonly [F in keyof typeof fields]: string }

/** One way to name it, of four. @source vault vault/identity_lookup.go */
function check({ input, sent }: Call<Asked>): void {
  const number = Object.keys(fields).filter(name => sent.has(name)).length
  const [name, accessor] = [input.alias_name, input.alias_mount_accessor]
  if (number === 0) throw fault('request.invalid', 'query parameter not supplied')
  if (number > 1 && (number > 2 || name === '' || accessor === ''))
    throw fault('request.invalid', 'query parameter conflict; please supply distinct set of query parameters')
  if (number === 1 && (name !== '' || accessor !== ''))
    throw fault('request.invalid', "both 'alias_name' and 'alias_mount_accessor' needs to be set")
}

const help = {
  synopsis: 'Find it by id, name or alias.',
  description: 'One of: id; name; alias_id; alias_name with alias_mount_accessor. Nothing found is an empty answer.',
}

export const lookupRows = [
  row({
    path: 'lookup/entity',
    fields,
    operations: {
      update: {
        access: 'policy',
        summary: 'Find an entity.',
        async handler(call, state) {
          check(call)
          const { id, name, alias_id: aliasId, alias_name: aliasName, alias_mount_accessor: accessor } = call.input
          const { entities, aliases } = state.identity
          if (id !== '') return shownEntity(await entities.get(id), state, empty)
          if (name !== '') return shownEntity(await entities.byName(name), state, empty)
          const found = aliasId !== '' ? await aliases.get(aliasId) : await aliases.byFactors(accessor, aliasName)
          return shownEntity(found?.entity ?? null, state, empty)
        },
      },
    },
    help,
  }),
  row({
    path: 'lookup/group',
    fields,
    operations: {
      update: {
        access: 'policy',
        summary: 'Find a group.',
        async handler(call, state) {
          check(call)
          const { id, name, alias_id: aliasId, alias_name: aliasName, alias_mount_accessor: accessor } = call.input
          const { groups } = state.identity
          if (id !== '') return shownGroup(await groups.get(id), state, empty)
          if (name !== '') return shownGroup(await groups.byName(name), state, empty)
          const found = aliasId !== '' ? await groups.alias(aliasId) : await groups.aliasByFactors(accessor, aliasName)
          return shownGroup(found?.group ?? null, state, empty)
        },
      },
    },
    help,
  }),
]

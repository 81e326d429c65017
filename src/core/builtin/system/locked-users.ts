import { captured, text } from '#ground/fields/kit.ts'
import { rootNamespace } from '#backend/namespace.ts'
import { empty } from '#backend/reply.ts'
import { row, type SystemRow } from './state.ts'

/** `sys/locked-users`. @source hv api-docs/system/user-lockout, server-core 2.12 */
export const lockedUserRows: readonly SystemRow[] = [
  row({
    path: 'locked-users',
    fields: { mount_accessor: text({ description: 'Only those of this auth mount.', from: 'query' }) },
    operations: {
      read: {
        access: 'policy',
        summary: 'Who is locked out after too many refused logins.',
        async handler({ input, signal }, state) {
          const { lockout, mounts } = state.house()
          const only = input.mount_accessor === '' ? null : input.mount_accessor
          const isThere = only === null || mounts.byAccessor(only) !== null
          const locked = isThere ? await lockout.locked(only, signal) : new Map<string, readonly string[]>()
          const accessors = [...locked].map(([accessor, aliases]) => ({
            mount_accessor: accessor,
            counts: aliases.length,
            alias_identifiers: aliases,
          }))
          const total = accessors.reduce((sum, one) => sum + one.counts, 0)
          const namespace = {
            namespace_id: rootNamespace.id,
            namespace_path: '',
            counts: total,
            mount_accessors: accessors,
          }
          return { kind: 'data', data: { by_namespace: total === 0 ? [] : [namespace], total } }
        },
      },
    },
    help: { synopsis: 'Who is locked out.', description: 'A lock ends by itself; unlock ends it at once.' },
  }),
  row({
    path: 'locked-users/:mount_accessor/unlock/*alias_identifier',
    fields: {
      mount_accessor: captured('Accessor of the auth mount.'),
      alias_identifier: captured('The name of the login: a user, or a role id.'),
    },
    operations: {
      update: {
        access: 'policy',
        summary: 'Let somebody log in again at once.',
        async handler({ input }, state) {
          await state.house().lockout.unlock(input.mount_accessor, input.alias_identifier)
          return empty
        },
      },
    },
    help: { synopsis: 'Unlock a user.', description: 'Does nothing for who is not locked out.' },
  }),
]

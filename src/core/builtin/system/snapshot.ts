import type { Action } from '#backend/engine.ts'
import { empty } from '#backend/reply.ts'
import { row, type SystemRow, type SystemState } from './state.ts'

const restoring = (isForced: boolean, summary: string): Action<SystemState> => ({
  access: 'policy',
  deadline: false,
  standby: 'forward',
  summary,
  async handler({ stream }, { snapshots }) {
    await snapshots.restore(stream!, { isForced })
    return empty
  },
})

/**
 * Under the names that clients of Vault know, whatever the store: there is no raft here.
 * @source openbao vault/logical_system_raft.go
 */
export const snapshotRows: readonly SystemRow[] = [
  row({
    path: 'storage/raft/snapshot',
    fields: {},
    body: 'stream',
    operations: {
      read: {
        access: 'policy',
        deadline: false,
        standby: 'forward',
        summary: 'A copy of the whole store, as one gzipped archive.',
        async handler(_call, { snapshots }) {
          return {
            kind: 'stream',
            contentType: 'application/gzip',
            headers: [['Content-Disposition', 'attachment']],
            body: await snapshots.take(),
          }
        },
      },
      update: restoring(false, 'Put a snapshot in the place of the store.'),
    },
    help: {
      synopsis: 'Copies of the whole store, and back.',
      description:
        'A copy is of one instant, holds what the store holds (sealed), and needs the keys of this server to be of use. Restoring one puts it in the place of all that is there; the server seals, and unseals by its seal if it has one.',
    },
  }),
  row({
    path: 'storage/raft/snapshot-force',
    fields: {},
    body: 'stream',
    operations: { update: restoring(true, 'Put a snapshot of another server in the place of the store.') },
    help: {
      synopsis: 'Put a snapshot of another server in the place of the store.',
      description:
        'As storage/raft/snapshot, without asking whose keys it is of: afterwards those are needed to unseal.',
    },
  }),
]

import { Gate } from '#ground/base/queue.ts'
import type { Engine } from '#backend/engine.ts'
import { builtinVersion } from '#protocol/version.ts'
import { accessorEntries, roleEntries, roleIdEntries, secretIdEntries } from './entries.ts'
import { loginRow, renewLogin } from './login.ts'
import { roleRows } from './role.ts'
import { rolePartRows } from './role-parts.ts'
import { secretIdRows } from './secret-id.ts'
import { secretIdEndRows } from './secret-id-ends.ts'
import { expire, forget } from './secret-ids.ts'
import type { ApproleState } from './state.ts'
import { tidyRow } from './tidy.ts'

/** Logins of workloads without an identity of their own: a role id and a secret id. @source openbao builtin/credential/approle */
export const approleAuth: Engine<ApproleState> = {
  type: 'approle',
  kind: 'auth',
  version: builtinVersion,
  description: 'logins with a role id and a secret id',
  codecs: [roleEntries, roleIdEntries, secretIdEntries, accessorEntries],
  rows: [...roleRows, ...rolePartRows, ...secretIdRows, ...secretIdEndRows, tidyRow, loginRow],
  open(parts) {
    const hmacKey = Buffer.from(parts.world.entropy.bytes(32)).toString('hex')
    return {
      parts,
      writing: new Gate(1),
      nobody: { uid: 'nobody', hmacKey },
      tidying: null,
      closing: new AbortController(),
    }
  },
  async close({ closing, tidying }) {
    closing.abort()
    await tidying
  },
  alarms: {
    'secret-id': {
      async fire(id, state) {
        const slash = id.indexOf('/')
        await expire(state, { uid: id.slice(0, slash) }, id.slice(slash + 1))
      },
    },
    forget: { fire: forget },
  },
  renewLogin,
}

import type { Engine } from '#backend/engine.ts'
import { pluginVersion } from '#protocol/version.ts'
import { configRows } from './config.ts'
import { Connections } from './connections.ts'
import { credsRow, intentKind, renew, revoke, secretType, undo } from './creds.ts'
import { roleRows } from './role.ts'
import { rotateAlarm, rotateStatic } from './rotation.ts'
import { configEntries, roleEntries, staticRoleEntries } from './entries.ts'
import { type DatabaseState } from './state.ts'
import { staticRoleRows } from './static-role.ts'

/** Accounts of databases that end with their lease, and passwords that are rotated. @source openbao builtin/logical/database */
export const database: Engine<DatabaseState> = {
  type: 'database',
  kind: 'secret',
  version: pluginVersion,
  description: 'accounts of databases that end with their lease, and passwords that are rotated',
  codecs: [configEntries, roleEntries, staticRoleEntries],
  rows: [...configRows, ...roleRows, ...staticRoleRows, credsRow],
  needs: ['passwords'],
  open: parts => ({ parts, connections: new Connections(parts.view), turns: new Map() }),
  close: ({ connections }) => connections.close(),
  leases: { [secretType]: { renew, revoke } },
  intents: { [intentKind]: { undo } },
  alarms: { [rotateAlarm]: { fire: (name, state, signal) => rotateStatic(name, state, signal) } },
}

import type { Engine } from '#backend/engine.ts'
import { fault } from '#protocol/fault.ts'
import { pluginVersion } from '#protocol/version.ts'
import { configRows } from './config.ts'
import { Connections } from './connections.ts'
import { credsRow, intentKind, renew, revoke, secretType, undo } from './creds.ts'
import type { DatabaseDriver } from './driver.ts'
import { drivers } from './drivers/all.ts'
import { configEntries, roleEntries, staticRoleEntries } from './entries.ts'
import { roleRows } from './role.ts'
import { onAlarm, rotateAlarm } from './rotation.ts'
import type { DatabaseState } from './state.ts'
import { staticRoleRows } from './static-role.ts'

/**
 * Accounts of databases that end with their lease, and passwords that are rotated.
 * @param known what it can talk to; tests bring their own.
 * @source openbao builtin/logical/database
 */
export function databaseWith(known: readonly DatabaseDriver[]): Engine<DatabaseState> {
  const driverOf = (plugin: string): DatabaseDriver => {
    const found = known.find(({ plugins }) => plugins.includes(plugin))
    if (found !== undefined) return found
    const names = known.flatMap(({ plugins }) => plugins)
    throw fault('request.invalid', `plugin_name "${plugin}" is not supported: this server has ${names.join(', ')}`)
  }
  return {
    type: 'database',
    kind: 'secret',
    version: pluginVersion,
    description: 'accounts of databases that end with their lease, and passwords that are rotated',
    codecs: [configEntries, roleEntries, staticRoleEntries],
    rows: [...configRows, ...roleRows, ...staticRoleRows, credsRow],
    needs: ['passwords'],
    open: parts => ({
      parts,
      connections: new Connections({ view: parts.view, world: parts.world, driverOf }),
      driverOf,
      turns: new Map(),
      making: new Set(),
    }),
    close: ({ connections }) => connections.close(),
    leases: { [secretType]: { renew, revoke } },
    intents: { [intentKind]: { undo } },
    alarms: { [rotateAlarm]: { fire: onAlarm } },
  }
}

export const database = databaseWith(drivers)

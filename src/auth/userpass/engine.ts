import type { Compute } from '#ground/compute/tasks.ts'
import type { Engine } from '#backend/engine.ts'
import { loginRow, renewLogin } from './login.ts'
import type { UserpassState } from './state.ts'
import { userRows } from './user.ts'
import { floorEntries, userEntries } from './user-entry.ts'
import { builtinVersion } from '#protocol/version.ts'

/** Logins of people by name and password, both kept here. @source openbao builtin/credential/userpass */
export const userpassAuth: Engine<UserpassState> = {
  type: 'userpass',
  kind: 'auth',
  version: builtinVersion,
  description: 'logins with a name and a password',
  codecs: [userEntries, floorEntries],
  rows: [...userRows, loginRow],
  needs: ['compute'],
  open: parts => ({ parts, compute: parts.services['compute'] as Compute }),
  renewLogin,
}

import type { Engine } from '#backend/engine.ts'
import { pluginVersion } from '#protocol/version.ts'
import { configRow } from './config.ts'
import { configEntries } from './config-entry.ts'
import { Issuer } from './issuer.ts'
import { loadKit } from './kit.ts'
import { loginRow, renewLogin } from './login.ts'
import { beginRow } from './oidc-begin.ts'
import { callbackRow } from './oidc-callback.ts'
import { OidcStates } from './oidc-states.ts'
import { roleEntries } from './role-entry.ts'
import { roleRows } from './role.ts'
import type { JwtState } from './state.ts'

/** Logins with signed tokens, of programs and of people. @source hv vault-plugin-auth-jwt */
export const jwtAuth: Engine<JwtState> = {
  type: 'jwt',
  kind: 'auth',
  version: pluginVersion,
  description: 'logins with signed tokens, and of people through an OpenID provider',
  codecs: [configEntries, roleEntries],
  rows: [configRow, ...roleRows, loginRow, beginRow, callbackRow],
  async open(parts) {
    const kit = await loadKit()
    return { parts, kit, issuer: new Issuer(parts.world, kit), states: new OidcStates(parts.world) }
  },
  close: state => state.issuer.reset(),
  renewLogin,
  invalidate: (_keys, state) => state.issuer.reset(),
}

/** The same by its other name. */
export const oidcAuth: Engine<JwtState> = { ...jwtAuth, type: 'oidc' }

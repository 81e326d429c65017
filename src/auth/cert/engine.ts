import type { Engine } from '#backend/engine.ts'
import { pluginVersion } from '#protocol/version.ts'
import { configEntries, configRow } from './config.ts'
import { crlRows, refresh } from './crl.ts'
import { loadKit } from './kit.ts'
import { loginRow, renewLogin } from './login.ts'
import { Responders } from './ocsp.ts'
import { crlEntries, Revocations } from './revocations.ts'
import { roleEntries } from './role-entry.ts'
import { roleRows } from './role.ts'
import type { CertState } from './state.ts'
import { Trusts } from './trusts.ts'

/** Logins with client certificates. @source openbao builtin/credential/cert */
export const certAuth: Engine<CertState> = {
  type: 'cert',
  kind: 'auth',
  version: pluginVersion,
  description: 'logins with TLS client certificates',
  codecs: [configEntries, roleEntries, crlEntries],
  rows: [configRow, ...roleRows, ...crlRows, loginRow],
  async open(parts) {
    const kit = await loadKit()
    const revocations = new Revocations(parts, kit)
    return {
      parts,
      kit,
      trusts: new Trusts(parts.view, kit),
      revocations,
      responders: new Responders(parts.world, revocations.http, kit),
    }
  },
  close: state => state.revocations.close(),
  renewLogin,
  alarms: { crl: { fire: refresh } },
  invalidate(_keys, state) {
    state.trusts.forget()
    state.revocations.forget()
  },
}

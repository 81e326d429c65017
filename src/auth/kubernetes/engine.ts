import type { Engine } from '#backend/engine.ts'
import { configRow } from './config.ts'
import { configEntries } from './config-entry.ts'
import { loginRow, renewLogin } from './login.ts'
import { type ReviewerOptions, Reviewers } from './reviewers.ts'
import { roleEntries, roleRows } from './role.ts'
import type { KubernetesState } from './state.ts'
import { pluginVersion } from '#protocol/version.ts'

/**
 * Logins with the tokens of Kubernetes service accounts. @source openbao builtin/credential/kubernetes
 * @param options other ways to the API server, for tests.
 */
export const kubernetesAuthWith = (options: ReviewerOptions): Engine<KubernetesState> => ({
  type: 'kubernetes',
  kind: 'auth',
  version: pluginVersion,
  description: 'logins with service account tokens, reviewed by the API server',
  codecs: [configEntries, roleEntries],
  rows: [configRow, ...roleRows, loginRow],
  open: parts => ({ parts, reviewers: new Reviewers(parts.world, options) }),
  close: state => state.reviewers.reset(),
  renewLogin,
})

export const kubernetesAuth = kubernetesAuthWith({})

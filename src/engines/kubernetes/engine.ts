import type { Engine } from '#backend/engine.ts'
import type { CallerOptions } from '#kube/caller.ts'
import { serviceAccountFolder } from '#kube/in-cluster.ts'
import { OneServer } from '#kube/one-server.ts'
import { clientOf, configEntries, configRows } from './config.ts'
import { credsRow } from './creds.ts'
import { intentKind } from './make.ts'
import { type Held, type Intended, removeIntended, removeMade } from './objects.ts'
import { roleEntries, roleRows } from './role.ts'
import type { KubernetesState, Pod } from './state.ts'

export type KubernetesSecretsOptions = Partial<Pick<Pod, 'folder'>> & Pick<CallerOptions, 'transport'>

/** Longer than an API server under load takes, in ms; a request makes four calls at most. */
const deadlineMs = 10_000

/**
 * Tokens of Kubernetes service accounts, and the accounts and rights themselves. @source openbao builtin/logical/kubernetes
 * @param options other ways to the API server, for tests.
 */
export const kubernetesSecretsWith = (options: KubernetesSecretsOptions): Engine<KubernetesState> => ({
  type: 'kubernetes',
  kind: 'secret',
  version: 'v0.10.0+builtin',
  description: 'tokens of Kubernetes service accounts, with rights that end with their lease',
  codecs: [configEntries, roleEntries],
  rows: [...configRows, ...roleRows, credsRow],
  // In a pod it tells where the API server is.
  needs: ['environment'],
  open(parts) {
    const { folder = serviceAccountFolder, transport } = options
    const env = parts.services['environment'] as Pod['env']
    const server = new OneServer({ world: parts.world, deadlineMs, ...(transport && { transport }) })
    return { parts, server, pod: { env, folder } }
  },
  close: ({ server }) => server.close(),
  leases: {
    kube_token: {
      async revoke(held, state) {
        const { objects } = held.internal as unknown as Held
        // A token of an account that was there ends by itself.
        if (objects.length > 0) await removeMade(await clientOf(state), objects, held.signal)
      },
    },
  },
  intents: {
    [intentKind]: {
      async undo(entry, state, signal) {
        await removeIntended(await clientOf(state), entry as unknown as Intended, signal)
      },
    },
  },
})

export const kubernetesSecrets = kubernetesSecretsWith({})

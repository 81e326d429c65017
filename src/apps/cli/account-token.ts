import type { Secret } from '#ground/base/secret.ts'
import type { Flags } from '#ground/text/flags.ts'
import { createKubeClient } from '#kube/client.ts'
import { loadKubeConfig } from '#kube/kubeconfig.ts'
import { tokenRequest } from '#kube/reviews.ts'
import type { Context } from './context.ts'

const defaultAudience = 'coffer'
// Long enough to log in with, short enough to be worth nothing afterwards; the API server gives no less.
const tokenSeconds = 600

/**
 * A short-lived token of a service account, by the user's own kubeconfig: who may ask for it is the cluster's RBAC
 * (`create` on `serviceaccounts/token`).
 * @param config `account`; `namespace` (default: the server's, for kube:// addresses, else `coffer`), `audience`
 */
export async function requestAccountToken(
  c: Context<Flags>,
  config: Readonly<Record<string, string>> & { readonly account: string },
): Promise<Secret> {
  const { io, client } = c
  using kube = createKubeClient({
    config: await loadKubeConfig({ env: io.env }),
    world: io.world,
    env: io.env,
    isInteractive: c.isInteractive && io.isInputTerminal,
  })
  const namespace = config['namespace'] ?? (client.address.kind === 'kube' ? client.address.namespace : 'coffer')
  const spec = { audiences: [config['audience'] ?? defaultAudience], expirationSeconds: tokenSeconds }
  const { token } = await tokenRequest(kube, namespace, config.account, spec, {
    signal: io.world.signal,
  })
  return token
}

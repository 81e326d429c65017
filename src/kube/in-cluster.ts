import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { KubeConfig } from './config.ts'
import { KubeConfigError } from './errors.ts'

/** Where the kubelet mounts a pod's own account: `token`, `ca.crt`, `namespace`. */
export const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount'

type Env = Readonly<Record<string, string | undefined>>

/** Does this process run in a pod that may speak to its API server? Looks at the environment only. */
export function isInCluster(env: Env): boolean {
  return Boolean(env['KUBERNETES_SERVICE_HOST'] && env['KUBERNETES_SERVICE_PORT'])
}

/**
 * The configuration of a pod: address from `KUBERNETES_SERVICE_HOST` and `_PORT`, CA and token from the mounted
 * account. Token and CA stay paths: the kubelet replaces both files.
 * @param folder the account's folder; for tests and for own projected volumes.
 * @throws KubeConfigError outside a pod, or in one with `automountServiceAccountToken: false`
 */
export async function inClusterConfig(env: Env, folder: string = serviceAccountFolder): Promise<KubeConfig> {
  const host = env['KUBERNETES_SERVICE_HOST']
  const port = env['KUBERNETES_SERVICE_PORT']
  if (!host || !port) {
    throw new KubeConfigError(
      'not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; ' +
        'run in a pod or name a kubeconfig in KUBECONFIG',
    )
  }
  const tokenPath = join(folder, 'token')
  await readFile(tokenPath).catch((cause: unknown) => {
    throw new KubeConfigError(
      `cannot read ${tokenPath}: mount a service account token (automountServiceAccountToken: true, or a projected volume)`,
      { cause },
    )
  })
  const namespace = await readFile(join(folder, 'namespace'), 'utf8').catch(() => '')
  return {
    // An IPv6 service address comes without brackets.
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: { kind: 'file', path: join(folder, 'ca.crt') },
    isInsecure: false,
    serverName: null,
    namespace: namespace.trim() || 'default',
    auth: { kind: 'token-file', path: tokenPath, fallback: null },
    clientCertificate: null,
    impersonate: null,
    origin: 'in-cluster',
  }
}

import { createKubeClient, type KubeClient } from '#kube/client.ts'
import { loadKubeConfig } from '#kube/kubeconfig.ts'
import { configMaps } from '#kube/resources.ts'
import type { ConfigMap } from '#kube/objects.ts'
import type { World } from '#ground/base/world.ts'
import type { ServerAddress } from '#protocol/address.ts'
import type { Route } from './http-wire.ts'

type KubeAddress = Extract<ServerAddress, { kind: 'kube' }>

/** What `setup kubernetes` leaves for clients: a ConfigMap `<service>-ca` with the CA of the server's certificate. */
export const caConfigMap = (service: string): string => `${service}-ca`
export const caConfigKey = 'ca.crt'

/** The way to a service of the current kubeconfig's cluster, and whom its certificate is issued by. */
export type KubeWay = { readonly route: () => Promise<Route>; readonly caPem: string | null }

/**
 * Finds the way to `kube://namespace/service`: TLS is spoken with the pod, through the API server's port-forward, for
 * each connection anew. Nothing else is loaded by who doesn't ask for such an address.
 * @throws KubeError, KubeConfigError
 */
export async function kubeWay(
  world: World,
  env: Readonly<Record<string, string | undefined>>,
  address: KubeAddress,
  isInteractive: boolean,
): Promise<KubeWay> {
  const kube = createKubeClient({ config: await loadKubeConfig({ env }), world, env, isInteractive })
  const { namespace, service } = address
  const found = await kube.find<ConfigMap>({ ...configMaps, namespace, name: caConfigMap(service) })
  return { route: async () => routeOf(kube, address), caPem: found?.data?.[caConfigKey] ?? null }
}

async function routeOf(kube: KubeClient, { namespace, service, port }: KubeAddress): Promise<Route> {
  const { openPodStream } = await import('#kube/portforward.ts')
  const serverName = `${service}.${namespace}.svc`
  return {
    base: `https://${serverName}`,
    serverName,
    connect: signal => openPodStream(kube, { namespace, service, port }, { signal }),
  }
}

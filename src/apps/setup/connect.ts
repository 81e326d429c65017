import type { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { type ApiClient, createApiClient } from '#client/api.ts'
import { readEnvironment } from '#client/environment.ts'
import { kubeWay } from '#client/kube-route.ts'
import { readTokenFile, tokenFilePath } from '#client/token-store.ts'
import type { KubeClient } from '#kube/client.ts'
import { openPodStream } from '#kube/portforward.ts'
import { defaultAddress, parseAddress } from '#protocol/address.ts'
import type { Io } from '#protocol/command.ts'
import { names } from './plan.ts'

/** A client of the server in the cluster, through the port-forward, trusting the CA that setup made. */
export function inClusterClient(kube: KubeClient, namespace: string, caPem: string, world: World): ApiClient {
  const serverName = `${names.server}.${namespace}.svc`
  return createApiClient({
    address: `kube://${namespace}/${names.server}`,
    tls: { caBytes: caPem },
    world,
    route: async () => ({
      base: `https://${serverName}`,
      serverName,
      connect: signal => openPodStream(kube, { namespace, service: names.server, port: null }, { signal }),
    }),
  })
}

/** A client of the server that flag and environment name, with their token or that of `login`. */
export async function configuredClient(io: Io, address: string): Promise<ApiClient> {
  const environment = readEnvironment(io.env)
  const text = address || environment.address || defaultAddress
  const token: Secret | null = environment.token ?? (await readTokenFile(tokenFilePath(io.env, environment.tokenPath)))
  const where = parseAddress(text)
  if (where.kind !== 'kube') return createApiClient({ address: text, token, tls: environment.tls, world: io.world })
  const { route, caPem } = await kubeWay(io.world, io.env, where, io.isInputTerminal)
  const hasCa =
    environment.tls.caCert !== undefined ||
    environment.tls.caBytes !== undefined ||
    environment.tls.caPath !== undefined
  const tls = hasCa || caPem === null ? environment.tls : { ...environment.tls, caBytes: caPem }
  return createApiClient({ address: text, token, tls, route, world: io.world })
}

import type { Duplex } from 'node:stream'
import type { KubeClient } from '#kube/client.ts'
import type { EndpointSlice, Service, ServicePort } from '#kube/objects.ts'
import { endpointSlices, services } from '#kube/resources.ts'
import type { ServerAddress } from '#protocol/address.ts'
import { ConnectError } from './api-error.ts'
import type { Route } from './http-wire.ts'

type KubeAddress = Extract<ServerAddress, { kind: 'kube' }>

/** Opens a stream to a pod's port through the API server (`create` on `pods/portforward`). */
export type OpenPodStream = (
  kube: KubeClient,
  pod: { readonly namespace: string; readonly name: string; readonly port: number },
  signal: AbortSignal,
) => Promise<Duplex>

/**
 * Finds the way to a service: its port, and for each connection one of its pods, ready ones first. A sealed server isn't
 * ready and must still be reached to be unsealed.
 * @throws ConnectError naming what isn't there; KubeError
 */
export async function kubeRoute(
  kube: KubeClient,
  address: KubeAddress,
  open: OpenPodStream,
  signal: AbortSignal,
): Promise<Route> {
  const { namespace, service: name } = address
  const service = await kube.find<Service>({ ...services, namespace, name }, { signal })
  if (!service) throw failure(`there is no service ${name} in namespace ${namespace}`)
  const port = choosePort(service.spec?.ports ?? [], address.port)
  if (!port) throw failure(`service ${namespace}/${name} has no port ${address.port ?? 'at all'}`)
  const serverName = `${name}.${namespace}.svc`
  return {
    base: `${isTls(port) ? 'https' : 'http'}://${serverName}:${port.port}`,
    serverName,
    connect: async reading => {
      const labelSelector = `kubernetes.io/service-name=${name}`
      const slices = await kube.list<EndpointSlice>(
        { ...endpointSlices, namespace },
        { labelSelector, signal: reading },
      )
      const target = chooseEndpoint(slices.items ?? [], port.name ?? '')
      if (!target) throw failure(`no pod stands behind service ${namespace}/${name}`)
      return open(kube, { namespace, ...target }, reading)
    },
  }
}

/** By name or number; without either `https`, `http`, or the first. */
export function choosePort(ports: readonly ServicePort[], asked: string | null): ServicePort | null {
  if (asked !== null) return ports.find(port => port.name === asked || String(port.port) === asked) ?? null
  const named = (name: string): ServicePort | undefined => ports.find(port => port.name === name)
  return named('https') ?? named('http') ?? ports[0] ?? null
}

/** The chart's convention and Kubernetes' own field; nothing else says how a port speaks. */
export function isTls(port: ServicePort): boolean {
  return port.appProtocol === 'https' || (port.name ?? '').startsWith('https') || port.port === 443
}

/** A pod and its port: ready before serving before any that isn't ending. */
export function chooseEndpoint(
  slices: readonly EndpointSlice[],
  portName: string,
): { name: string; port: number } | null {
  let best: { name: string; port: number } | null = null
  let bestRank = 0
  for (const slice of slices) {
    const port = slice.ports?.find(entry => (entry.name ?? '') === portName)?.port
    if (port === undefined) continue
    for (const { conditions, targetRef } of slice.endpoints ?? []) {
      if (targetRef?.kind !== 'Pod' || !targetRef.name) continue
      const rank = conditions?.ready !== false ? 3 : conditions.serving ? 2 : conditions.terminating ? 0 : 1
      if (rank <= bestRank) continue
      best = { name: targetRef.name, port }
      bestRank = rank
    }
  }
  return best
}

function failure(reason: string): ConnectError {
  return new ConnectError('', '', reason, { isRetryable: false })
}

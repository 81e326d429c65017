import type { CallOptions, KubeClient } from './client.ts'
import { KubeError } from './errors.ts'
import type { Service, ServicePort } from './objects.ts'
import type { Pod } from './pod.ts'
import { pods, services } from './resources.ts'

/** A pod and a port of it, by number. */
export type PodPort = { readonly namespace: string; readonly pod: string; readonly port: number }

export type PodAsk = {
  readonly namespace: string
  /** By number or name: the Service's port, or with `pod` the container's. Null: the one that fits best. */
  readonly port: string | null
} & ({ readonly service: string } | { readonly pod: string })

/**
 * Finds the pod to connect to, with the rights that `kubectl port-forward` needs: get services, get and list pods.
 * Of a Service's pods a ready one is taken, else one that runs: a sealed server isn't ready and must be reached to be
 * unsealed.
 * @throws KubeError that says what is missing
 */
export async function choosePod(client: KubeClient, ask: PodAsk, options: CallOptions = {}): Promise<PodPort> {
  const { namespace } = ask
  if ('pod' in ask) {
    const pod = await client.get<Pod>({ ...pods, namespace, name: ask.pod }, options)
    return { namespace, pod: ask.pod, port: containerPort(pod, ask.port, `pod ${namespace}/${ask.pod}`) }
  }
  const label = `service ${namespace}/${ask.service}`
  const service = await client.get<Service>({ ...services, namespace, name: ask.service }, options)
  const selector = Object.entries(service.spec?.selector ?? {})
  if (selector.length === 0) throw missing(`${label} has no selector, so it has no pods to connect to`)
  const port = choosePort(service.spec?.ports ?? [], ask.port, label)
  const labelSelector = selector.map(([key, value]) => `${key}=${value}`).join(',')
  const found = await client.list<Pod>({ ...pods, namespace }, { ...options, labelSelector })
  const pod = bestPod(found.items ?? [])
  if (!pod?.metadata?.name) {
    throw missing(`${label} has no running pod (label selector ${labelSelector}, ${found.items?.length ?? 0} pods)`)
  }
  return { namespace, pod: pod.metadata.name, port: targetPort(pod, port, label) }
}

/** The port asked for; else the one named https, then 8200, then the only one. */
export function choosePort(ports: readonly ServicePort[], asked: string | null, label: string): ServicePort {
  const fits =
    asked === null
      ? (ports.find(one => one.name === 'https') ??
        ports.find(one => one.port === 8200) ??
        (ports.length === 1 ? ports[0] : undefined))
      : ports.find(one => String(one.port) === asked || one.name === asked)
  if (fits) return fits
  const known = ports.map(one => (one.name ? `${one.port} (${one.name})` : `${one.port}`)).join(', ') || 'none'
  throw missing(`${label} has no port ${asked ?? 'that stands out: name one'} (there are: ${known})`)
}

export function bestPod(found: readonly Pod[]): Pod | null {
  const alive = found.filter(pod => pod.status?.phase === 'Running' && pod.metadata?.deletionTimestamp === undefined)
  return alive.find(isReady) ?? alive[0] ?? null
}

function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(one => one.type === 'Ready' && one.status === 'True') ?? false
}

function targetPort(pod: Pod, port: ServicePort, label: string): number {
  const target = port.targetPort ?? port.port
  return typeof target === 'number' ? target : containerPort(pod, target, label)
}

function containerPort(pod: Pod, asked: string | null, label: string): number {
  if (asked !== null && /^\d{1,5}$/.test(asked)) return Number(asked)
  // A native sidecar's ports count too.
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].flatMap(one => one.ports ?? [])
  if (asked === null && all.length === 1 && all[0]) return all[0].containerPort
  const named = all.find(one => (asked === null ? one.containerPort === 8200 : one.name === asked))
  if (named) return named.containerPort
  throw missing(`${label}: no container of pod ${pod.metadata?.name ?? ''} has a port ${asked ?? '8200'}`)
}

function missing(message: string): KubeError {
  return new KubeError({ code: 0, reason: 'NotFound', message, operation: 'port-forward' })
}

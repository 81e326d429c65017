import type { Pod, PodSpec, VolumeMount } from '#kube/pod.ts'
import { Denial } from './parse.ts'

/** A pod as admission gets it. */
export type SpecifiedPod = Pod & { spec: PodSpec }

/** Where the pod's token is in the app container, and so in the agent's. */
export type TokenVolume = { readonly mount: VolumeMount; readonly tokenPath: string }

/** Tokens of clouds lie below a folder of the same name: they are no token of the cluster. */
const foreign = ['eks.amazonaws.com/serviceaccount']

/**
 * The first mount of an app container that is a service account's. A token of the cluster is preferred over those that a
 * cloud projects, which the original may take by mistake (vault-k8s pull 793).
 * @throws Denial @source vault-k8s agent.go serviceaccount
 */
export function findTokenVolume(pod: SpecifiedPod): TokenVolume {
  const mounts = pod.spec.containers
    .flatMap(container => container.volumeMounts ?? [])
    .filter(mount => mount.mountPath.includes('serviceaccount'))
  const mount = mounts.find(one => !foreign.some(path => one.mountPath.includes(path))) ?? mounts[0]
  if (mount === undefined) throw new Denial('failed to find service account volume mount')
  return { mount, tokenPath: `${mount.mountPath}/token` }
}

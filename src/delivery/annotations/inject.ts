import type { Container, Pod, Volume, VolumeMount } from '#kube/pod.ts'
import { initContainer, initName, type Plan, secretMounts, sidecarContainer, volumes } from './containers.ts'
import type { Improvements, InjectorDefaults } from './defaults.ts'
import { Denial, readBool } from './parse.ts'
import { readSecretFiles } from './secrets.ts'
import { prefix, readSettings } from './table.ts'
import { findTokenVolume, type SpecifiedPod } from './token-volume.ts'
import { annotationWarnings } from './warnings.ts'

/** One step of an RFC 6902 patch. */
export type PatchStep = { readonly op: 'add' | 'remove'; readonly path: string; readonly value?: unknown }

export type InjectionAnswer =
  /** The pod doesn't ask, or has it already. */
  | { readonly kind: 'untouched' }
  | { readonly kind: 'denied'; readonly message: string }
  | { readonly kind: 'patched'; readonly patch: readonly PatchStep[]; readonly warnings: readonly string[] }

const statusName = `${prefix}agent-inject-status`
const systemNamespaces = ['kube-system', 'kube-public']

/**
 * What happens to a pod that is being created. Pure: the same pod gives the same answer.
 * @source vault-k8s agent-inject/handler.go Mutate: the order of the steps, and each denial's text
 */
export function inject(
  pod: Pod,
  namespace: string,
  defaults: InjectorDefaults,
  improvements: Improvements,
): InjectionAnswer {
  const annotations = textsOf(pod.metadata?.annotations ?? {})
  try {
    if (!within('error checking if should inject agent: ', () => asksForInjection(pod, annotations)))
      return { kind: 'untouched' }
    if (systemNamespaces.includes(namespace)) {
      throw new Denial(`error with request namespace: cannot inject into system namespaces: ${namespace}`)
    }
    const plan = makePlan(
      { ...pod, spec: pod.spec ?? { containers: [] } },
      annotations,
      namespace,
      defaults,
      improvements,
    )
    const patch = within('error creating patch for agent: ', () => makePatch(plan))
    return { kind: 'patched', patch, warnings: annotationWarnings(annotations, plan.files) }
  } catch (error) {
    if (error instanceof Denial) return { kind: 'denied', message: error.message }
    throw error
  }
}

// The API server checks no annotation of an object that a controller sends: null counts as empty there.
function textsOf(annotations: Readonly<Record<string, string | null>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations).map(([name, value]) => [name, value ?? '']))
}

function within<T>(lead: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof Denial) throw new Denial(lead + error.message)
    throw error
  }
}

function asksForInjection(pod: Pod, annotations: Readonly<Record<string, string>>): boolean {
  const asked = annotations[`${prefix}agent-inject`]
  if (asked === undefined || !readBool(asked ?? '')) return false
  const phase = (pod as { status?: { phase?: string } }).status?.phase ?? ''
  if (phase !== '' && phase !== 'Pending') return false
  return annotations[statusName] !== 'injected'
}

function makePlan(
  pod: SpecifiedPod,
  annotations: Readonly<Record<string, string>>,
  namespace: string,
  defaults: InjectorDefaults,
  improvements: Improvements,
): Plan {
  const plan = within('error creating new agent sidecar: ', () => {
    // The original looks for the token before it parses anything.
    const token = findTokenVolume(pod)
    const settings = readSettings(annotations, defaults)
    return { pod, settings, defaults, improvements, files: readSecretFiles(annotations, settings), token }
  })
  within('error validating agent configuration: ', () => validate(plan, namespace))
  return plan
}

function validate({ settings }: Plan, namespace: string): void {
  if (namespace === '') throw new Denial('namespace missing from request')
  if (settings.image === '') throw new Denial('no Vault image found')
  if (settings.role === '') throw new Denial('no Vault role found')
  if (settings.authPath === '') throw new Denial('no Vault Auth Path found')
  if (settings.service === '') throw new Denial('no Vault address found')
}

function makePatch(plan: Plan): readonly PatchStep[] {
  const { pod, settings, improvements } = plan
  const steps: PatchStep[] = appended<Volume>(pod.spec.volumes ?? [], volumes(plan), '/spec/volumes')
  const mounts = secretMounts(plan)
  const wanted = settings.containers === '' ? null : settings.containers.split(',')
  pod.spec.containers.forEach((container, index) => {
    if (wanted !== null && !wanted.includes(container.name)) return
    steps.push(...appended<VolumeMount>(container.volumeMounts ?? [], mounts, `/spec/containers/${index}/volumeMounts`))
  })
  const sidecar = settings.prePopulateOnly ? null : sidecarContainer(plan)
  const agents: Container[] = []
  if (settings.prePopulate) agents.push(initContainer(plan))
  if (sidecar !== null && improvements.nativeSidecar) agents.push(sidecar)
  steps.push(...initSteps(plan, agents, mounts))
  if (sidecar !== null && !improvements.nativeSidecar) {
    steps.push(...appended<Container>(pod.spec.containers, [sidecar], '/spec/containers'))
  }
  steps.push(...statusSteps(pod))
  return steps
}

function initSteps(plan: Plan, agents: readonly Container[], mounts: readonly VolumeMount[]): readonly PatchStep[] {
  const { pod, settings } = plan
  const path = '/spec/initContainers'
  const others = pod.spec.initContainers ?? []
  if (agents.length === 0) return []
  const steps: PatchStep[] = []
  let order: readonly Container[] = others
  if (settings.initFirst) {
    if (others.length > 0) steps.push({ op: 'remove', path })
    order = [...agents, ...others]
    steps.push(...appended<Container>([], order, path))
  } else steps.push(...appended<Container>(others, agents, path))
  if (!settings.prePopulate) return steps
  order.forEach((container, index) => {
    if (container.name === initName || agents.includes(container)) return
    steps.push(...appended<VolumeMount>(container.volumeMounts ?? [], mounts, `${path}/${index}/volumeMounts`))
  })
  return steps
}

function statusSteps(pod: Pod): readonly PatchStep[] {
  if (!pod.metadata?.annotations)
    return [{ op: 'add', path: '/metadata/annotations', value: { [statusName]: 'injected' } }]
  return [
    {
      op: 'add',
      path: `/metadata/annotations/${statusName.replaceAll('~', '~0').replaceAll('/', '~1')}`,
      value: 'injected',
    },
  ]
}

/** To an empty list the first item is added as a list. */
function appended<T>(now: readonly T[], items: readonly T[], path: string): PatchStep[] {
  return items.map((value, index) =>
    now.length === 0 && index === 0 ? { op: 'add', path, value: [value] } : { op: 'add', path: `${path}/-`, value },
  )
}

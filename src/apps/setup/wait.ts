import type { World } from '#ground/base/world.ts'
import type { KubeClient } from '#kube/client.ts'
import type { MutatingWebhookConfiguration } from '#kube/objects.ts'
import type { Deployment, Pod, StatefulSet } from '#kube/pod.ts'
import { deployments, mutatingWebhookConfigurations, pods, statefulSets } from '#kube/resources.ts'
import { SetupError } from './material.ts'
import { names, type SetupPlan } from './plan.ts'

const lookMs = 1_000
const looksMax = 180
/** A pull is tried again by the kubelet; this many looks at a failed one are enough to call it one. */
const failedPullsMax = 15

async function until(world: World, isDone: () => Promise<boolean>, onTimeout: () => string): Promise<void> {
  for (let looks = 0; looks < looksMax; looks++) {
    if (await isDone()) return
    await world.clock.sleep(lookMs, world.signal)
  }
  throw new SetupError(onTimeout())
}

const pullFailures: readonly string[] = ['ErrImagePull', 'ImagePullBackOff', 'ErrImageNeverPull', 'InvalidImageName']

/** Throws once an image has not come for a while: nothing that setup waits for will happen then. */
function pullWatcher(plan: SetupPlan): (pod: Pod | null) => void {
  let failed = 0
  return pod => {
    const waiting = pod?.status?.containerStatuses?.[0]?.state?.waiting
    failed = pullFailures.includes(waiting?.reason ?? '') ? failed + 1 : 0
    if (failed < failedPullsMax) return
    throw new SetupError(
      `the nodes can not get the image ${plan.image} (${waiting?.reason}): push it to a registry that they reach, or import the archive of "image build" on each node; then run setup again`,
    )
  }
}

const describe = (plan: SetupPlan, what: string): string => `kubectl -n ${plan.namespace} describe ${what}`

/**
 * Waits until the server's process runs, in the form that was last applied.
 * @throws SetupError with the server's own sentence when it ends instead, when its image doesn't come, or after three
 * minutes
 */
export async function waitForServer(kube: KubeClient, plan: SetupPlan, world: World): Promise<void> {
  const { namespace } = plan
  const name = `${names.server}-0`
  const watchPulls = pullWatcher(plan)
  let unplaced = ''
  const isDone = async (): Promise<boolean> => {
    const pod = await kube.find<Pod>({ ...pods, namespace, name })
    watchPulls(pod)
    // No node has room for it, or no volume is there: the scheduler says which.
    unplaced =
      pod?.status?.conditions?.find(one => one.type === 'PodScheduled' && one.status === 'False')?.message ?? ''
    const status = pod?.status?.containerStatuses?.[0]
    const ended = status?.state?.terminated ?? status?.lastState?.terminated
    if (ended?.message && !status?.ready && /seal|storage/.test(ended.message)) {
      throw new SetupError(`the server ends at its start: ${ended.message.trim().split('\n').at(-1)}`)
    }
    return status?.state?.running !== undefined && (await isRolledOut(kube, plan))
  }
  await until(world, isDone, () => {
    const why = unplaced === '' ? '' : ` (${unplaced})`
    return `the pod ${namespace}/${name} did not start in three minutes${why}: ${describe(plan, `pod ${name}`)}`
  })
}

// One with shares is replaced by persons (OnDelete): what runs is what there is.
async function isRolledOut(kube: KubeClient, plan: SetupPlan): Promise<boolean> {
  if (plan.seal !== 'static') return true
  const set = await kube.find<StatefulSet>({ ...statefulSets, namespace: plan.namespace, name: names.server })
  const { observedGeneration = 0, updatedReplicas = 0 } = set?.status ?? {}
  return observedGeneration >= (set?.metadata?.generation ?? 0) && updatedReplicas >= 1
}

/** Waits until an injector is up. @throws SetupError */
export async function waitForInjector(kube: KubeClient, plan: SetupPlan, world: World): Promise<void> {
  const { namespace } = plan
  const watchPulls = pullWatcher(plan)
  const isDone = async (): Promise<boolean> => {
    const found = await kube.find<Deployment>({ ...deployments, namespace, name: names.injector })
    const { observedGeneration = 0, updatedReplicas = 0, availableReplicas = 0 } = found?.status ?? {}
    const isSeen = observedGeneration >= (found?.metadata?.generation ?? 0)
    if (isSeen && updatedReplicas >= 1 && availableReplicas >= 1) return true
    const own = { ...pods, namespace }
    const { items } = await kube.list<Pod>(own, { labelSelector: `app.kubernetes.io/name=${names.injector}`, limit: 5 })
    watchPulls(items?.find(pod => pod.status?.containerStatuses?.[0]?.ready === false) ?? null)
    return false
  }
  await until(
    world,
    isDone,
    () =>
      `the Deployment ${namespace}/${names.injector} was not available in three minutes: ${describe(plan, `deployment ${names.injector}`)}`,
  )
}

/** Waits until the API server may trust the injector: it writes its CA into the webhook. @throws SetupError */
export async function waitForTrust(kube: KubeClient, plan: SetupPlan, world: World): Promise<void> {
  const target = { ...mutatingWebhookConfigurations, name: names.injector }
  const isDone = async (): Promise<boolean> => {
    const found = await kube.find<MutatingWebhookConfiguration>(target)
    return (found?.webhooks ?? []).every(webhook => webhook.clientConfig.caBundle !== undefined) && found !== null
  }
  await until(
    world,
    isDone,
    () =>
      `the injector did not write its CA into the webhook in three minutes: kubectl -n ${plan.namespace} logs deployment/${names.injector}`,
  )
}

import type { KubeClient } from '#kube/client.ts'
import type { KubeObject } from '#kube/objects.ts'
import type { StatefulSet } from '#kube/pod.ts'
import { namespaces, statefulSets } from '#kube/resources.ts'
import type { Io } from '#protocol/command.ts'
import { applyAll, asYaml } from './apply.ts'
import { meta } from './common.ts'
import { inClusterClient } from './connect.ts'
import { configureServer } from './initialise.ts'
import { injectorManifests, webhookManifest } from './injector-manifests.ts'
import { openKeyPaper } from './key-paper.ts'
import { ensureMaterial, placeholderMaterial, SetupError } from './material.ts'
import { webhookNamespace } from './remove.ts'
import { connectOutside, type OutsideFlags } from './outside.ts'
import { names, type SetupPlan } from './plan.ts'
import { serverManifests } from './server-manifests.ts'
import { waitForInjector, waitForServer, waitForTrust } from './wait.ts'

export type SetupFlags = OutsideFlags & {
  /** Absolute; empty = the keys go to the terminal. */
  readonly keysOut: string
  readonly waits: boolean
}

const namespaceObject = (plan: SetupPlan): KubeObject => {
  const { labels, ...rest } = meta(plan.namespace, null)
  const metadata = { ...rest, labels: { ...labels, 'pod-security.kubernetes.io/enforce': 'restricted' } }
  return { apiVersion: 'v1', kind: 'Namespace', metadata }
}

/** Everything, for `-dry-run`: key material stands as `<generated>`. */
export function dryRun(plan: SetupPlan): string {
  const server = plan.external === null ? [...placeholderMaterial(plan), ...serverManifests(plan)] : []
  const injector = injectorManifests(plan, plan.external?.caPem ?? '<generated>')
  return asYaml([namespaceObject(plan), ...server, ...injector, webhookManifest(plan)])
}

/**
 * Server and injector into the cluster, or injector alone for a server outside. What is there and right stays.
 * @throws SetupError, KubeError, ApiError
 */
export async function setUp(
  kube: KubeClient,
  plan: SetupPlan,
  flags: SetupFlags,
  io: Io,
  say: (line: string) => void,
): Promise<void> {
  await requireOneInjector(kube, plan)
  // One that somebody else made keeps its rules: other pods may live there.
  if ((await kube.find({ ...namespaces, name: plan.namespace })) === null) {
    await applyAll(kube, [namespaceObject(plan)], say)
  }
  let caPem: string
  if (plan.external === null) caPem = await setUpServer(kube, plan, flags, io, say)
  else {
    caPem = plan.external.caPem
    await connectOutside(kube, plan, flags, io, say)
  }
  await applyAll(kube, injectorManifests(plan, caPem), say)
  if (flags.waits) await waitForInjector(kube, plan, io.world)
  await applyAll(kube, [webhookManifest(plan)], say)
  if (flags.waits) await waitForTrust(kube, plan, io.world)
}

/** There is one webhook for the whole cluster: two injectors would take it from each other. */
async function requireOneInjector(kube: KubeClient, { namespace }: SetupPlan): Promise<void> {
  const other = await webhookNamespace(kube)
  if (other === null || other === namespace) return
  throw new SetupError(
    `the cluster's injector runs in namespace ${other}: use -namespace=${other}, or take that one away before (setup kubernetes -namespace=${other} -remove)`,
  )
}

async function setUpServer(
  kube: KubeClient,
  given: SetupPlan,
  flags: SetupFlags,
  io: Io,
  say: (line: string) => void,
): Promise<string> {
  const { world } = io
  const plan = await withVolumesOfBefore(kube, given)
  const caPem = await ensureMaterial(kube, plan, world, say)
  await applyAll(kube, serverManifests(plan), say)
  await waitForServer(kube, plan, world)
  await using client = inClusterClient(kube, plan.namespace, caPem, world)
  await configureServer(client, kube, plan, io, { say, openPaper: () => openKeyPaper(flags.keysOut, io) })
  return caPem
}

/** The claims of a StatefulSet can't be changed: what is there counts, and what is asked otherwise is refused. */
async function withVolumesOfBefore(kube: KubeClient, plan: SetupPlan): Promise<SetupPlan> {
  const found = await kube.find<StatefulSet>({ ...statefulSets, namespace: plan.namespace, name: names.server })
  if (found === null) return plan
  const of = (volume: string) => found.spec.volumeClaimTemplates?.find(one => one.metadata?.name === volume)?.spec
  const sizeOf = (volume: string): string | null => String(of(volume)?.resources?.requests?.['storage'] ?? '') || null
  const kept = <T extends string | null>(flag: string, wanted: T, there: T): T => {
    if (wanted === null || wanted === there) return there
    throw new SetupError(
      `-${flag}=${wanted} differs from what is there (${there ?? "the cluster's default"}), and volumes are not changed: leave the flag out`,
    )
  }
  return {
    ...plan,
    storageClass: kept('storage-class', plan.storageClass, of('data')?.storageClassName ?? null),
    storageSize: kept('storage-size', plan.storageSize, sizeOf('data')),
    auditSize: kept('audit-size', plan.auditSize, sizeOf('audit')),
  }
}

import type { KubeClient } from '#kube/client.ts'
import { isNotFound } from '#kube/errors.ts'
import type { KubeObject, MutatingWebhookConfiguration } from '#kube/objects.ts'
import {
  clusterRoleBindings,
  mutatingWebhookConfigurations,
  persistentVolumeClaims,
  secrets,
  serviceAccounts,
} from '#kube/resources.ts'
import type { Target } from '#kube/target.ts'
import { targetOf } from './apply.ts'
import { labels, managedBy } from './common.ts'
import { injectorManifests, webhookManifest } from './injector-manifests.ts'
import { placeholderMaterial } from './material.ts'
import { names, type SetupPlan } from './plan.ts'
import { serverManifests } from './server-manifests.ts'

/**
 * Takes away what setup made, the webhook first; volumes and key material only when asked for. The namespace stays:
 * others may have put something there.
 */
export async function tearDown(
  kube: KubeClient,
  plan: SetupPlan,
  purges: boolean,
  say: (line: string) => void,
): Promise<void> {
  const { namespace } = plan
  const remove = async (target: Target, what: string): Promise<void> => {
    if (await deleted(kube, target)) say(`removed ${what}`)
  }
  const removeObject = (object: KubeObject): Promise<void> =>
    remove(targetOf(object), `${object.kind} ${object.metadata?.name ?? ''}`)
  // Another namespace's webhook stays.
  if ((await webhookNamespace(kube)) === namespace) await removeObject(webhookManifest(plan))
  for (const object of [...serverManifests({ ...plan, external: null }), ...injectorManifests(plan, '')].reverse()) {
    await removeObject(object)
  }
  await remove({ ...secrets, namespace, name: names.injectorSecret }, `Secret ${names.injectorSecret}`)
  // The reviewer's token dies with its account.
  await remove({ ...serviceAccounts, namespace, name: names.reviewer }, `ServiceAccount ${names.reviewer}`)
  await removeBindings(kube, removeObject)
  if (!purges) {
    const kept = [names.sealSecret, names.caSecret, names.tlsSecret].join(', ')
    say(`kept in namespace ${namespace}: the volumes and the Secrets ${kept} (-purge removes them, too)`)
    return
  }
  for (const object of placeholderMaterial({ ...plan, seal: 'static' })) await removeObject(object)
  for (const volume of ['data', 'audit']) {
    const name = `${volume}-${names.server}-0`
    await remove({ ...persistentVolumeClaims, namespace, name }, `PersistentVolumeClaim ${name}`)
  }
  say(`purged: what was stored is gone; the namespace ${namespace} stays`)
}

/** The namespace that the cluster's webhook leads to; null when there is none. */
export async function webhookNamespace(kube: KubeClient): Promise<string | null> {
  const target = { ...mutatingWebhookConfigurations, name: names.injector }
  const found = await kube.find<MutatingWebhookConfiguration>(target)
  return found?.webhooks?.[0]?.clientConfig.service?.namespace ?? null
}

// Those that `setup workload` made, which nobody else knows by name.
async function removeBindings(kube: KubeClient, remove: (object: KubeObject) => Promise<void>): Promise<void> {
  const labelSelector = `${managedBy}=${labels('')[managedBy]}`
  const names: string[] = []
  for await (const page of kube.pages(clusterRoleBindings, { labelSelector, isMetadataOnly: true })) {
    names.push(...page.map(one => one.metadata?.name ?? '').filter(name => name.startsWith('coffer-review-')))
  }
  for (const name of names) {
    await remove({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name } })
  }
}

async function deleted(kube: KubeClient, target: Target): Promise<boolean> {
  try {
    await kube.delete(target, { propagationPolicy: 'Foreground' })
    return true
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
}

import type { World } from '#ground/base/world.ts'
import type { KubeClient } from '#kube/client.ts'
import { isNotFound } from '#kube/errors.ts'
import type { KubeObject } from '#kube/objects.ts'

const webhookConfigurations = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  resource: 'mutatingwebhookconfigurations',
} as const

type WebhookConfiguration = KubeObject & { webhooks?: { name: string; clientConfig?: { caBundle?: string } }[] }

/** How often the bundle is looked at, ms: somebody may have applied the manifest again. */
const lookMs = 20_000
/** How soon again after a failure, ms: while it isn't right, pods are refused or go without. */
const retryMs = 1_000

/**
 * Keeps `caBundle` of every webhook of one configuration right, until aborted. Written only when it differs, so that
 * replicas don't write over each other.
 */
export async function keepCaBundle(
  kube: KubeClient,
  name: string,
  caPem: string,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const wanted = Buffer.from(caPem).toString('base64')
  while (!signal.aborted) {
    let waitMs = lookMs
    try {
      await writeBundle(kube, name, wanted, world)
    } catch (error) {
      if (signal.aborted) return
      const lead = isNotFound(error) ? 'the webhook configuration is not there yet' : 'caBundle can not be written'
      waitMs = retryMs
      world.log.warn(`${lead}; trying again`, { configuration: name, error })
    }
    await world.clock.sleep(waitMs, signal).catch(() => undefined)
  }
}

async function writeBundle(kube: KubeClient, name: string, wanted: string, world: World): Promise<void> {
  const target = { ...webhookConfigurations, name }
  const found = await kube.get<WebhookConfiguration>(target)
  const wrong = (found.webhooks ?? []).flatMap((webhook, index) =>
    webhook.clientConfig?.caBundle === wanted ? [] : [index],
  )
  if (wrong.length === 0) return
  const body = wrong.map(index => ({ op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value: wanted }))
  await kube.patch(target, { type: 'json', body })
  world.log.info('caBundle written', { configuration: name, webhooks: wrong.length })
}

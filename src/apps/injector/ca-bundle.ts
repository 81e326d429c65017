import type { World } from '#ground/base/world.ts'
import type { KubeClient } from '#kube/client.ts'
import { isNotFound } from '#kube/errors.ts'
import type { MutatingWebhookConfiguration } from '#kube/objects.ts'
import { mutatingWebhookConfigurations } from '#kube/resources.ts'
import { watch } from '#kube/watch.ts'

/** Between two looks at least, ms: whoever takes the bundle away again and again must not keep us busy. */
const pauseMs = 1_000
/** Between looks where the configuration can't be watched, ms. */
const unwatchedMs = 20_000

/**
 * Keeps `caBundle` of every webhook of one configuration right, until aborted: after each change of the configuration,
 * and every five minutes. Written only when it differs, so that replicas don't write over each other.
 * @param authority the CA that counts now, PEM; asked before each look
 * @source vault-k8s subcommand/injector/command.go, which writes the first webhook only
 */
export async function keepCaBundle(
  kube: KubeClient,
  name: string,
  authority: () => Promise<string>,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const version = await writeBundle(kube, name, authority, world)
      await changed(kube, name, version, world, signal)
    } catch (error) {
      if (signal.aborted) return
      const lead = isNotFound(error) ? 'the webhook configuration is not there yet' : 'caBundle can not be kept right'
      world.log.warn(`${lead}; trying again`, { configuration: name, error })
    }
    await world.clock.sleep(pauseMs, signal).catch(() => undefined)
  }
}

/** @returns the version of the configuration that is right. */
async function writeBundle(
  kube: KubeClient,
  name: string,
  authority: () => Promise<string>,
  world: World,
): Promise<string> {
  const target = { ...mutatingWebhookConfigurations, name }
  let found = await kube.get<MutatingWebhookConfiguration>(target)
  // Not before: where the configuration was taken away, no CA is to be made anew.
  const wanted = Buffer.from(await authority()).toString('base64')
  const body = (found.webhooks ?? []).flatMap((webhook, index) =>
    webhook.clientConfig.caBundle === wanted
      ? []
      : [
          // The list may have another order by now.
          { op: 'test', path: `/webhooks/${index}/name`, value: webhook.name },
          { op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value: wanted },
        ],
  )
  if (body.length > 0) {
    found = await kube.patch<MutatingWebhookConfiguration>(target, { type: 'json', body })
    world.log.info('caBundle written', { configuration: name, webhooks: body.length / 2 })
  }
  return found.metadata?.resourceVersion ?? ''
}

/** Until the configuration is another than `version`, or the watch has ended as watches do. */
async function changed(
  kube: KubeClient,
  name: string,
  version: string,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  try {
    const options = { fieldSelector: `metadata.name=${name}`, resourceVersion: version, signal }
    for await (const event of watch<MutatingWebhookConfiguration>(kube, mutatingWebhookConfigurations, options)) {
      if (event.type !== 'BOOKMARK' && event.object.metadata?.resourceVersion !== version) return
    }
  } catch (error) {
    if (signal.aborted) return
    world.log.debug('the webhook configuration can not be watched; looking now and then', { error })
    await world.clock.sleep(unwatchedMs, signal).catch(() => undefined)
  }
}

import { stringify } from 'yaml'
import type { KubeClient } from '#kube/client.ts'
import { isNotFound } from '#kube/errors.ts'
import type { KubeObject } from '#kube/objects.ts'
import * as resources from '#kube/resources.ts'
import type { Resource } from '#kube/resources.ts'
import type { Target } from '#kube/target.ts'

const byKind: ReadonlyMap<string, Resource> = new Map(
  Object.values(resources)
    .filter((one): one is Resource => typeof one === 'object')
    .map(one => [one.kind, one]),
)

/** Where an object lives in the API. */
export function targetOf(object: KubeObject): Target {
  const resource = byKind.get(object.kind ?? '')
  if (resource === undefined)
    throw new Error(`setup has a manifest of kind ${object.kind}, whose place in the API is not known`)
  const { name = '', namespace } = object.metadata ?? {}
  return { ...resource, name, ...(resource.isNamespaced && namespace !== undefined && { namespace }) }
}

/** Makes an object what it should be; one that is already stays untouched. @returns whether it changed. */
export async function applyObject(kube: KubeClient, object: KubeObject): Promise<'made' | 'changed' | 'unchanged'> {
  const target = targetOf(object)
  const before = await kube.find(target)
  const after = await kube.apply(target, withBundle(object, before), { fieldManager: 'coffer-setup', isForced: true })
  if (before === null) return 'made'
  return before.metadata?.resourceVersion === after.metadata?.resourceVersion ? 'unchanged' : 'changed'
}

// The injector writes caBundle; applying without it would take it away for a moment.
function withBundle(object: KubeObject, before: KubeObject | null): KubeObject {
  type Webhooks = { webhooks?: { clientConfig: { caBundle?: string } }[] }
  const now = (before as Webhooks | null)?.webhooks?.[0]?.clientConfig.caBundle
  const webhooks = (object as Webhooks).webhooks
  if (now === undefined || webhooks === undefined) return object
  return {
    ...object,
    webhooks: webhooks.map(one => ({ ...one, clientConfig: { ...one.clientConfig, caBundle: now } })),
  } as KubeObject
}

export async function removeObject(kube: KubeClient, object: KubeObject): Promise<boolean> {
  try {
    await kube.delete(targetOf(object), { propagationPolicy: 'Foreground' })
    return true
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
}

/** For `-dry-run`: what would be applied, as one YAML stream. */
export const asYaml = (objects: readonly KubeObject[]): string =>
  objects.map(object => `---\n${stringify(object, { lineWidth: 0, version: '1.1' })}`).join('')

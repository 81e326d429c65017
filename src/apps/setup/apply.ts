import { stringify } from 'yaml'
import type { KubeClient } from '#kube/client.ts'
import type { KubeObject } from '#kube/objects.ts'
import * as resources from '#kube/resources.ts'
import type { Resource } from '#kube/resources.ts'
import type { Target } from '#kube/target.ts'

/** Who owns the fields that setup writes. */
export const fieldManager = 'coffer-setup'

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

/**
 * Makes an object what it should be; one that is already stays untouched, and so does what others wrote into it (the
 * injector's caBundle). @returns whether it changed.
 */
export async function applyObject(kube: KubeClient, object: KubeObject): Promise<'made' | 'changed' | 'unchanged'> {
  const target = targetOf(object)
  const before = await kube.find(target)
  const after = await kube.apply(target, object, { fieldManager, isForced: true })
  if (before === null) return 'made'
  return before.metadata?.resourceVersion === after.metadata?.resourceVersion ? 'unchanged' : 'changed'
}

/** As `applyObject` for each, told line by line. */
export async function applyAll(
  kube: KubeClient,
  objects: readonly KubeObject[],
  say: (line: string) => void,
): Promise<void> {
  for (const object of objects) {
    const done = await applyObject(kube, object)
    if (done !== 'unchanged') say(`${done} ${object.kind} ${object.metadata?.name ?? ''}`)
  }
}

/** For `-dry-run`: what would be applied, as one YAML stream. */
export const asYaml = (objects: readonly KubeObject[]): string =>
  objects.map(object => `---\n${stringify(object, { lineWidth: 0, version: '1.1' })}`).join('')

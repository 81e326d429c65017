import type { CallOptions, KubeClient } from './client.ts'
import { isNotFound } from './errors.ts'
import type { Resource } from './resources.ts'

/** `/version`; `minor` may carry a plus sign (`34+` on EKS). */
export type ServerVersion = { readonly major: string; readonly minor: string; readonly gitVersion: string }

export function serverVersion(client: KubeClient, options: CallOptions = {}): Promise<ServerVersion> {
  return client.read('/version', options)
}

/** 1.34 → 34; null when the server says something else. Native sidecars need 29 and more. */
export function minorOf(version: ServerVersion): number | null {
  const match = /^\d+/.exec(version.minor)
  return version.major === '1' && match ? Number(match[0]) : null
}

type ResourceList = {
  readonly resources?: readonly {
    readonly name: string
    readonly kind: string
    readonly namespaced: boolean
    readonly group?: string
    readonly version?: string
    readonly verbs?: readonly string[]
  }[]
}

/**
 * The resources of one group and version, subresources left out; null when the server doesn't serve it.
 * @param groupVersion as in `apiVersion`: `v1`, `external-secrets.io/v1`
 */
export async function discover(
  client: KubeClient,
  groupVersion: string,
  options: CallOptions = {},
): Promise<readonly Resource[] | null> {
  const [group, version] = groupVersion.includes('/')
    ? (groupVersion.split('/', 2) as [string, string])
    : (['', groupVersion] as const)
  const path =
    group === ''
      ? `/api/${encodeURIComponent(version)}`
      : `/apis/${encodeURIComponent(group)}/${encodeURIComponent(version)}`
  try {
    const list = await client.read<ResourceList>(path, options)
    return (list.resources ?? [])
      .filter(one => !one.name.includes('/'))
      .map(one => ({ group, version, resource: one.name, kind: one.kind, isNamespaced: one.namespaced }))
  } catch (error) {
    if (isNotFound(error)) return null
    throw error
  }
}

/** Finds the resource for an object's apiVersion and kind, asking the server once for each group and version. */
export class ResourceFinder {
  readonly #client: KubeClient
  readonly #known = new Map<string, Promise<readonly Resource[] | null>>()

  constructor(client: KubeClient) {
    this.#client = client
  }

  /** Null when the server has no such kind (now: a CRD made later is found by a later call). */
  async find(apiVersion: string, kind: string, options: CallOptions = {}): Promise<Resource | null> {
    const known = this.#known.get(apiVersion) ?? this.#ask(apiVersion, options)
    const resource = (await known)?.find(one => one.kind === kind) ?? null
    // An absence isn't remembered.
    if (!resource) this.#known.delete(apiVersion)
    return resource
  }

  #ask(apiVersion: string, options: CallOptions): Promise<readonly Resource[] | null> {
    if (this.#known.size >= 200) this.#known.clear()
    const asked = discover(this.#client, apiVersion, options)
    this.#known.set(apiVersion, asked)
    asked.catch(() => this.#known.delete(apiVersion))
    return asked
  }
}

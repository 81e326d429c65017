/** A resource of the API, perhaps one object of it: `{ group: 'apps', version: 'v1', resource: 'deployments', … }`. */
export type Target = {
  /** `''` for the core group. */
  readonly group: string
  readonly version: string
  /** Plural, lower case: `pods`. */
  readonly resource: string
  /** Absent: cluster-wide, or a list over all namespaces. */
  readonly namespace?: string
  readonly name?: string
  /** `status`, `token`, `scale`, … */
  readonly subresource?: string
}

/** A query string's parts; undefined ones are left out, `true` is written `true`. */
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

// A name becomes one path segment: `..` or a slash would ask for another object.
function segment(part: string, value: string): string {
  if (value === '' || value === '.' || value === '..' || /[/%\0]/.test(value)) {
    throw new RangeError(`${JSON.stringify(value)} can't be a Kubernetes ${part}`)
  }
  return encodeURIComponent(value)
}

/**
 * `/apis/apps/v1/namespaces/shop/deployments/web/scale`
 * @throws RangeError for a part that can't be a path segment
 */
export function pathOfTarget(target: Target): string {
  const { group, version, resource, namespace, name, subresource } = target
  let path = group === '' ? '/api' : `/apis/${segment('API group', group)}`
  path += `/${segment('API version', version)}`
  if (namespace !== undefined) path += `/namespaces/${segment('namespace', namespace)}`
  path += `/${segment('resource', resource)}`
  if (name !== undefined) path += `/${segment('name', name)}`
  if (subresource !== undefined)
    path += `/${subresource
      .split('/')
      .map(part => segment('subresource', part))
      .join('/')}`
  return path
}

/** With its `?`, or empty. */
export function queryText(query: Query): string {
  const parts: string[] = []
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    const values = typeof value === 'object' ? value : [String(value)]
    for (const one of values) parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(one)}`)
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`
}

/** `apps/v1` or `v1`, as `apiVersion` has it. */
export function apiVersionOf(target: Pick<Target, 'group' | 'version'>): string {
  return target.group === '' ? target.version : `${target.group}/${target.version}`
}

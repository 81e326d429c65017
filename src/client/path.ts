/** Values by name; a list is sent as the same name several times. */
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

/**
 * The wire form of a logical path (`secret/data/my app` → `/v1/secret/data/my%20app`). Double and outer slashes are
 * removed, as the Go client's path.Join does; a slash at the end too: a server puts it back for a list.
 * @throws RangeError for `.` and `..`: the Go client would silently ask for another path.
 */
export function wirePath(basePath: string, path: string): string {
  const segments = path.split('/').filter(segment => segment !== '')
  if (segments.some(segment => segment === '.' || segment === '..')) {
    throw new RangeError(`path "${path}": "." and ".." are not allowed in a path`)
  }
  return `${basePath}/v1/${segments.map(encodeSegment).join('/')}`
}

// What Go's URL.EscapedPath leaves alone beyond letters, digits and -_.~
const plainInPath = /%(?:24|26|2B|2C|3A|3B|3D|40)/g

function encodeSegment(segment: string): string {
  return encodeURIComponent(segment.toWellFormed())
    .replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(plainInPath, decodeURIComponent)
}

/** `?a=1&b=x`, names in order as Go's url.Values.Encode writes them; empty when there is nothing to send. */
export function wireQuery(query: Query): string {
  const params = new URLSearchParams()
  for (const name of Object.keys(query).sort()) {
    const value = query[name]
    if (value === undefined) continue
    for (const item of Array.isArray(value) ? value : [String(value)]) params.append(name, item)
  }
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}

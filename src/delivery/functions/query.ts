import { createHash } from 'node:crypto'

/** What is asked of a server, as a template writes it. */
export type Query =
  | {
      readonly kind: 'read'
      readonly path: string
      readonly parameters: Readonly<Record<string, string | readonly string[]>>
    }
  | { readonly kind: 'list'; readonly path: string }
  | { readonly kind: 'write'; readonly path: string; readonly data: Readonly<Record<string, string>> }

/**
 * The identity of a query: the same text is fetched once, however many templates ask.
 * @source consul-template dependency/vault_read.go String, vault_write.go String
 */
export function queryText(query: Query): string {
  switch (query.kind) {
    case 'read':
      return `vault.read(${query.path}${parameterText(query.parameters)})`
    case 'list':
      return `vault.list(${query.path})`
    case 'write': {
      const pairs = Object.entries(query.data).map(([key, value]) => `${key}=${value}`)
      const hash = createHash('sha256').update(pairs.sort().join('\n')).digest('hex').slice(0, 8)
      return `vault.write(${query.path} -> ${hash})`
    }
  }
}

function parameterText(parameters: Readonly<Record<string, string | readonly string[]>>): string {
  const pairs = Object.entries(parameters).map(([key, value]) => `${key}=${[value].flat().join(',')}`)
  return pairs.length === 0 ? '' : `.${pairs.sort().join('&')}`
}

/** A path as written, with its parameters after `?`. */
export function readQuery(text: string): Query {
  const [path = '', search = ''] = text
    .trim()
    .replace(/^\/+|\/+$/g, '')
    .split('?', 2)
  const parameters: Record<string, string | string[]> = {}
  for (const [key, value] of new URLSearchParams(search)) {
    const before = parameters[key]
    parameters[key] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value]
  }
  return { kind: 'read', path: path.replace(/\/+$/, ''), parameters }
}

/**
 * A namespace: part of every storage key and every path brand. At first only the root one exists: id `root`, empty path.
 * @source server-core 2.14: ids are 6 base62 characters and the suffix of tokens, leases and accessors
 */
export type NamespaceRef = { readonly id: string /** Empty, or ending in `/`. */; readonly path: string }

export const rootNamespace: NamespaceRef = { id: 'root', path: '' }

import type { JsonObject } from '#ground/text/json.ts'
import type { Envelope } from '#protocol/envelope.ts'
import { objectOf, own, textOf } from '#protocol/members.ts'
import type { ApiClient } from '../api.ts'
import { ApiError } from '../api-error.ts'
import { type CallOptions, read } from './logical.ts'

/** Where a KV engine is mounted and which version it speaks. */
export type KvMount = { readonly path: string; readonly version: 1 | 2 }

/**
 * Asks the server which mount a path lies in, unwrapped whatever the client's wrapping. A 404 means an old server: KV v1.
 * @param path `secret/app`, or the mount alone.
 * @throws ApiError 403 when there is no such mount, or the token may do nothing at or below it
 */
export async function preflight(client: ApiClient, path: string, options: CallOptions = {}): Promise<KvMount> {
  let data: JsonObject | null = null
  try {
    const answer = await client.request({
      method: 'GET',
      path: `sys/internal/ui/mounts/${path}`,
      ...options,
      wrapTtlSeconds: 0,
    })
    data = answer.envelope?.data ?? null
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return { path: '', version: 1 }
    throw error
  }
  if (data === null) throw new Error('nil response from pre-flight request')
  const version = textOf(objectOf(data, 'options'), 'version')
  return { path: textOf(data, 'path'), version: version === '2' ? 2 : 1 }
}

/** The parts of the KV v2 API, each a prefix after the mount. */
export type KvPart = 'data' | 'metadata' | 'delete' | 'undelete' | 'destroy' | 'subkeys'

/**
 * Puts a part between mount and key: (`secret/app`, `secret/`, `data`) → `secret/data/app`. The path of a mount may
 * begin with namespaces that the caller's path leaves out; those are dropped.
 * @source openbao command/kv_helpers.go addPrefixToKVPath
 */
export function kvPath(path: string, mountPath: string, part: KvPart): string {
  const bare = mountPath.replace(/\/+$/, '')
  if (path === mountPath || path === bare) return join(mountPath, part)
  let mount = mountPath
  let rest = path.startsWith(mount) ? path.slice(mount.length) : path
  while (rest === path) {
    const slash = mount.indexOf('/')
    const tail = slash < 0 ? '' : mount.slice(slash + 1)
    if (tail === '') break
    mount = tail.replace(/\/+$/, '')
    rest = rest.startsWith(mount) ? rest.slice(mount.length) : rest
  }
  return join(mount, part, rest)
}

/** Joins with single slashes, none at the ends. */
export function join(...parts: readonly string[]): string {
  return parts
    .flatMap(part => part.split('/'))
    .filter(part => part !== '')
    .join('/')
}

/** What was read of a KV engine, of either version. */
export type KvSecret = {
  readonly data: JsonObject | null
  /** Version 2 only. */
  readonly metadata: JsonObject | null
  /** Of `metadata`; null for version 1. */
  readonly version: number | null
  /** The version was deleted or destroyed: `data` is null, `metadata` says when. */
  readonly isDeleted: boolean
  readonly path: string
  readonly envelope: Envelope
}

/**
 * Reads a secret by the path that a user writes (`secret/app`, `secret/data/app`), whichever version the engine speaks.
 * @param mount when it is known already: saves the preflight.
 * @returns null when there is none.
 */
export async function readKv(
  client: ApiClient,
  path: string,
  options: CallOptions & { readonly version?: number; readonly mount?: KvMount } = {},
): Promise<KvSecret | null> {
  const { version, mount: known, ...call } = options
  const mount = known ?? (await preflight(client, path, call))
  const full = mount.version === 2 ? dataPath(path, mount) : path
  const envelope = await read(client, full, mount.version === 2 && version ? { version } : {}, call)
  if (envelope === null) return null
  if (mount.version === 1) {
    return { data: envelope.data, metadata: null, version: null, isDeleted: false, path: full, envelope }
  }
  const data = objectOf(envelope.data, 'data')
  const metadata = objectOf(envelope.data, 'metadata')
  const number = own(metadata, 'version')
  return {
    data,
    metadata,
    version: typeof number === 'number' ? number : null,
    isDeleted: data === null,
    path: full,
    envelope,
  }
}

/** Where a secret's value is. Annotations and templates hold either form; the API's own must not get a second `data/`. */
export function dataPath(path: string, mount: KvMount): string {
  const mounted = join(mount.path)
  const clean = join(path)
  return clean.startsWith(`${mounted}/data/`) ? clean : kvPath(clean, mount.path, 'data')
}

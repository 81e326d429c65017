import type { Seconds } from '#ground/base/clock.ts'
import type { Entropy } from '#ground/base/entropy.ts'
import { isJsonObject, type Json } from '#ground/text/json.ts'
import type { ApiClient } from '#client/api.ts'
import { ApiError, isTokenGone } from '#client/api-error.ts'
import { dataPath, type KvMount, kvPath, readKv } from '#client/calls/kv.ts'
import type { KvMounts } from '#client/calls/kv-mounts.ts'
import { keysOf, list, read, write } from '#client/calls/logical.ts'
import { emptyEnvelope, type Envelope } from '#protocol/envelope.ts'
import type { Query } from '#delivery/functions/query.ts'

/** What a query gave: an envelope or names, and the path that change notices name. */
export type Fetched = {
  readonly envelope: Envelope
  readonly keys: readonly string[]
  /** The path as the server knows it: `secret/data/app`. */
  readonly fullPath: string
  readonly version: number | null
}

/** The server has nothing there: tried again, since it may come. */
export class NothingThere extends Error {
  override readonly name = 'NothingThere'
  /** As the server knows it: where change notices will name it once it comes. */
  readonly path: string

  constructor(path: string) {
    super(`no secret exists at ${path}`)
    this.path = path
  }
}

const v1: KvMount = { path: '', version: 1 }

// A server whose preflight is closed to this token is treated as kv version 1, as consul-template does.
async function mountOf(client: ApiClient, path: string, mounts: KvMounts, signal: AbortSignal): Promise<KvMount> {
  try {
    return await mounts.of(client, path, { signal })
  } catch (error) {
    signal.throwIfAborted()
    // Only a refusal says that the mount won't be told; a server that is away or sealed says nothing.
    if (error instanceof ApiError && error.status >= 400 && error.status < 500 && !isTokenGone(error)) return v1
    throw error
  }
}

/**
 * Asks once. @throws NothingThere for a path without a value, ApiError and ConnectError as the client does.
 * @source consul-template dependency/vault_read.go, vault_list.go, vault_write.go
 */
export async function fetchOnce(
  client: ApiClient,
  query: Query,
  mounts: KvMounts,
  signal: AbortSignal,
): Promise<Fetched> {
  const mount = await mountOf(client, query.path, mounts, signal)
  try {
    return await fetchFrom(client, query, mount, signal)
  } catch (error) {
    // Nothing there, or not for us: perhaps the mount is of another version by now.
    if (error instanceof NothingThere || error instanceof ApiError) mounts.forget(mount)
    throw error
  }
}

async function fetchFrom(client: ApiClient, query: Query, mount: KvMount, signal: AbortSignal): Promise<Fetched> {
  switch (query.kind) {
    case 'read':
      return readOnce(client, query, mount, signal)
    case 'list': {
      const path = mount.version === 2 ? kvPath(query.path, mount.path, 'metadata') : query.path
      const envelope = await list(client, path, {}, { signal })
      return { envelope: envelope ?? emptyEnvelope, keys: keysOf(envelope), fullPath: path, version: null }
    }
    case 'write': {
      const body = mount.version === 2 ? { data: query.data } : query.data
      const path = mount.version === 2 ? kvPath(query.path, mount.path, 'data') : query.path
      const envelope = await write(client, path, body, { signal })
      if (envelope === null && mount.version === 2) throw new NothingThere(path)
      return { envelope: envelope ?? emptyEnvelope, keys: [], fullPath: path, version: null }
    }
  }
}

async function readOnce(
  client: ApiClient,
  query: Query & { kind: 'read' },
  mount: KvMount,
  signal: AbortSignal,
): Promise<Fetched> {
  if (mount.version === 1) {
    const envelope = await read(client, query.path, query.parameters as never, { signal })
    if (envelope === null || envelope.data === null) throw new NothingThere(query.path)
    return { envelope, keys: [], fullPath: query.path, version: null }
  }
  const version = Number(query.parameters['version'] ?? 0)
  const secret = await readKv(client, query.path, { signal, mount, ...(version > 0 && { version }) })
  if (secret === null || secret.isDeleted) throw new NothingThere(secret?.path ?? dataPath(query.path, mount))
  return { envelope: secret.envelope, keys: [], fullPath: secret.path, version: secret.version }
}

/** The share of a lifetime after which a value is read again: 85 to 95 %, by chance. @source consul-template vault_common.go */
const threshold = (entropy: Entropy): number => 0.85 + 0.1 * entropy.fraction()

function wholeOf(data: Json | null, name: string): number {
  const value = isJsonObject(data ?? undefined) ? (data as Record<string, Json>)[name] : undefined
  return typeof value === 'number' ? value : typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : 0
}

/**
 * Seconds until a value without a renewable lease is read again.
 * @param staticInterval for what says nothing of its life (KV version 2), and the longest for KV version 1.
 * @source consul-template dependency/vault_common.go leaseCheckWait
 */
export function readAgainAfter(envelope: Envelope, staticInterval: Seconds, entropy: Entropy, nowMs: number): number {
  const { data, leaseId, leaseDuration } = envelope
  if (leaseId === '') {
    const expiration = wholeOf(data, 'expiration')
    if (expiration > 0 && isJsonObject(data ?? undefined) && 'certificate' in (data as object)) {
      return Math.max(1, (expiration - nowMs / 1000) * threshold(entropy))
    }
    const secretIdTtl = wholeOf(data, 'secret_id_ttl')
    if (secretIdTtl > 0) return (secretIdTtl + 1) * threshold(entropy)
    if (wholeOf(data, 'rotation_period') > 0) return wholeOf(data, 'ttl') + 1
    // KV version 1 says how long its value holds; an interval that is shorter finds a change sooner.
    const holds = leaseDuration > 0 ? Math.min(leaseDuration, staticInterval) : staticInterval
    return holds * threshold(entropy)
  }
  return (leaseDuration > 0 ? leaseDuration : staticInterval) * threshold(entropy)
}

import { isJsonObject, type JsonObject } from '#ground/text/json.ts'
import { isTrue, own } from '#protocol/members.ts'
import type { ApiClient } from '../api.ts'
import { ApiError } from '../api-error.ts'
import { type CallOptions, keysOf, list, read, remove, write } from './logical.ts'

/** A bare answer's object: seal-status, init, leader have no envelope. */
async function bare(
  client: ApiClient,
  method: string,
  path: string,
  body: JsonObject | null,
  options: CallOptions,
): Promise<JsonObject> {
  const answer = await client.request({ method, path, ...(body && { body }), ...options })
  if (!isJsonObject(answer.json)) throw new Error(`unexpected answer of ${path}: no JSON object`)
  return answer.json
}

export const sealStatus = (client: ApiClient, options: CallOptions = {}): Promise<JsonObject> =>
  bare(client, 'GET', 'sys/seal-status', null, options)

export const leader = (client: ApiClient, options: CallOptions = {}): Promise<JsonObject> =>
  bare(client, 'GET', 'sys/leader', null, options)

/** The health of a node whatever its state: each state is asked to answer 299, so that nothing is retried. */
export async function health(client: ApiClient, options: CallOptions = {}): Promise<JsonObject> {
  const query = Object.fromEntries(
    ['uninitcode', 'sealedcode', 'standbycode', 'drsecondarycode', 'performancestandbycode', 'removedcode'].map(
      code => [code, 299],
    ),
  )
  const answer = await client.request({ method: 'GET', path: 'sys/health', query, ...options })
  if (!isJsonObject(answer.json)) throw new Error('unexpected answer of sys/health: no JSON object')
  return answer.json
}

export async function isInitialized(client: ApiClient, options: CallOptions = {}): Promise<boolean> {
  return isTrue(await bare(client, 'GET', 'sys/init', null, options), 'initialized')
}

/** @returns `keys`, `keys_base64`, `root_token`, and the recovery forms with an auto-seal (server-core 2.2). */
export const initialize = (client: ApiClient, body: JsonObject, options: CallOptions = {}): Promise<JsonObject> =>
  bare(client, 'PUT', 'sys/init', body, options)

export const unseal = (client: ApiClient, body: JsonObject, options: CallOptions = {}): Promise<JsonObject> =>
  bare(client, 'PUT', 'sys/unseal', body, options)

export async function seal(client: ApiClient, options: CallOptions = {}): Promise<void> {
  await client.request({ method: 'PUT', path: 'sys/seal', ...options })
}

/** Mounts by path, each path with its slash. @param kind `mounts` or `auth`. */
export async function listMounts(
  client: ApiClient,
  kind: 'mounts' | 'auth',
  options: CallOptions = {},
): Promise<JsonObject> {
  const envelope = await read(client, `sys/${kind}`, {}, options)
  if (!envelope?.data) throw new Error('data from server response is empty')
  return envelope.data
}

export async function enableMount(
  client: ApiClient,
  kind: 'mounts' | 'auth',
  path: string,
  body: JsonObject,
  options: CallOptions = {},
): Promise<void> {
  await client.request({ method: 'POST', path: `sys/${kind}/${path}`, body, ...options })
}

export async function disableMount(
  client: ApiClient,
  kind: 'mounts' | 'auth',
  path: string,
  options: CallOptions = {},
): Promise<void> {
  await remove(client, `sys/${kind}/${path}`, {}, options)
}

export async function tuneMount(
  client: ApiClient,
  kind: 'mounts' | 'auth',
  path: string,
  body: JsonObject,
  options: CallOptions = {},
): Promise<void> {
  const target = kind === 'auth' ? `sys/mounts/auth/${path}/tune` : `sys/mounts/${path}/tune`
  await client.request({ method: 'POST', path: target, body, ...options })
}

/** Begins to move a mount. @param from `auth/x` for an auth method. @returns the move's id */
export async function startRemount(
  client: ApiClient,
  from: string,
  to: string,
  options: CallOptions = {},
): Promise<string> {
  const { envelope } = await client.request({ method: 'POST', path: 'sys/remount', body: { from, to }, ...options })
  const id = own(envelope?.data ?? {}, 'migration_id')
  if (typeof id !== 'string') throw new Error('unexpected answer of sys/remount: no migration_id')
  return id
}

/** `in-progress`, `success` or `failure`. */
export async function remountStatus(client: ApiClient, id: string, options: CallOptions = {}): Promise<string> {
  const envelope = await read(client, `sys/remount/status/${id}`, {}, options)
  const info = own(envelope?.data ?? {}, 'migration_info')
  const status = isJsonObject(info) ? own(info, 'status') : undefined
  if (typeof status !== 'string') throw new Error('the server knows nothing of this move: it was restarted meanwhile')
  return status
}

/** Audit devices by path, each path with its slash. */
export async function listAudits(client: ApiClient, options: CallOptions = {}): Promise<JsonObject> {
  const { envelope } = await client.request({ method: 'GET', path: 'sys/audit', ...options })
  if (!envelope?.data) throw new Error('data from server response is empty')
  return envelope.data
}

export async function enableAudit(
  client: ApiClient,
  path: string,
  body: JsonObject,
  options: CallOptions = {},
): Promise<void> {
  await write(client, `sys/audit/${path}`, body, options)
}

export async function disableAudit(client: ApiClient, path: string, options: CallOptions = {}): Promise<void> {
  await remove(client, `sys/audit/${path}`, {}, options)
}

export async function listPolicies(client: ApiClient, options: CallOptions = {}): Promise<string[]> {
  const envelope = await list(client, 'sys/policies/acl', {}, options)
  if (!envelope?.data) throw new Error('data from server response is empty')
  return keysOf(envelope)
}

/** @returns null when there is none of this name. */
export async function readPolicy(client: ApiClient, name: string, options: CallOptions = {}): Promise<string | null> {
  try {
    const answer = await client.request({ method: 'GET', path: `sys/policies/acl/${name}`, ...options })
    const policy = own(answer.envelope?.data ?? null, 'policy')
    if (typeof policy !== 'string') throw new Error('no policy found in response')
    return policy
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null
    throw error
  }
}

export async function writePolicy(
  client: ApiClient,
  name: string,
  policy: string,
  options: CallOptions = {},
): Promise<void> {
  await write(client, `sys/policies/acl/${name}`, { policy }, options)
}

export async function deletePolicy(client: ApiClient, name: string, options: CallOptions = {}): Promise<void> {
  await remove(client, `sys/policies/acl/${name}`, {}, options)
}

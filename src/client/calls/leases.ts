import type { JsonObject } from '#ground/text/json.ts'
import type { Envelope } from '#protocol/envelope.ts'
import { own, textOf, wholeOf } from '#protocol/members.ts'
import type { ApiClient } from '../api.ts'
import { type CallOptions, read, write } from './logical.ts'

/** @throws ApiError 400 `invalid lease` */
export async function lookupLease(client: ApiClient, id: string, options: CallOptions = {}): Promise<Envelope> {
  const envelope = await write(client, 'sys/leases/lookup', { lease_id: id }, options)
  if (envelope === null) throw new Error('data from server response is empty')
  return envelope
}

/** The whole answer of a renewal, for showing. */
export async function renewLeaseWhole(
  client: ApiClient,
  id: string,
  incrementSeconds: number,
  options: CallOptions = {},
): Promise<Envelope> {
  const body = { increment: incrementSeconds, lease_id: id }
  const envelope = await write(client, 'sys/leases/renew', body, options)
  if (envelope === null) throw new Error('data from server response is empty')
  return envelope
}

export type RevokeScope = 'lease' | 'prefix' | 'force'

/** Where a revocation that is done in parts goes on, and about how many leases a part is. */
export type RevokePart = { readonly batch: number; readonly after: string }

/** What one part did. `next` null: nothing is left. */
export type RevokedPart = {
  readonly ended: number
  readonly failed: number
  /** The first that could not be revoked, and why; empty: none. */
  readonly error: string
  readonly next: string | null
}

/**
 * Revokes a lease, or what lies below a path.
 * @param isSync answer once all of it is gone; a forced one always does.
 * @param part only some of it; a server that doesn't know of parts does all of it, and answers null.
 */
export async function revokeLeases(
  client: ApiClient,
  id: string,
  scope: RevokeScope,
  isSync: boolean,
  part: RevokePart | null = null,
  options: CallOptions = {},
): Promise<RevokedPart | null> {
  const path = scope === 'lease' ? 'sys/leases/revoke' : `sys/leases/revoke-${scope}/${id.replace(/^\/+/, '')}`
  const body: JsonObject = {
    ...(scope === 'lease' && { lease_id: id }),
    ...(scope !== 'force' && { sync: isSync }),
    ...(part !== null && { batch: part.batch, ...(part.after !== '' && { after: part.after }) }),
  }
  // What it says of the next part is never wrapped: nothing would be revoked after the first.
  const { envelope } = await client.request({ method: 'PUT', path, body, wrapTtlSeconds: 0, ...options })
  const data = envelope?.data ?? null
  if (data === null || own(data, 'ended') === undefined) return null
  const next = textOf(data, 'next')
  return {
    ended: wholeOf(data, 'ended'),
    failed: wholeOf(data, 'failed'),
    error: textOf(data, 'error'),
    next: next === '' ? null : next,
  }
}

/** Leases that ended and can't be revoked. @param limit a number, `none`, or empty for the server's own. */
export function irrevocableLeases(client: ApiClient, limit: string, options: CallOptions = {}) {
  const query = { type: 'irrevocable', ...(limit !== '' && { limit }) }
  return read(client, 'sys/leases', query, options)
}

/** How many of those there are, by mount. */
export const countIrrevocable = (client: ApiClient, options: CallOptions = {}) =>
  read(client, 'sys/leases/count', { type: 'irrevocable' }, options)

/** How many leases the present rate comes to; coffer's own. @param prefix only what lies below it. */
export function forecastLeases(client: ApiClient, prefix: string, options: CallOptions = {}) {
  return read(client, 'sys/leases/forecast', prefix === '' ? {} : { prefix }, options)
}

import type { Envelope } from '#protocol/envelope.ts'
import type { ApiClient } from '../api.ts'
import { type CallOptions, write } from './logical.ts'

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

/** @param isSync answer once all of it is gone; a forced one always does. */
export async function revokeLeases(
  client: ApiClient,
  id: string,
  scope: RevokeScope,
  isSync: boolean,
  options: CallOptions = {},
): Promise<void> {
  const path = scope === 'lease' ? 'sys/leases/revoke' : `sys/leases/revoke-${scope}/${id.replace(/^\/+/, '')}`
  const body = { ...(scope === 'lease' && { lease_id: id }), ...(scope !== 'force' && { sync: isSync }) }
  await client.request({ method: 'PUT', path, body, ...options })
}

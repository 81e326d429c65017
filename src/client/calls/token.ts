import type { Secret } from '#ground/base/secret.ts'
import type { JsonObject } from '#ground/text/json.ts'
import type { AuthBlock } from '#protocol/envelope.ts'
import type { ApiClient } from '../api.ts'
import { type CallOptions, read, write } from './logical.ts'

/** What the server knows of the client's own token: `ttl`, `policies`, `renewable`, … (server-core 3.6). */
export async function lookupSelf(client: ApiClient, options: CallOptions = {}): Promise<JsonObject> {
  const envelope = await read(client, 'auth/token/lookup-self', {}, options)
  if (!envelope?.data) throw new Error('empty response from lookup-self')
  return envelope.data
}

export async function lookup(client: ApiClient, token: Secret, options: CallOptions = {}): Promise<JsonObject> {
  const body = { token: token.reveal('token to look up') }
  const envelope = await write(client, 'auth/token/lookup', body, options)
  if (!envelope?.data) throw new Error('empty response from lookup')
  return envelope.data
}

/**
 * Asks for more time for the client's own token.
 * @param incrementSeconds counted from now, and only a wish; 0 leaves it to the server.
 */
export async function renewSelf(
  client: ApiClient,
  incrementSeconds: number,
  options: CallOptions = {},
): Promise<AuthBlock> {
  const envelope = await write(client, 'auth/token/renew-self', increment(incrementSeconds), options)
  if (!envelope?.auth) throw new Error('returned empty secret data')
  return envelope.auth
}

export async function revokeSelf(client: ApiClient, options: CallOptions = {}): Promise<void> {
  await write(client, 'auth/token/revoke-self', {}, options)
}

/** The server's word on a lease. */
export type RenewedLease = { readonly leaseId: string; readonly ttlSeconds: number; readonly isRenewable: boolean }

export async function renewLease(
  client: ApiClient,
  leaseId: string,
  incrementSeconds: number,
  options: CallOptions = {},
): Promise<RenewedLease> {
  const envelope = await write(
    client,
    'sys/leases/renew',
    { lease_id: leaseId, ...increment(incrementSeconds) },
    options,
  )
  if (!envelope) throw new Error('returned empty secret data')
  return { leaseId: envelope.leaseId, ttlSeconds: envelope.leaseDuration, isRenewable: envelope.renewable }
}

export async function revokeLease(client: ApiClient, leaseId: string, options: CallOptions = {}): Promise<void> {
  await write(client, 'sys/leases/revoke', { lease_id: leaseId }, options)
}

// The Go client always sends the member; 0 and absent mean the same to every server.
function increment(seconds: number): { increment: number } {
  return { increment: seconds }
}

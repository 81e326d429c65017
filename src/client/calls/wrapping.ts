import type { Secret } from '#ground/base/secret.ts'
import type { Envelope } from '#protocol/envelope.ts'
import type { ApiClient } from '../api.ts'
import { type CallOptions, write } from './logical.ts'

/**
 * Fetches what was wrapped, unwrapped whatever the client's own wrapping; this works once.
 * @param token null: the client's own token is the wrapping token. Without an own token the client asks by this one.
 * @returns null when nothing was in it
 */
export async function unwrap(
  client: ApiClient,
  token: Secret | null,
  options: Pick<CallOptions, 'signal'> = {},
): Promise<Envelope | null> {
  const why = 'the wrapping token, to fetch what it wraps'
  const named = token?.reveal(why)
  const isOwn = named === undefined || named === client.token?.reveal(why)
  const asking = token !== null && client.token === null ? client.with({ token }) : client
  const body = isOwn || asking !== client ? {} : { token: named }
  return write(asking, 'sys/wrapping/unwrap', body, { ...options, wrapTtlSeconds: 0 })
}

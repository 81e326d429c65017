import type { World } from '#ground/base/world.ts'
import type { AuthBlock } from '#protocol/envelope.ts'
import type { ApiClient } from './api.ts'
import { isLeaseGone, isTokenGone } from './api-error.ts'
import { renewLease, renewSelf } from './calls/token.ts'
import { keepAlive, type LifetimeEnd, type LifetimeOptions } from './lifetime.ts'
import { lifetimeOf } from './login/login.ts'

type Watch = Pick<LifetimeOptions, 'signal' | 'incrementSeconds' | 'onRenewed' | 'onRetry' | 'grantedAtMs' | 'onError'>

/**
 * Keeps a login's token alive until it can't be any more; then log in again (`near-expiry`, `gone`).
 * @param client any client of the server; the token of `auth` is used.
 */
export function keepToken(
  world: Pick<World, 'clock' | 'entropy'>,
  client: ApiClient,
  auth: AuthBlock,
  watch: Watch,
): Promise<LifetimeEnd> {
  const mine = client.with({ token: auth.clientToken, wrapTtlSeconds: 0, maxRetries: 0 })
  return keepAlive(world, {
    ...watch,
    lifetime: lifetimeOf(auth),
    renew: async (increment, signal) => lifetimeOf(await renewSelf(mine, increment, { signal })),
    isGone: isTokenGone,
  })
}

/** The same for a lease (a database user): the first failure ends it, for then the secret is fetched anew. */
export function keepLease(
  world: Pick<World, 'clock' | 'entropy'>,
  client: ApiClient,
  lease: { readonly leaseId: string; readonly ttlSeconds: number; readonly isRenewable: boolean },
  watch: Watch,
): Promise<LifetimeEnd> {
  return keepAlive(world, {
    onError: 'end',
    ...watch,
    lifetime: lease,
    renew: (increment, signal) => renewLease(client, lease.leaseId, increment, { signal, wrapTtlSeconds: 0 }),
    isGone: isLeaseGone,
  })
}

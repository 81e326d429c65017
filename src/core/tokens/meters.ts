import type { Clock } from '#ground/base/clock.ts'
import type { Counter, Metrics } from '#ground/base/metrics.ts'
import { expirationMeters, ttlBucket } from '#core/leases/meters.ts'

export type TokenMeters = ReturnType<typeof tokenMeters>

/** Under Vault's names; ms where nothing else is said. @source openbao vault/token_store.go */
export const tokenMeters = (metrics: Metrics, clock: Pick<Clock, 'monotonic'>) => ({
  now: () => clock.monotonic(),
  create: metrics.summary('token.create'),
  revokeTree: metrics.summary('token.revoke-tree'),
  renew: metrics.summary('expire.renew-token'),
  registered: metrics.summary('expire.register-auth'),
  expiration: expirationMeters(metrics),
  created: creations(metrics),
})

type Creation = { readonly method: string; readonly mountPoint: string; readonly ttl: number; readonly type: string }

/** Tokens made, by method, mount and TTL; a login makes no string of all its labels. */
function creations(metrics: Metrics): (creation: Creation) => void {
  const byMount = new Map<string, Map<string, Counter>>()
  return ({ method, mountPoint, ttl, type }) => {
    const bucket = ttl === 0 ? '+Inf' : ttlBucket(ttl)
    let counters = byMount.get(mountPoint)
    if (counters === undefined) byMount.set(mountPoint, (counters = new Map()))
    let counter = counters.get(`${type} ${bucket}`)
    if (counter === undefined) {
      counter = metrics.counter('token.creation', [
        ['namespace', 'root'],
        ['auth_method', method],
        ['mount_point', mountPoint],
        ['creation_ttl', bucket],
        ['token_type', type],
      ])
      counters.set(`${type} ${bucket}`, counter)
    }
    counter.add()
  }
}

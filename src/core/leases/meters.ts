import type { Metrics } from '#ground/base/metrics.ts'

export type LeaseMeters = ReturnType<typeof leaseMeters>

/** Under Vault's names; ms where nothing else is said. @source openbao vault/expiration.go */
export const leaseMeters = (metrics: Metrics) => ({
  register: metrics.summary('expire.register'),
  renew: metrics.summary('expire.renew'),
  revoke: metrics.summary('expire.revoke'),
  revokeByToken: metrics.summary('expire.revoke-by-token'),
  revokePrefix: metrics.summary('expire.revoke-prefix'),
  revokeForce: metrics.summary('expire.revoke-force'),
  fetchTimes: metrics.summary('expire.fetch-lease-times'),
  expiration: expirationMeters(metrics),
  /** By mount and TTL. */
  created: (engine: string, mountPoint: string, ttl: number): void =>
    metrics
      .counter('secret.lease.creation', [
        ['namespace', 'root'],
        ['secret_engine', engine],
        ['mount_point', mountPoint],
        ['creation_ttl', ttlBucket(ttl)],
      ])
      .add(),
})

const inRoot = [['namespace', 'root']] as const

/** Ends that came by themselves, of leases and of tokens. */
export const expirationMeters = (metrics: Metrics) => ({
  ended: metrics.counter('expire.lease_expiration', inRoot),
  failed: metrics.counter('expire.lease_expiration.error', inRoot),
  inQueue: metrics.summary('expire.lease_expiration.time_in_queue', inRoot),
})

const buckets = [
  [60, '1m'],
  [600, '10m'],
  [1_200, '20m'],
  [3_600, '1h'],
  [7_200, '2h'],
  [86_400, '1d'],
  [172_800, '2d'],
  [604_800, '7d'],
  [2_592_000, '30d'],
] as const

/** The next of the few TTLs that series are told apart by; seconds. @source openbao helper/metricsutil TTLBucket */
export const ttlBucket = (ttl: number): string => buckets.find(([most]) => ttl <= most)?.[1] ?? '+Inf'

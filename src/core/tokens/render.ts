import type { Instant } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import { type TokenEntry, typeOf } from './entry.ts'

/** Whole seconds left, rounded so that a TTL just given shows as given; 0 for tokens without end. */
export function secondsLeft(entry: Pick<TokenEntry, 'expiresAt'>, now: Instant): number {
  return entry.expiresAt === null ? 0 : Math.max(0, Math.round((entry.expiresAt - now) / 1000))
}

/** The `auth` block of logins, creations and renewals. @source openbao sdk/logical/translate_response.go */
export function authBlock(
  token: string,
  entry: TokenEntry,
  identityPolicies: readonly string[],
  leaseDuration: number,
): { readonly [key: string]: Json } {
  const policies = [...new Set([...entry.policies, ...identityPolicies])].sort()
  return {
    client_token: token,
    accessor: entry.accessor,
    policies,
    token_policies: entry.policies,
    ...(identityPolicies.length > 0 && { identity_policies: [...identityPolicies].sort() }),
    metadata: entry.metadata,
    lease_duration: leaseDuration,
    renewable: entry.renewable && entry.expiresAt !== null,
    entity_id: entry.entityId,
    token_type: typeOf(entry),
    orphan: entry.parent === null,
    mfa_requirement: null,
    num_uses: Math.max(0, entry.numUses),
  }
}

/** `data` of the lookups. @source server-core 3.6 */
export function lookupData(token: string, entry: TokenEntry, identityPolicies: readonly string[], now: Instant): Json {
  return {
    accessor: entry.accessor,
    creation_time: Math.floor(entry.createdAt / 1000),
    creation_ttl: entry.creationTtl,
    display_name: entry.displayName,
    entity_id: entry.entityId,
    expire_time: entry.expiresAt === null ? null : formatRfc3339Nano(entry.expiresAt),
    explicit_max_ttl: entry.explicitMaxTtl,
    id: token,
    ...(entry.expiresAt !== null && { issue_time: formatRfc3339Nano(entry.createdAt) }),
    ...(entry.renewedAt !== null && {
      last_renewal: formatRfc3339Nano(entry.renewedAt),
      last_renewal_time: Math.floor(entry.renewedAt / 1000),
    }),
    meta: entry.metadata,
    num_uses: entry.numUses,
    orphan: entry.parent === null,
    path: entry.path,
    ...(entry.period > 0 && { period: entry.period }),
    policies: entry.policies,
    ...(identityPolicies.length > 0 && { identity_policies: identityPolicies }),
    ...(entry.boundCidrs.length > 0 && { bound_cidrs: entry.boundCidrs }),
    ...(entry.expiresAt !== null && { renewable: entry.renewable }),
    ...(entry.tokenRole !== undefined && { role: entry.tokenRole.name }),
    ttl: secondsLeft(entry, now),
    type: typeOf(entry),
  }
}

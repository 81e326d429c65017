import type { Caller } from '#backend/call.ts'
import type { TokenKey } from '#backend/engine.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import type { AuditedToken } from './audited.ts'
import type { EntityEntry } from '#core/identity/entry.ts'
import type { Standing } from '#core/identity/standing.ts'
import { normalPolicyName, rootPolicyName } from '#core/policy/names.ts'
import { type TokenEntry, typeOf } from './entry.ts'

/** A token in use: what requests need of it, made once and kept as long as entry and standing hold. */
export type LiveToken = {
  /** Of a batch token: nothing is kept under it. */
  readonly key: TokenKey
  readonly entry: TokenEntry
  readonly entity: EntityEntry | null
  /** Who its entity is, with all its groups; null without one, and when it is gone. */
  readonly standing: Standing | null
  /** It had an entity, and that is gone: it is good for nothing. */
  readonly isOrphaned: boolean
  readonly caller: Caller
  readonly audited: AuditedToken
  /** Own and identity policies together, sorted, without doubles. */
  readonly policies: readonly string[]
  readonly isRoot: boolean
}

export function makeLive(token: string, key: TokenKey, entry: TokenEntry, standing: Standing | null): LiveToken {
  const identityPolicies = standing === null ? [] : identityPoliciesOf(standing.policies)
  const policies = [...new Set([...entry.policies, ...identityPolicies])].sort()
  const isRoot = entry.policies.includes('root')
  return {
    key,
    entry,
    entity: standing?.entity ?? null,
    standing,
    isOrphaned: standing === null && entry.entityId !== '',
    policies,
    isRoot,
    caller: {
      accessor: entry.accessor,
      displayName: entry.displayName,
      tokenType: typeOf(entry),
      tokenPolicies: entry.policies,
      identityPolicies,
      entityId: entry.entityId,
      metadata: entry.metadata,
      isRoot,
      path: entry.path,
      expiresAt: entry.expiresAt,
    },
    audited: {
      token,
      accessor: entry.accessor,
      displayName: entry.displayName,
      policies,
      tokenPolicies: entry.policies,
      identityPolicies,
      metadata: entry.metadata,
      numUses: Math.max(0, entry.numUses),
      entityId: entry.entityId,
      type: typeOf(entry),
      ttl: entry.creationTtl,
      issueTime: formatRfc3339Nano(entry.createdAt),
    },
  }
}

/** Normal, sorted, without doubles; `root` comes by no identity. */
export const identityPoliciesOf = (written: readonly string[]): readonly string[] =>
  [...new Set(written.map(normalPolicyName))].filter(name => name !== '' && name !== rootPolicyName).sort()

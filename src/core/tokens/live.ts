import type { Caller } from '#backend/call.ts'
import type { TokenKey } from '#backend/engine.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import type { AuditedToken } from './audited.ts'
import type { EntityEntry } from '#core/identity/identity.ts'
import { type TokenEntry, typeOf } from './entry.ts'

/** A token in use: what requests need of it, made once and kept as long as entry and entity stay the same objects. */
export type LiveToken = {
  /** Of a batch token: nothing is kept under it. */
  readonly key: TokenKey
  readonly entry: TokenEntry
  readonly entity: EntityEntry | null
  readonly caller: Caller
  readonly audited: AuditedToken
  /** Own and identity policies together, sorted, without doubles. */
  readonly policies: readonly string[]
  readonly isRoot: boolean
}

export function makeLive(token: string, key: TokenKey, entry: TokenEntry, entity: EntityEntry | null): LiveToken {
  const identityPolicies = entity === null ? [] : [...entity.policies].sort()
  const policies = [...new Set([...entry.policies, ...identityPolicies])].sort()
  const isRoot = entry.policies.includes('root')
  return {
    key,
    entry,
    entity,
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

import { type Instant, instant, type Seconds, seconds } from '#ground/base/clock.ts'
import type { Login, NewToken, TokenParameters } from '#backend/login.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { Found, Identity } from '#core/identity/identity.ts'
import { normalPolicyName } from '#core/policy/names.ts'
import { fault } from '#protocol/fault.ts'
import type { TokenEntry } from './entry.ts'
import { identityPoliciesOf } from './live.ts'
import type { Issued, Tokens } from './tokens.ts'
import { calculateTtl } from '#core/leases/ttl.ts'

/** TTLs of the mount that grants. */
export type MountTtls = { readonly defaultTtl: Seconds; readonly maxTtl: Seconds }

/** The mount that a login came through. */
export type LoginMount = MountTtls & { readonly path: string; readonly accessor: string; readonly tokenType: string }

export type Registered = Issued & { readonly identityPolicies: readonly string[]; readonly warnings: readonly string[] }

const none = seconds(0)

/** Sorted, lower case, without doubles and blanks; `root` stands alone. @source server-core 3.4 */
export function normalPolicies(names: readonly string[]): readonly string[] {
  const clean = [...new Set(names.map(normalPolicyName).filter(name => name !== ''))].sort()
  return clean.includes('root') ? ['root'] : clean
}

/**
 * A token for who an auth method found: entity, token and due time in one commit.
 * @throws Fault when the method gives what a login may not give, or the entity is disabled.
 * @source openbao vault/request_handling.go handleLoginRequest
 */
export async function registerLogin(
  house: { tokens: Tokens; identity: Identity },
  login: Login,
  mount: LoginMount,
  at: { path: string; now: Instant; role: string | null },
): Promise<Registered> {
  const { parameters } = login
  const type = typeOfLogin(parameters, mount)
  const policies = normalPolicies([...parameters.policies, ...(parameters.noDefaultPolicy ? [] : ['default'])])
  if (policies.includes('root')) throw fault('request.invalid', 'auth methods cannot create root tokens')
  if (policies.includes('response-wrapping')) throw fault('request.invalid', 'cannot assign policy "response-wrapping"')
  const grant = calculateTtl({
    increment: none,
    backendTtl: parameters.ttl,
    backendMaxTtl: parameters.maxTtl,
    period: parameters.period,
    explicitMaxTtl: parameters.explicitMaxTtl,
    mountDefaultTtl: mount.defaultTtl,
    mountMaxTtl: mount.maxTtl,
    issuedAt: at.now,
    now: at.now,
  })
  if (grant.kind === 'past') throw fault('backend.failed_bare', 'past the max TTL, cannot renew')
  const entry: Omit<TokenEntry, 'accessor'> = {
    parent: null,
    policies,
    path: at.path,
    metadata: login.metadata,
    displayName: displayName(mount.path, login.displayName),
    numUses: parameters.numUses,
    createdAt: at.now,
    creationTtl: grant.ttl,
    expiresAt: instant(at.now + grant.ttl * 1000),
    renewedAt: null,
    grantedTtl: grant.ttl,
    explicitMaxTtl: parameters.explicitMaxTtl,
    period: parameters.period,
    renewable: login.renewable,
    entityId: '',
    boundCidrs: parameters.boundCidrs,
    mountAccessor: mount.accessor,
    ...(at.role !== null && { role: at.role }),
    login: { alias: login.alias, metadata: login.metadata, parameters, internal: login.internal },
  }
  const issue = (entityId: string, writes: Found['writes']): Promise<Issued> =>
    type === 'batch'
      ? house.tokens.issueBatch({ ...entry, entityId }, writes)
      : house.tokens.issue({ ...entry, entityId }, writes)
  if (login.alias === null) return { ...(await issue('', [])), identityPolicies: [], warnings: grant.warnings }
  if (login.alias.name === '') throw fault('backend.failed_bare', 'missing name in alias')
  const register = async (found: Found): Promise<Registered> => ({
    ...(await issue(enabled(found).id, found.writes)),
    identityPolicies: identityPoliciesOf(found.policies),
    warnings: grant.warnings,
  })
  return house.identity.atLogin(mount.accessor, login.alias, register, login.groupAliases)
}

function enabled({ entity }: Found): Found['entity'] {
  if (!entity.isDisabled) return entity
  throw fault('permission.bare', 'permission denied', { reason: `entity ${entity.id} is disabled` })
}

/**
 * A mount tuned to `service` or `batch` decides; its defaults decide where the role says nothing.
 * @source vault/vault/router.go routeCommon
 */
function typeOfLogin({ type, numUses }: TokenParameters, mount: LoginMount): 'service' | 'batch' {
  const isTuned = mount.tokenType === 'service' || mount.tokenType === 'batch'
  const decides = isTuned || type === 'default' ? mount.tokenType : type
  const isBatch = decides === 'batch' || decides === 'default-batch'
  // Where a role is limited to uses and its mount to batch tokens, one of them has to change: silence would lift the limit.
  if (isBatch && numUses > 0) throw fault('request.invalid', 'batch tokens cannot have "num_uses" set')
  return isBatch ? 'batch' : 'service'
}

const displayName = (mountPath: string, name: string): string => {
  const mount = mountPath
    .replace(/^auth\//, '')
    .replace(/\/$/, '')
    .replaceAll('/', '-')
  return name === '' ? mount : `${mount}-${name}`
}

/**
 * A token asked for by `auth/token/create*`, whose handler checked what the caller may ask for.
 * @param alias found or made on the mount: its entity is the token's. null: that of the parent, of which orphans have none.
 * @source openbao vault/token_store.go handleCreateCommon
 */
export async function registerToken(
  house: { tokens: Tokens; identity: Identity },
  asked: NewToken,
  parent: { key: TokenKey; entry: TokenEntry } | null,
  mount: MountTtls & { accessor: string },
  at: { now: Instant },
): Promise<Registered> {
  const isRoot = asked.policies.includes('root')
  const isEndless = isRoot && asked.ttl === 0 && asked.period === 0 && asked.explicitMaxTtl === 0
  const grant = isEndless
    ? { kind: 'granted' as const, ttl: none, warnings: [] }
    : calculateTtl({
        increment: asked.ttl,
        backendTtl: isRoot ? asked.explicitMaxTtl : none,
        backendMaxTtl: none,
        period: asked.period,
        explicitMaxTtl: asked.explicitMaxTtl,
        mountDefaultTtl: mount.defaultTtl,
        mountMaxTtl: mount.maxTtl,
        issuedAt: at.now,
        now: at.now,
      })
  if (grant.kind === 'past') throw fault('request.invalid', 'past the max TTL, cannot renew')
  const entry: Omit<TokenEntry, 'accessor'> = {
    parent: asked.isOrphan ? null : (parent?.key ?? null),
    ...(parent !== null && !asked.isOrphan && { parentAccessor: parent.entry.accessor }),
    policies: asked.policies,
    path: asked.path,
    metadata: asked.metadata,
    displayName: asked.displayName,
    numUses: asked.numUses,
    createdAt: at.now,
    creationTtl: grant.ttl,
    expiresAt: isEndless ? null : instant(at.now + grant.ttl * 1000),
    renewedAt: null,
    grantedTtl: grant.ttl,
    explicitMaxTtl: asked.explicitMaxTtl,
    period: asked.period,
    renewable: asked.renewable && !isEndless,
    entityId: asked.isOrphan ? '' : (parent?.entry.entityId ?? ''),
    boundCidrs: isEndless ? [] : asked.boundCidrs,
    mountAccessor: mount.accessor,
    ...(asked.role !== null && { tokenRole: asked.role }),
    login: null,
  }
  const issue = (entityId: string, writes: Found['writes']): Promise<Issued> =>
    asked.type === 'batch'
      ? house.tokens.issueBatch({ ...entry, entityId }, writes)
      : house.tokens.issue({ ...entry, entityId }, writes, asked.id)
  const { warnings } = grant
  if (asked.alias === null) return { ...(await issue(entry.entityId, [])), identityPolicies: [], warnings }
  return house.identity.atLogin(mount.accessor, asked.alias, async found => ({
    ...(await issue(enabled(found).id, found.writes)),
    identityPolicies: identityPoliciesOf(found.policies),
    warnings,
  }))
}

import { type Seconds, seconds } from '#ground/base/clock.ts'
import { bool, durationSeconds, int, stringList, stringMap, text } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import { matchesAnyGlob } from '#ground/text/glob.ts'
import type { Call } from '#backend/call.ts'
import type { NewToken } from '#backend/login.ts'
import type { Reply } from '#backend/reply.ts'
import { least } from '#core/leases/ttl.ts'
import type { TokenRole } from '#core/tokens/roles.ts'
import { fault } from '#protocol/fault.ts'
import { choosePolicies, chooseType } from './choose.ts'
import type { TokenState } from './state.ts'

export const createFields = {
  id: text({ description: 'The token itself, instead of a random one; root or sudo only.', isSecret: true }),
  policies: stringList({ description: 'Policies of the token; without any, those of the caller.' }),
  meta: stringMap({ description: 'Metadata shown in audit and lookups.' }),
  no_parent: bool({ description: 'Make an orphan; root or sudo only. By a role, the role says.' }),
  no_default_policy: bool({ description: 'Leave the default policy out.' }),
  renewable: bool({ description: 'May the token be renewed?', fallback: true }),
  ttl: text({ description: 'How long it lives, like "1h".' }),
  lease: text({ description: 'Old name of ttl.', isDeprecated: true }),
  type: text({ description: 'service: kept, renewed and revoked. batch: kept nowhere, ends by itself or its parent.' }),
  explicit_max_ttl: text({ description: 'An end that no renewal passes.' }),
  display_name: text({ description: 'Shown in audit and lookups.', fallback: 'token' }),
  num_uses: int({ description: 'Requests the token is good for; 0 = without limit.' }),
  period: text({ description: 'A periodic token: each renewal gives this long again; root or sudo only.' }),
  entity_alias: text({ description: 'Only by a token role that allows it: the entity of this alias is its own.' }),
}

type CreateInput = Input<typeof createFields>

/** Which path asked, and for which role. */
export type CreateAt = { readonly isOrphanPath: boolean; readonly role: TokenRole | null }

const refuse = (text: string): never => {
  throw fault('request.invalid', text)
}

function positive(value: string, name: string): Seconds {
  if (value === '') return seconds(0)
  try {
    return durationSeconds({ description: name }).parse(value)
  } catch (error) {
    if (value.trim().startsWith('-')) refuse(`${name} must be positive`)
    return refuse(`the ${name} "${value}" is no duration: ${(error as Error).message}`)
  }
}

/** @source openbao vault/token_store.go handleCreateCommon: the order of the checks is that of the original */
export async function create(call: Call<CreateInput>, state: TokenState, at: CreateAt): Promise<Reply> {
  const { input } = call
  const { role, isOrphanPath } = at
  const parent = state.callerOf(call)?.entry ?? refuse('parent token lookup failed: no parent found')
  if (parent.type === 'batch') refuse('batch tokens cannot create more tokens')
  if (parent.numUses !== 0) refuse('restricted use token cannot generate child tokens')
  const hasSudo = call.caller?.isRoot === true || (await call.may(`${call.mountPath}${call.path}`, 'sudo')).allowed
  const type = chooseType(input.type, role)
  const bounds = boundsOf(input, role)
  if (type === 'batch') checkBatch(input, bounds)
  if (input.num_uses < 0) refuse('number of uses cannot be negative')
  if (input.entity_alias !== '') checkAlias(input.entity_alias, role)
  if (input.id !== '') checkId(input.id, hasSudo)
  const policies = choosePolicies(input, parent, role, hasSudo)
  if (type === 'batch' && policies.includes('root')) refuse('batch tokens cannot be root tokens')
  const isOrphan = role === null ? isOrphanPath || input.no_parent : role.orphan
  if (input.no_parent && role === null && !isOrphanPath && !hasSudo)
    refuse('root or sudo privileges required to create orphan token')
  // A role that has a period gives it to whoever may use the role; the call can but shorten it.
  if (bounds.asked.period > 0 && !hasSudo && (role?.token.parameters.period ?? 0) === 0)
    refuse('root or sudo privileges required to create periodic token')
  const ttl = input.ttl !== '' ? positive(input.ttl, 'ttl') : positive(input.lease, 'lease')
  const isEndless = policies.includes('root') && ttl === 0 && bounds.period === 0 && bounds.explicitMaxTtl === 0
  if (isEndless && parent.expiresAt !== null) refuse('expiring root tokens cannot create non-expiring root tokens')
  const token: NewToken = {
    type,
    id: input.id === '' ? null : input.id,
    policies,
    metadata: Object.keys(input.meta).length === 0 ? null : input.meta,
    displayName: displayName(input.display_name),
    path: pathOf(call.mountPath, at),
    isOrphan,
    renewable: input.renewable && (role?.renewable ?? true),
    ttl,
    explicitMaxTtl: bounds.explicitMaxTtl,
    period: bounds.period,
    numUses: bounds.numUses,
    boundCidrs: role?.token.parameters.boundCidrs ?? (isOrphan ? [] : parent.boundCidrs),
    role: role === null ? null : { name: role.name, ...bounds.asked },
    alias: input.entity_alias === '' ? null : { name: input.entity_alias, metadata: {} },
  }
  const warnings = [...bounds.warnings, ...(await unknownPolicies(policies, state))]
  return { kind: 'token', token, ...(warnings.length > 0 && { warnings }) }
}

type Bounds = {
  /** By the call alone. */
  readonly asked: { readonly period: Seconds; readonly explicitMaxTtl: Seconds }
  readonly period: Seconds
  readonly explicitMaxTtl: Seconds
  readonly numUses: number
  readonly warnings: readonly string[]
}

/** Of role and call the lesser. */
function boundsOf(input: CreateInput, role: TokenRole | null): Bounds {
  const asked = {
    explicitMaxTtl: positive(input.explicit_max_ttl, 'explicit_max_ttl'),
    period: positive(input.period, 'period'),
  }
  if (role === null) return { asked, ...asked, numUses: input.num_uses, warnings: [] }
  const { parameters } = role.token
  const warnings: string[] = []
  const lesser = (what: string, called: Seconds, ofRole: Seconds): Seconds => {
    const bound = least(called, ofRole)
    if (called > 0 && ofRole > 0) {
      warnings.push(
        `${what} specified both during creation call and in role; using the lesser value of ${bound} seconds`,
      )
    }
    return bound
  }
  const { numUses } = parameters
  return {
    asked,
    explicitMaxTtl: lesser('Explicit max TTL', asked.explicitMaxTtl, parameters.explicitMaxTtl),
    period: lesser('Period', asked.period, parameters.period),
    numUses: input.num_uses <= 0 || numUses === 0 ? input.num_uses || numUses : Math.min(input.num_uses, numUses),
    warnings,
  }
}

function checkBatch({ id }: CreateInput, { explicitMaxTtl, numUses, period }: Bounds): void {
  const set = {
    explicit_max_ttl: explicitMaxTtl !== 0,
    num_uses: numUses !== 0,
    period: period !== 0,
    id: id !== '',
  }
  for (const [name, isSet] of Object.entries(set)) if (isSet) refuse(`batch tokens cannot have "${name}" set`)
}

function checkAlias(alias: string, role: TokenRole | null): void {
  if (role === null) refuse("'entity_alias' is only allowed in combination with token role")
  if (!matchesAnyGlob(role!.allowedEntityAliases, alias.toLowerCase())) refuse("invalid 'entity_alias' value")
}

function checkId(id: string, hasSudo: boolean): void {
  if (!hasSudo) refuse('root or sudo privileges required to specify token id')
  if (id.startsWith('hvs.')) refuse("custom token ID cannot have the 'hvs.' prefix")
  if (id.startsWith('s.')) refuse("custom token ID cannot have the 's.' prefix")
  if (id.includes('.')) refuse("custom token ID cannot have a '.' in the value")
  if (id.trim() !== id) refuse('a token ID has no blanks around it')
}

const displayName = (given: string): string =>
  `token-${given}`
    .replace(/^token-token$/, 'token')
    .replace(/[^a-zA-Z0-9-]/g, '-')
    .replace(/-$/, '')

/** What its tokens are revoked by. */
function pathOf(mountPath: string, { role, isOrphanPath }: CreateAt): string {
  if (role === null) return `${mountPath}create${isOrphanPath ? '-orphan' : ''}`
  return `${mountPath}create/${role.name}${role.pathSuffix === '' ? '' : `/${role.pathSuffix}`}`
}

async function unknownPolicies(policies: readonly string[], state: TokenState): Promise<string[]> {
  const warnings: string[] = []
  for (const name of policies) {
    if (name !== 'root' && !(await state.policyExists(name))) warnings.push(`Policy "${name}" does not exist`)
  }
  return warnings
}

/** @throws Fault for a role that isn't there */
export async function roleNamed(name: string, state: TokenState): Promise<TokenRole> {
  return (await state.roles.get(name)) ?? refuse(`unknown role ${name}`)
}

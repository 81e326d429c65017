import { goQuote } from '#ground/text/quote.ts'
import { matchesAnyGlob } from '#ground/text/glob.ts'
import type { TokenEntry } from '#core/tokens/entry.ts'
import { normalPolicies } from '#core/tokens/register.ts'
import type { TokenRole } from '#core/tokens/roles.ts'
import { fault } from '#protocol/fault.ts'

// What a token asked for by name gets, of the call, its caller and a role. Pure.

export type PolicyAsk = { readonly policies: readonly string[]; readonly no_default_policy: boolean }

const refuse = (text: string): never => {
  throw fault('request.invalid', text)
}

/**
 * @throws Fault with Vault's texts for what the caller may not give.
 * @source openbao vault/token_store.go handleCreateCommon
 */
export function choosePolicies(
  ask: PolicyAsk,
  parent: Pick<TokenEntry, 'policies'>,
  role: TokenRole | null,
  hasSudo: boolean,
): readonly string[] {
  const isParentRoot = parent.policies.includes('root')
  const asked = normalPolicies(ask.policies)
  const chosen =
    role !== null && hasLists(role)
      ? byRole(asked, ask.no_default_policy, parent.policies, role)
      : byParent(asked, ask.no_default_policy, parent.policies, hasSudo || isParentRoot)
  const policies = ask.no_default_policy ? chosen.filter(name => name !== 'default') : chosen
  if (policies.includes('response-wrapping')) refuse('cannot assign policy "response-wrapping"')
  if (policies.includes('root') && !isParentRoot)
    refuse('root tokens may not be created without parent token being root')
  return policies
}

function byParent(
  asked: readonly string[],
  noDefault: boolean,
  parents: readonly string[],
  hasSudo: boolean,
): readonly string[] {
  if (asked.length === 0) return parents
  if (!hasSudo && !asked.every(name => parents.includes(name))) refuse('child policies must be subset of parent')
  return !noDefault && (hasSudo || parents.includes('default')) ? normalPolicies([...asked, 'default']) : asked
}

const hasLists = (role: TokenRole): boolean =>
  role.allowedPolicies.length > 0 ||
  role.allowedPoliciesGlob.length > 0 ||
  role.disallowedPolicies.length > 0 ||
  role.disallowedPoliciesGlob.length > 0

/** A role with lists decides alone: what the caller's own policies are plays no part. */
function byRole(
  asked: readonly string[],
  noDefault: boolean,
  parents: readonly string[],
  role: TokenRole,
): readonly string[] {
  const isDisallowed = (name: string): boolean =>
    role.disallowedPolicies.includes(name) || matchesAnyGlob(role.disallowedPoliciesGlob, name)
  const addsDefault = !noDefault && !role.token.parameters.noDefaultPolicy && !isDisallowed('default')
  const withDefault = (names: readonly string[]): readonly string[] =>
    normalPolicies(addsDefault ? [...names, 'default'] : names)
  const hasAllowed = role.allowedPolicies.length > 0 || role.allowedPoliciesGlob.length > 0
  const policies = withDefault(asked.length > 0 ? asked : hasAllowed ? role.allowedPolicies : parents)
  if (hasAllowed && asked.length > 0) {
    const allowed = withDefault(role.allowedPolicies)
    const globs = role.allowedPoliciesGlob
    if (!policies.every(name => allowed.includes(name) || matchesAnyGlob(globs, name))) {
      refuse(
        `token policies (${quoted(policies)}) must be subset of the role's allowed policies (${quoted(allowed)}) or glob policies (${quoted(globs)})`,
      )
    }
  }
  const refused = policies.find(isDisallowed)
  return refused === undefined ? policies : refuse(`token policy ${goQuote(refused)} is disallowed by this role`)
}

/** A list as Go's `%q` writes it. */
const quoted = (names: readonly string[]): string => `[${names.map(goQuote).join(' ')}]`

/** @throws Fault for a type that is none. */
export function chooseType(asked: string, role: TokenRole | null): 'service' | 'batch' {
  const decided = role?.token.parameters.type ?? 'default-service'
  if (decided === 'service' || decided === 'batch') return decided
  if (asked === '') return decided === 'default-batch' ? 'batch' : 'service'
  return asked === 'service' || asked === 'batch' ? asked : refuse("invalid 'token_type' value")
}

import type { Json } from '#ground/text/json.ts'
import type { ControlGroup, GrantingPolicy } from '#protocol/verdict.ts'
import { bits } from './capability.ts'
import type { ParameterValues, PathRule } from './policy.ts'

/** A rule of the compiled set: what all blocks with one pattern say together. */
export type Rule = {
  /** With the namespace's path and the subject's values. */
  readonly pattern: string
  capabilities: number
  /** Which policies wrote each capability, by its bit. */
  readonly granting: Map<number, readonly GrantingPolicy[]>
  sources: readonly GrantingPolicy[]
  allowed: ParameterValues | null
  denied: ParameterValues | null
  required: readonly string[]
  minWrapTtl: number
  maxWrapTtl: number
  paginationLimit: number
  mfaMethods: readonly string[]
  controlGroup: ControlGroup | null
  keysFilter: string | null
  /** Globs of the types of events that may be heard of. */
  subscribeEventTypes: readonly string[]
}

export function newRule(pattern: string, block: PathRule, policy: GrantingPolicy): Rule {
  const rule: Rule = {
    pattern,
    capabilities: block.capabilities,
    granting: new Map(),
    sources: [policy],
    allowed: block.allowed,
    denied: block.denied,
    required: block.required,
    minWrapTtl: block.minWrapTtl,
    maxWrapTtl: block.maxWrapTtl,
    paginationLimit: block.paginationLimit,
    mfaMethods: block.mfaMethods,
    controlGroup: block.controlGroup,
    keysFilter: block.keysFilter,
    subscribeEventTypes: block.subscribeEventTypes,
  }
  addGranting(rule, block.capabilities, policy)
  return rule
}

/**
 * Adds a block with the same pattern. Capabilities add up, but a `deny` in one block is all that stays; restrictions
 * of one block hold for the capabilities of all.
 * @source openbao vault/policy/acl.go NewACL
 */
export function mergeBlock(rule: Rule, block: PathRule, policy: GrantingPolicy): void {
  if ((rule.capabilities & bits.deny) !== 0) {
    if ((block.capabilities & bits.deny) !== 0) rule.sources = withPolicy(rule.sources, policy)
    return
  }
  if ((block.capabilities & bits.deny) !== 0) {
    rule.capabilities = bits.deny
    rule.granting.clear()
    rule.sources = [policy]
    return
  }
  rule.capabilities |= block.capabilities
  rule.sources = withPolicy(rule.sources, policy)
  addGranting(rule, block.capabilities, policy)
  rule.minWrapTtl = smaller(rule.minWrapTtl, block.minWrapTtl)
  rule.maxWrapTtl = smaller(rule.maxWrapTtl, block.maxWrapTtl)
  rule.paginationLimit = smaller(rule.paginationLimit, block.paginationLimit)
  rule.allowed = mergeParameters(rule.allowed, block.allowed)
  rule.denied = mergeParameters(rule.denied, block.denied)
  rule.required = [...new Set([...rule.required, ...block.required])]
  rule.mfaMethods = [...new Set([...rule.mfaMethods, ...block.mfaMethods])]
  rule.keysFilter ??= block.keysFilter
  rule.subscribeEventTypes = [...new Set([...rule.subscribeEventTypes, ...block.subscribeEventTypes])]
  rule.controlGroup = mergeControlGroups(rule.controlGroup, block.controlGroup)
}

function addGranting(rule: Rule, capabilities: number, policy: GrantingPolicy): void {
  for (const bit of Object.values(bits)) {
    if ((capabilities & bit) !== 0) rule.granting.set(bit, withPolicy(rule.granting.get(bit) ?? [], policy))
  }
}

function withPolicy(policies: readonly GrantingPolicy[], policy: GrantingPolicy): readonly GrantingPolicy[] {
  const isThere = policies.some(one => one.name === policy.name && one.namespaceId === policy.namespaceId)
  return isThere ? policies : [...policies, policy]
}

// Of two bounds the smaller; 0 or less is none.
function smaller(a: number, b: number): number {
  if (a <= 0 || b <= 0) return Math.max(a, b)
  return Math.min(a, b)
}

function mergeParameters(a: ParameterValues | null, b: ParameterValues | null): ParameterValues | null {
  if (a === null || b === null || b.size === 0) return a ?? b
  const merged = new Map<string, readonly Json[]>(a)
  for (const [key, values] of b) {
    const before = merged.get(key)
    merged.set(key, values.length === 0 || before?.length === 0 ? [] : [...values, ...(before ?? [])])
  }
  return merged
}

// Every factor of either must be met, in the shorter time; who may approve himself must be allowed by both.
function mergeControlGroups(a: ControlGroup | null, b: ControlGroup | null): ControlGroup | null {
  if (a === null || b === null) return a ?? b
  return {
    ttlSeconds: smaller(a.ttlSeconds, b.ttlSeconds),
    isSelfAuthorizationAllowed: a.isSelfAuthorizationAllowed && b.isSelfAuthorizationAllowed,
    factors: [...a.factors, ...b.factors],
  }
}

import type { Instant } from '#ground/base/clock.ts'
import type { NamespaceRef } from '#backend/namespace.ts'
import type { GrantingPolicy } from '#protocol/verdict.ts'
import { bits } from './capability.ts'
import { mergeBlock, newRule, type Rule } from './merge.ts'
import { rootPolicyName } from './names.ts'
import { compareRanks, matchesSegments, parsePattern, type Pattern, type Rank, reachesBelow } from './pattern.ts'
import { type Policy, PolicyError, type PathRule } from './policy.ts'
import { fillTemplate, type TemplateSubject } from './template.ts'

export type CompileOptions = {
  readonly policies: readonly Policy[]
  /** Whom templates are filled in for; only looked at when a policy has some. */
  readonly subject: TemplateSubject
  /** Where a token with the root policy was made: it holds there and below. */
  readonly rootNamespace: NamespaceRef
  readonly now: Instant
  /** How a list in a parameter meets a list of values: by element (Vault from 1.21) or only as a whole (before). */
  readonly listMatching?: 'elements' | 'whole'
}

/** A block that doesn't count for this subject, and why: for whoever asks for the reason of a refusal. */
export type Dropped = { readonly policy: string; readonly pattern: string; readonly why: string }

type Wild = { readonly rule: Rule; readonly rank: Rank; readonly pattern: Pattern }
type WildSegments = Wild & { readonly pattern: Pattern & { kind: 'segments' } }

/** Several policies made ready for one caller. Immutable once compiled. */
export type Acl = {
  /** The namespace in and below which everything is allowed, for the root policy. */
  readonly root: NamespaceRef | null
  readonly exact: ReadonlyMap<string, Rule>
  /** By the text before the `*`. */
  readonly prefixes: ReadonlyMap<string, Wild>
  /** Lengths that prefixes have, longest first. */
  readonly prefixLengths: readonly number[]
  /** Most specific first. */
  readonly segments: readonly WildSegments[]
  /** Names in the order given. */
  readonly policyNames: readonly string[]
  readonly dropped: readonly Dropped[]
  /** Until when this holds: then the first block expires and the policies must be compiled anew. null: for good. */
  readonly validUntil: Instant | null
  readonly listMatching: 'elements' | 'whole'
}

const rootPolicy = (namespace: NamespaceRef): GrantingPolicy => ({
  name: rootPolicyName,
  namespaceId: namespace.id,
  namespacePath: namespace.path,
  type: 'acl',
})

/** Who granted, when it is the root policy. One array a compiled set, so that caches may key on it. */
const rootGranting = new WeakMap<Acl, readonly GrantingPolicy[]>()
export function rootGrantingOf(acl: Acl & { root: NamespaceRef }): readonly GrantingPolicy[] {
  let granting = rootGranting.get(acl)
  if (granting === undefined) rootGranting.set(acl, (granting = [rootPolicy(acl.root)]))
  return granting
}

/**
 * Compiles policies for one subject. A policy that doesn't exist is left out by the caller.
 * @throws PolicyError when `root` stands beside others: a token with root has nothing else
 */
export function compileAcl(options: CompileOptions): Acl {
  const { policies, now } = options
  const isRoot = policies.some(policy => policy.name === rootPolicyName)
  if (isRoot && policies.length > 1) throw new PolicyError('other policies present along with root')
  const rules = new Map<string, { rule: Rule; pattern: Pattern }>()
  const dropped: Dropped[] = []
  let validUntil: Instant | null = null
  for (const policy of isRoot ? [] : policies) {
    const { name, namespace } = policy
    const source: GrantingPolicy = { name, namespaceId: namespace.id, namespacePath: namespace.path, type: 'acl' }
    for (const block of policy.parsed.rules) {
      if (block.expiresAt !== null) {
        if (block.expiresAt <= now) continue
        if (validUntil === null || block.expiresAt < validUntil) validUntil = block.expiresAt
      }
      const path = resolve(block, policy, options.subject, dropped)
      if (path === null) continue
      const known = rules.get(path)
      if (known) mergeBlock(known.rule, block, source)
      else rules.set(path, { rule: newRule(path, block, source), pattern: parsePattern(path) })
    }
  }
  return {
    root: isRoot ? options.rootNamespace : null,
    ...indexed([...rules.values()]),
    policyNames: policies.map(policy => policy.name),
    dropped,
    validUntil,
    listMatching: options.listMatching ?? 'elements',
  }
}

type Index = Pick<Acl, 'exact' | 'prefixes' | 'prefixLengths' | 'segments'>

function indexed(all: readonly { rule: Rule; pattern: Pattern }[]): Index {
  const exact = new Map<string, Rule>()
  const prefixes = new Map<string, Wild>()
  const segments: WildSegments[] = []
  for (const { rule, pattern } of all) {
    if (pattern.kind === 'exact') exact.set(pattern.text, rule)
    else if (pattern.kind === 'prefix') prefixes.set(pattern.text, { rule, pattern, rank: pattern.rank })
    else segments.push({ rule, pattern, rank: pattern.rank })
  }
  segments.sort((a, b) => compareRanks(b.rank, a.rank))
  const prefixLengths = [...new Set([...prefixes.keys()].map(text => text.length))].sort((a, b) => b - a)
  return { exact, prefixes, prefixLengths, segments }
}

/**
 * The full pattern of a block for this subject, or null when the block doesn't count. A block that grants vanishes with
 * its value. A block that denies vanishes, too, when there is no value; but when the value is one that is refused,
 * everything it could have meant is denied: who can put a `*` into his metadata must not shake off a deny with it.
 */
function resolve(block: PathRule, policy: Policy, subject: TemplateSubject, dropped: Dropped[]): string | null {
  const { namespace, name } = policy
  if (!block.isTemplated) return namespace.path + block.pattern
  const forbidden = [...(policy.allowsWildcards ? [] : ['*', '+']), ...(policy.allowsSlashes ? [] : ['/'])]
  const filled = fillTemplate(block.pattern, subject, namespace.id, forbidden)
  if (filled.kind === 'text') {
    const path = filled.text.startsWith('/') ? filled.text.slice(1) : filled.text
    return path.includes('+*') ? null : namespace.path + path
  }
  const isDenied = filled.kind === 'refused' && (block.capabilities & bits.deny) !== 0
  dropped.push({ policy: name, pattern: block.pattern, why: filled.why })
  return isDenied ? `${namespace.path}${filled.head.replace(/\/?\+.*$/s, '')}*` : null
}

/** The rule that decides for exactly this text, or null: exact, else the most specific pattern that matches. */
export function mostSpecific(acl: Acl, path: string, isListing: boolean): Rule | null {
  const exact = acl.exact.get(path)
  if (exact !== undefined) return exact
  const bare = isListing && path.endsWith('/') ? path.slice(0, -1) : null
  if (bare !== null) {
    const exactBare = acl.exact.get(bare)
    if (exactBare !== undefined) return exactBare
  }
  const wild = bestWild(acl, path)
  const wildBare = bare === null ? null : bestWild(acl, bare)
  // Of the two readings of a listing the more specific rule decides, whichever slash it was found by.
  if (wild === null || wildBare === null) return (wild ?? wildBare)?.rule ?? null
  return compareRanks(wild.rank, wildBare.rank) >= 0 ? wild.rule : wildBare.rule
}

function bestWild(acl: Acl, path: string): Wild | null {
  let best: Wild | null = null
  for (const length of acl.prefixLengths) {
    if (length > path.length) continue
    const found = acl.prefixes.get(length === path.length ? path : path.slice(0, length))
    if (found === undefined) continue
    best = found
    break
  }
  if (acl.segments.length === 0) return best
  let parts: readonly string[] | null = null
  for (const wild of acl.segments) {
    if (!path.startsWith(wild.pattern.head)) continue
    if (best !== null && compareRanks(wild.rank, best.rank) < 0) break
    parts ??= path.split('/')
    if (matchesSegments(wild.pattern, parts)) return wild
  }
  return best
}

/**
 * Is anything granted at or below a mount? What the UI and the CLI ask before they show it.
 * @param mount full path ending in `/`
 */
export function grantsBelow(acl: Acl, mount: string): boolean {
  if (acl.root !== null) return mount.startsWith(acl.root.path)
  const grants = (rule: Rule): boolean => rule.capabilities !== 0 && (rule.capabilities & bits.deny) === 0
  const own = mostSpecific(acl, mount, true)
  if (own !== null && grants(own)) return true
  for (const [text, rule] of acl.exact) if (text.startsWith(mount) && grants(rule)) return true
  for (const [text, wild] of acl.prefixes) if (text.startsWith(mount) && grants(wild.rule)) return true
  return acl.segments.some(wild => grants(wild.rule) && reachesBelow(wild.pattern, mount))
}

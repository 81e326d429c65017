import type { Json } from '#ground/text/json.ts'
import type { Capability, Demands, GrantingPolicy, Operation, Verdict } from '#protocol/verdict.ts'
import { type Acl, mostSpecific, rootGrantingOf } from './acl.ts'
import { bits, capabilityNames, capabilityOf } from './capability.ts'
import type { Rule } from './merge.ts'
import { pageLimit } from './pages.ts'
import { brokenConstraint } from './parameters.ts'

/** One question. `path` is the logical one below the namespace: `secret/data/app`; a listing's ends in `/`. */
export type Ask = {
  readonly operation: Operation | 'sudo'
  readonly path: string
  /** Of the request's namespace; empty for the root one. */
  readonly namespacePath: string
  /** Parameters of the request: body and query, not what the path captured. null: they don't count. */
  readonly values: Readonly<Record<string, Json>> | null
  /** The wrapping asked for, seconds; 0: none. null: wrapping isn't in question. */
  readonly wrapTtl: number | null
  /** Which demands of a rule the caller of `decide` sees to; a rule that demands another is refused. */
  readonly enforces?: ReadonlySet<Demand>
}

/** What a rule may demand beyond the token, by its key in the policy. */
export type Demand = 'mfa_methods' | 'control_group' | 'list_scan_response_keys_filter_path'

type Shared = Pick<Verdict, 'isRoot' | 'hasSudo' | 'sources' | 'pattern' | 'capabilities' | 'demands'>

const none: readonly never[] = []
const nothing: Shared = {
  isRoot: false,
  hasSudo: false,
  sources: none,
  pattern: null,
  capabilities: none,
  demands: null,
}

// Plain properties and a getter: the reason is read rarely, and a verdict may be the prototype of another.
class Answer implements Verdict {
  readonly allowed: boolean
  readonly isRoot: boolean
  readonly hasSudo: boolean
  readonly granting: readonly GrantingPolicy[]
  readonly sources: readonly GrantingPolicy[]
  readonly pattern: string | null
  readonly capabilities: readonly Capability[]
  readonly limit: number | null
  readonly demands: Demands | null
  readonly explain: () => string

  constructor(shared: Shared, granting: readonly GrantingPolicy[] | null, limit: number | null, explain: () => string) {
    this.allowed = granting !== null
    this.isRoot = shared.isRoot
    this.hasSudo = shared.hasSudo
    this.granting = granting ?? none
    this.sources = shared.sources
    this.pattern = shared.pattern
    this.capabilities = shared.capabilities
    this.limit = limit
    this.demands = shared.demands
    this.explain = explain
  }

  get reason(): string {
    return this.explain()
  }
}

/**
 * Does the compiled set allow it? Only the most specific rule counts; what it doesn't grant is refused, whatever a
 * broader rule says.
 * @source openbao vault/policy/acl.go AllowOperation; Vault docs/concepts/policies
 */
export function decide(acl: Acl, ask: Ask): Verdict {
  if (acl.root !== null) return decideRoot(acl as Acl & { root: NonNullable<Acl['root']> }, ask)
  const { operation } = ask
  if (operation === 'help') return helpAnswer
  const path = fullPath(ask)
  const rule = mostSpecific(acl, path, operation === 'list' || operation === 'scan')
  if (rule === null) return new Answer(nothing, null, null, () => noRule(acl, path))
  const prepared = preparedOf(rule)
  const capability = capabilityOf(operation)
  if (capability === null || (rule.capabilities & bits[capability]) === 0) {
    return prepared.refused(capability ?? operation)
  }
  if (prepared.isFree) return prepared.allowed(capability)
  const unmet = unmetDemand(rule, capability, ask.enforces)
  if (unmet !== null) return prepared.broken(`${unmet} can't be enforced here`)
  const broken = brokenWrapping(rule, ask.wrapTtl)
  if (broken !== null) return prepared.broken(broken)
  if (operation === 'list' || operation === 'scan') {
    if (ask.values === null && rule.paginationLimit <= 0) return prepared.allowed(capability)
    const page = pageLimit(
      rule,
      ask.values === null || !Object.hasOwn(ask.values, 'limit') ? undefined : ask.values['limit'],
    )
    if ('broken' in page) return prepared.broken(page.broken)
    return page.limit === null ? prepared.allowed(capability) : prepared.limited(capability, page.limit)
  }
  if (
    ask.values !== null &&
    (operation === 'create' || operation === 'update' || operation === 'patch' || operation === 'read')
  ) {
    const constraint = brokenConstraint(rule, ask.values, acl.listMatching)
    if (constraint !== null) return prepared.broken(constraint)
  }
  return prepared.allowed(capability)
}

/**
 * What may be done on a path, as `sys/capabilities` tells it: sorted, `root` or `deny` alone. Asked as a listing, so
 * that the path without its last slash counts too; parameters don't.
 * @source openbao vault/capabilities.go
 */
export function capabilitiesOn(acl: Acl, path: string, namespacePath: string): readonly string[] {
  const verdict = decide(acl, { operation: 'list', path, namespacePath, values: null, wrapTtl: null })
  if (verdict.isRoot) return verdict.allowed ? ['root'] : ['deny']
  const words = verdict.capabilities.filter(word => word !== 'deny')
  return words.length === 0 ? ['deny'] : words
}

function fullPath({ path, namespacePath }: Ask): string {
  let start = 0
  if (namespacePath === '') {
    while (path.charCodeAt(start) === 0x2f) start++
    return start === 0 ? path : path.slice(start)
  }
  const whole = namespacePath + path
  while (whole.charCodeAt(start) === 0x2f) start++
  return whole.slice(start)
}

function decideRoot(acl: Acl & { root: NonNullable<Acl['root']> }, ask: Ask): Verdict {
  const isBelow = ask.namespacePath.startsWith(acl.root.path)
  const granting = rootGrantingOf(acl)
  const shared: Shared = { ...nothing, isRoot: true, hasSudo: isBelow, sources: granting }
  if (isBelow) return new Answer(shared, granting, null, () => 'the root policy allows everything')
  return new Answer(shared, null, null, () => `the root policy holds below "${acl.root.path}" only`)
}

const helpAnswer: Verdict = new Answer(nothing, none, null, () => 'help is allowed to every valid token')

// A condition that nobody checks would be as good as none: the rule refuses instead.
function unmetDemand(rule: Rule, capability: Capability, enforces: Ask['enforces']): Demand | null {
  const { mfaMethods, controlGroup, keysFilter } = rule
  if (mfaMethods.length > 0 && !enforces?.has('mfa_methods')) return 'mfa_methods'
  if (controlGroup !== null && !enforces?.has('control_group')) {
    const words = controlGroup.factors.map(factor => factor.controlledCapabilities)
    if (words.some(list => list.length === 0 || list.includes(capability))) return 'control_group'
  }
  const isListing = capability === 'list' || capability === 'scan'
  const filter = 'list_scan_response_keys_filter_path'
  return keysFilter !== null && isListing && !enforces?.has(filter) ? filter : null
}

function brokenWrapping(rule: Rule, wrapTtl: number | null): string | null {
  const { minWrapTtl: min, maxWrapTtl: max } = rule
  if (wrapTtl === null || (min <= 0 && max <= 0)) return null
  if (wrapTtl <= 0) return 'the response must be wrapped'
  if (max > 0 && wrapTtl > max) return `the wrapping TTL is over ${max} seconds`
  return wrapTtl < min ? `the wrapping TTL is under ${min} seconds` : null
}

// What a rule answers again and again, made once.
class Prepared {
  readonly #rule: Rule
  readonly #shared: Shared
  readonly #allowed = new Map<Capability, Verdict>()
  readonly #refused = new Map<string, Verdict>()
  /** Nothing in the request can change the answer. */
  readonly isFree: boolean

  constructor(rule: Rule) {
    this.#rule = rule
    const { mfaMethods, controlGroup, keysFilter } = rule
    const isPlain = mfaMethods.length === 0 && controlGroup === null && keysFilter === null
    this.#shared = {
      isRoot: false,
      hasSudo: (rule.capabilities & bits.sudo) !== 0,
      sources: rule.sources,
      pattern: rule.pattern,
      capabilities: capabilityNames(rule.capabilities),
      demands: isPlain ? null : { mfaMethods, controlGroup, keysFilter },
    }
    const hasNoParameters = !rule.allowed?.size && !rule.denied?.size && rule.required.length === 0
    const isUnbounded = rule.minWrapTtl <= 0 && rule.maxWrapTtl <= 0 && rule.paginationLimit <= 0
    // `limit=max` on a list means something even where no rule bounds it.
    this.isFree = isPlain && hasNoParameters && isUnbounded && (rule.capabilities & (bits.list | bits.scan)) === 0
  }

  allowed(capability: Capability): Verdict {
    let answer = this.#allowed.get(capability)
    if (answer === undefined) this.#allowed.set(capability, (answer = this.#grant(capability, null)))
    return answer
  }

  limited(capability: Capability, limit: number): Verdict {
    return this.#grant(capability, limit)
  }

  refused(word: string): Verdict {
    let answer = this.#refused.get(word)
    if (answer === undefined) {
      answer = new Answer(this.#shared, null, null, () => this.#refusal(word))
      this.#refused.set(word, answer)
    }
    return answer
  }

  broken(constraint: string): Verdict {
    return new Answer(this.#shared, null, null, () => `${this.#subject()} has the capability, but ${constraint}`)
  }

  #grant(capability: Capability, limit: number | null): Verdict {
    const granting = this.#rule.granting.get(bits[capability]) ?? none
    return new Answer(this.#shared, granting, limit, () => `${this.#subject()} grants ${capability}`)
  }

  #subject(): string {
    return `the rule "${this.#rule.pattern}" (${named(this.#rule.sources.map(source => source.name))})`
  }

  #refusal(word: string): string {
    if ((this.#rule.capabilities & bits.deny) !== 0) return `${this.#subject()} denies everything`
    const has = this.#shared.capabilities.join(', ') || 'nothing'
    return `${this.#subject()} is the most specific that matches and doesn't grant ${word}; it grants ${has}`
  }
}

const preparedRules = new WeakMap<Rule, Prepared>()

function preparedOf(rule: Rule): Prepared {
  let prepared = preparedRules.get(rule)
  if (prepared === undefined) preparedRules.set(rule, (prepared = new Prepared(rule)))
  return prepared
}

function named(names: readonly string[]): string {
  return `${names.length === 1 ? 'policy' : 'policies'} ${names.map(name => `"${name}"`).join(', ')}`
}

function noRule(acl: Acl, path: string): string {
  if (acl.policyNames.length === 0) return `no policy is in force, so nothing allows "${path}"`
  // One whose fixed beginning is another could not have matched whatever its template gave.
  const near = acl.dropped.filter(({ pattern }) => path.startsWith(pattern.slice(0, pattern.indexOf('{{'))))
  const lost = near.map(({ policy, pattern, why }) => `"${pattern}" of policy "${policy}" doesn't count: ${why}`)
  return [`no rule of ${named(acl.policyNames)} matches "${path}"`, ...lost.slice(0, 5)].join('; ')
}

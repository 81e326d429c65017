import type { Maybe } from '#ground/base/brand.ts'
import type { Instant } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import { type NamespaceRef, rootNamespace } from '#backend/namespace.ts'
import { type Acl, compileAcl } from './acl.ts'
import { rootPolicyName } from './names.ts'
import type { ParsedPolicy, Policy } from './policy.ts'
import type { PolicyEntry, PolicyShelf } from './shelf.ts'
import { nobody, type TemplateSubject } from './template.ts'

/** What a judgement needs of a token; the same object as long as nothing of it changes: caches go by its identity. */
export type Bearer = {
  /** The token's own and its identity's, normalised. */
  readonly policies: readonly string[]
  /** The token's own policies hold `root`. One that only its identity holds doesn't count. */
  readonly isRoot: boolean
  readonly subject: TemplateSubject
}

type Compiled = {
  readonly names: readonly Named[]
  readonly entries: readonly (PolicyEntry | null)[]
  readonly acl: Acl
}
type Named = { readonly name: string; readonly key: string }

const sharedMax = 1_000

/**
 * Compiled policies, kept per token and shared between tokens with the same names. Nothing has to be invalidated: each
 * use looks whether the entries behind it are still the newest that are known.
 */
export class AclCache {
  readonly #shelf: PolicyShelf
  readonly #world: Pick<World, 'clock'>
  readonly #namespace: NamespaceRef
  readonly #listMatching: 'elements' | 'whole'
  readonly #byBearer = new WeakMap<object, Compiled>()
  readonly #shared = new Map<string, Compiled>()
  readonly #rootAcl: Acl

  /** @param listMatching `whole` is what `VAULT_LEGACY_EXACT_MATCHING_ON_LIST` asks for */
  constructor(
    shelf: PolicyShelf,
    world: Pick<World, 'clock'>,
    namespace: NamespaceRef = rootNamespace,
    listMatching: 'elements' | 'whole' = 'elements',
  ) {
    this.#listMatching = listMatching
    this.#shelf = shelf
    this.#world = world
    this.#namespace = namespace
    const root: Policy = { name: rootPolicyName, namespace, parsed: { rules: [], isTemplated: false } }
    this.#rootAcl = compileAcl({ policies: [root], subject: nobody, rootNamespace: namespace, now: 0 as Instant })
  }

  /**
   * The rules for a token; at once when they are known.
   * @param owner lives as long as the bearer stays what it is: the token's object
   * @param bearerOf called only when something has to be compiled
   */
  aclOf(owner: object, bearerOf: () => Bearer): Maybe<Acl> {
    const known = this.#byBearer.get(owner)
    if (known !== undefined && this.#isCurrent(known)) return known.acl
    const bearer = bearerOf()
    if (bearer.isRoot) {
      this.#byBearer.set(owner, { names: [], entries: [], acl: this.#rootAcl })
      return this.#rootAcl
    }
    const names = bearer.policies
      .filter(name => name !== rootPolicyName)
      .map(name => ({ name, key: this.#shelf.keyOf(name) }))
    const shared = this.#shared.get(names.map(({ name }) => name).join('\n'))
    if (shared !== undefined && this.#isCurrent(shared)) {
      this.#byBearer.set(owner, shared)
      return shared.acl
    }
    return this.#load(owner, bearer, names)
  }

  #isCurrent({ names, entries, acl }: Compiled): boolean {
    for (let i = 0; i < names.length; i++) {
      const { name, key } = names[i]!
      if (this.#shelf.peek(name, key) !== entries[i]) return false
    }
    return acl.validUntil === null || acl.validUntil > this.#world.clock.now()
  }

  #load(owner: object, bearer: Bearer, names: readonly Named[]): Maybe<Acl> {
    const found = names.map(({ name }) => this.#shelf.get(name))
    const isLate = found.some(entry => entry instanceof Promise)
    const compile = (entries: readonly (PolicyEntry | null)[]): Acl => this.#compile(owner, bearer, names, entries)
    return isLate
      ? Promise.all(found.map(async entry => await entry)).then(compile)
      : compile(found as (PolicyEntry | null)[])
  }

  #compile(owner: object, bearer: Bearer, names: readonly Named[], entries: readonly (PolicyEntry | null)[]): Acl {
    const parsed = entries.map(entry => (entry === null ? null : this.#shelf.parsed(entry)))
    const policies: Policy[] = []
    for (const [i, one] of parsed.entries()) {
      if (one !== null) policies.push({ name: names[i]!.name, namespace: this.#namespace, parsed: one })
    }
    const acl = compileAcl({
      policies,
      subject: bearer.subject,
      rootNamespace: this.#namespace,
      now: this.#world.clock.now(),
      listMatching: this.#listMatching,
    })
    const compiled = { names, entries, acl }
    this.#byBearer.set(owner, compiled)
    if (!parsed.some(isTemplated)) this.#share(names, compiled)
    return acl
  }

  #share(names: readonly Named[], compiled: Compiled): void {
    const oldest = this.#shared.keys().next().value
    if (this.#shared.size >= sharedMax && oldest !== undefined) this.#shared.delete(oldest)
    this.#shared.set(names.map(({ name }) => name).join('\n'), compiled)
  }
}

const isTemplated = (parsed: ParsedPolicy | null): boolean => parsed !== null && parsed.isTemplated

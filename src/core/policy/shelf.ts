import type { Maybe } from '#ground/base/brand.ts'
import type { Instant } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import { jsonBytes } from '#ground/fields/codec.ts'
import type { Codec } from '#backend/storage.ts'
import type { Keeper } from '#core/storage/keeper.ts'
import { fault } from '#protocol/fault.ts'
import { controlGroupPolicyText, defaultPolicyText, responseWrappingPolicyText } from './builtin.ts'
import { defaultPolicyName, internalPolicyNames, parsePolicyName, PolicyNameError, rootPolicyName } from './names.ts'
import { parsePolicy } from './parse.ts'
import { type ParsedPolicy, PolicyError } from './policy.ts'

/** A policy as it is kept. */
export type PolicyEntry = {
  readonly name: string
  /** HCL or JSON, as sent. */
  readonly text: string
  /** Counts its writes, from 1. */
  readonly version: number
  readonly modifiedAt: Instant
}

export const policyCodec: Codec<PolicyEntry> = { prefix: '', encode: jsonBytes.encode, decode: jsonBytes.decode }

const pageSize = 1_000
const encodedNameMax = 1_800

const builtIn = (name: string, text: string): [string, PolicyEntry] => [
  name,
  { name, text, version: 0, modifiedAt: 0 as Instant },
]
// Immutable, and never in the store.
const internal = new Map([
  builtIn('response-wrapping', responseWrappingPolicyText),
  builtIn('control-group', controlGroupPolicyText),
])

/** The policies of one namespace, by name. Names come normalised (`names.ts`); `root` has no entry. */
export class PolicyShelf {
  readonly #keeper: Keeper
  readonly #world: Pick<World, 'clock'>
  readonly #prefix: string
  // By the entry itself: another version is another entry, and one that is forgotten takes its parse with it.
  readonly #parsed = new WeakMap<PolicyEntry, ParsedPolicy>()

  /** @param prefix ending in `/`: `root/policy/`. */
  constructor(keeper: Keeper, world: Pick<World, 'clock'>, prefix: string) {
    this.#keeper = keeper
    this.#world = world
    this.#prefix = prefix
  }

  /** The storage key of a name, for those who peek again and again. */
  keyOf(name: string): string {
    return this.#prefix + encodeURIComponent(name)
  }

  get(name: string): Maybe<PolicyEntry | null> {
    const fixed = internal.get(name)
    if (fixed !== undefined) return fixed
    if (name === '' || name === rootPolicyName) return null
    const key = this.keyOf(name)
    if (key.length > encodedNameMax) return null
    return this.#keeper.get(key, policyCodec) as Maybe<PolicyEntry | null>
  }

  /** What is in memory: undefined when not known. @param key from `keyOf` */
  peek(name: string, key: string): PolicyEntry | null | undefined {
    return internal.get(name) ?? (this.#keeper.peek(key) as PolicyEntry | null | undefined)
  }

  /** The rules of an entry, parsed once. @throws PolicyError when a stored text can't be read any more */
  parsed(entry: PolicyEntry): ParsedPolicy {
    let parsed = this.#parsed.get(entry)
    if (parsed === undefined) this.#parsed.set(entry, (parsed = parsePolicy(entry.text)))
    return parsed
  }

  /**
   * Writes a policy; it holds from the next request of every token that carries its name.
   * @throws Fault `request.invalid` when text or name can't be taken
   */
  async put(name: string, text: string): Promise<PolicyEntry> {
    this.#checkName(name)
    try {
      parsePolicy(text)
    } catch (error) {
      if (error instanceof PolicyError) throw fault('request.invalid', error.message)
      throw error
    }
    return this.#write(name, text)
  }

  #write(name: string, text: string): Promise<PolicyEntry> {
    return this.#keeper.update(this.keyOf(name), policyCodec, now => {
      const version = ((now as PolicyEntry | null)?.version ?? 0) + 1
      const entry: PolicyEntry = { name, text, version, modifiedAt: this.#world.clock.now() }
      return { entry, result: entry }
    })
  }

  #checkName(name: string): void {
    try {
      if (parsePolicyName(name) !== name) throw new PolicyNameError('the name must be lower case, without outer blanks')
    } catch (error) {
      if (error instanceof PolicyNameError) throw fault('request.invalid', `invalid policy name: ${error.message}`)
      throw error
    }
    if (name === rootPolicyName || internalPolicyNames.includes(name)) {
      throw fault('request.invalid', `cannot update "${name}" policy`)
    }
    if (this.keyOf(name).length > encodedNameMax) throw fault('request.invalid', 'invalid policy name: it is too long')
  }

  /** Deletes a policy; of one that isn't there, nothing. */
  async remove(name: string): Promise<void> {
    if (name === defaultPolicyName) throw fault('request.invalid', 'cannot delete default policy')
    if (name === rootPolicyName || internalPolicyNames.includes(name)) {
      throw fault('request.invalid', `cannot delete "${name}" policy`)
    }
    const key = this.keyOf(name)
    if (key.length <= encodedNameMax) await this.#keeper.commit([{ key, codec: policyCodec, entry: null }])
  }

  /** All names that are kept, sorted. */
  async names(): Promise<readonly string[]> {
    const names: string[] = []
    let after: string | undefined
    for (;;) {
      const page = await this.#keeper.list(
        this.#prefix,
        after === undefined ? { limit: pageSize } : { after, limit: pageSize },
      )
      for (const name of page.names) names.push(decodeURIComponent(name))
      after = page.names.at(-1)
      if (!page.more || after === undefined) return names.sort()
    }
  }

  /** Writes the `default` policy when there is none: once, when the server is initialised. */
  async ensureDefault(): Promise<void> {
    if ((await this.get(defaultPolicyName)) === null) await this.#write(defaultPolicyName, defaultPolicyText)
  }
}

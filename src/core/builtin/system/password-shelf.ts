import type { Entropy } from '#ground/base/entropy.ts'
import { generatePassword, type PasswordPolicies } from '#backend/passwords.ts'
import type { Keeper } from '#core/storage/keeper.ts'
import { textCodec } from '#core/storage/text-codec.ts'
import { fault } from '#protocol/fault.ts'
import { parsePasswordPolicy } from './password-policy.ts'

const pageSize = 1_000

/** The password policies of one namespace, by name. */
export class PasswordShelf implements PasswordPolicies {
  readonly #keeper: Keeper
  readonly #world: { readonly entropy: Entropy }
  readonly #prefix: string

  /** @param prefix ending in `/`: `root/password-policy/`. */
  constructor(keeper: Keeper, world: { readonly entropy: Entropy }, prefix: string) {
    this.#keeper = keeper
    this.#world = world
    this.#prefix = prefix
  }

  async get(name: string): Promise<string | null> {
    return (await this.#keeper.get(this.#prefix + name, textCodec)) as string | null
  }

  async put(name: string, policy: string): Promise<void> {
    await this.#keeper.commit([{ key: this.#prefix + name, codec: textCodec, entry: policy }])
  }

  async remove(name: string): Promise<void> {
    await this.#keeper.commit([{ key: this.#prefix + name, codec: textCodec, entry: null }])
  }

  async names(): Promise<readonly string[]> {
    const names: string[] = []
    for (;;) {
      const after = names.at(-1)
      const page = await this.#keeper.list(this.#prefix, { ...(after !== undefined && { after }), limit: pageSize })
      names.push(...page.names)
      if (!page.more || page.names.length === 0) return names
    }
  }

  async generate(name: string): Promise<string> {
    const policy = await this.get(name)
    if (policy === null) throw unknownPolicy()
    return generatePassword(this.#world.entropy, parsePasswordPolicy(policy))
  }
}

/** 404 with a text, which Vault gives for coded errors without a response. */
export const unknownPolicy = () => fault('path.unsupported', 'policy does not exist')

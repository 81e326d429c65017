import type { World } from '#ground/base/world.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { Codec, View, Write } from '#backend/storage.ts'
import type { DueIndex } from '#core/leases/due-index.ts'
import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'
import { type EffectLog, MountView } from '#core/storage/view.ts'
import type { LiveToken } from './live.ts'

export type CubbyholesOptions = {
  keeper: Keeper
  world: World
  due: DueIndex
  /** Ending in `/`: `root/token/cubbyhole/`. */
  prefix: string
  /** Adds writes to the token's life: false when it is dead, and nothing was written. */
  attach: (token: TokenKey, writes: readonly KeeperWrite[]) => Promise<boolean>
}

/** What a token keeps for itself: the canonical JSON of an object. */
export type Kept = { readonly text: string }

const decoder = new TextDecoder()

export const keptCodec: Codec<Kept> = {
  prefix: '',
  encode: ({ text }) => Buffer.from(text),
  decode: bytes => ({ text: decoder.decode(bytes) }),
}

const cubbyholeDue = 'cubbyhole'
const width = 16

const refuse = (): never => {
  throw new Error('a cubbyhole has no effects')
}
const noEffects: EffectLog = { intend: refuse, writes: refuse, written: refuse }

/**
 * A part of the store for each token, which ends with it: what is written is in one commit with the look at the token,
 * so that nothing comes in after its end; the commit that ends the token says that its part must go.
 * They are told apart by accessor: a token's own name may come again after its end, an accessor never does.
 */
export class Cubbyholes {
  readonly #options: CubbyholesOptions

  constructor(options: CubbyholesOptions) {
    this.#options = options
    options.due.handle(cubbyholeDue, width, async ({ id }) => {
      await this.purge(id)
      return []
    })
  }

  /** For reads, listings and removals; what is written goes through `write`. */
  of(token: LiveToken): View {
    return this.#view(token)
  }

  /** @returns false when the token has ended meanwhile: nothing was written. */
  write(token: LiveToken, write: Write): Promise<boolean> {
    return this.#options.attach(token.key, this.#view(token).writesOf([write]))
  }

  /** For the commit that ends a token which has one. Then call `tokenEnded`. */
  ending(accessor: string): readonly KeeperWrite[] {
    return [this.#options.due.entry({ lane: cubbyholeDue, id: accessor, at: this.#options.world.clock.now() })]
  }

  tokenEnded(): void {
    this.#options.due.expect(cubbyholeDue, this.#options.world.clock.now())
  }

  /** Accessors of tokens that have, or had, one. */
  async owners(after: string | undefined, limit: number): Promise<readonly string[]> {
    const paging = { ...(after !== undefined && { after: `${after}/` }), limit }
    const page = await this.#options.keeper.list(this.#options.prefix, paging)
    return page.names.map(name => name.replace(/\/$/, ''))
  }

  /** Of a token that has ended. */
  purge(accessor: string): Promise<void> {
    return this.#options.keeper.purge(this.#at(accessor))
  }

  #view(token: LiveToken): MountView {
    return new MountView(this.#options.keeper, this.#at(token.entry.accessor), noEffects)
  }

  #at(accessor: string): string {
    return `${this.#options.prefix}${accessor}/`
  }
}

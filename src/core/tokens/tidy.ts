import type { World } from '#ground/base/world.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { Keeper } from '#core/storage/keeper.ts'
import type { Cubbyholes } from './cubbyholes.ts'
import type { TokenShelf } from './shelf.ts'
import type { TokenTree } from './tree.ts'

export type TokenTidyOptions = {
  shelf: TokenShelf
  keeper: Keeper
  world: World
  cubbyholes: Cubbyholes
  tree: TokenTree
}

type Tidied = { accessors: number; children: number; tokens: number; cubbyholes: number }

const pageSize = 100
/** A timer that was late, or a revocation that is under way, is no reason to tidy, ms. */
const graceMs = 60_000

/**
 * Looks through all that tokens leave in the store, in the background, and takes out what nothing stands behind. Orderly
 * ends leave nothing; what is found comes from a request that lost a race, or from damage.
 */
export class TokenTidy {
  readonly #options: TokenTidyOptions
  #isRunning = false

  constructor(options: TokenTidyOptions) {
    this.#options = options
  }

  /** @returns false while an earlier one is still under way */
  begin(): boolean {
    if (this.#isRunning) return false
    this.#isRunning = true
    const { log } = this.#options.world
    const tidied: Tidied = { accessors: 0, children: 0, tokens: 0, cubbyholes: 0 }
    void this.#run(tidied)
      .then(() => log.info('tokens are tidied', { removed: tidied }))
      .catch(error => log.error('tokens could not be tidied to the end', { removed: tidied, error }))
      .finally(() => {
        this.#isRunning = false
      })
    return true
  }

  async #run(tidied: Tidied): Promise<void> {
    const { tree } = this.#options
    await tree.resume()
    await this.#tokens(tidied)
    await this.#children(tidied)
    await this.#accessors(tidied)
    await this.#cubbyholes(tidied)
  }

  /** Those that are past their end, and whose due time was lost. */
  async #tokens(tidied: Tidied): Promise<void> {
    const { shelf, tree, world } = this.#options
    for (let after: TokenKey | null = null; ; ) {
      const page: Awaited<ReturnType<TokenShelf['page']>> = await shelf.page(after, pageSize)
      for (const { key, entry } of page.tokens) {
        const isPast = entry.expiresAt !== null && entry.expiresAt + graceMs < world.clock.now()
        if (!isPast) continue
        tidied.tokens++
        await tree.revoke(key)
      }
      if (page.next === null) return
      after = page.next
      await this.#turn()
    }
  }

  /** Children of tokens that are gone end; lines about what is gone, or has another parent, go. */
  async #children(tidied: Tidied): Promise<void> {
    const { shelf, tree } = this.#options
    for (let after: TokenKey | undefined; ; ) {
      const parents = await shelf.parents(after, pageSize)
      for (const parent of parents) {
        if ((await shelf.entry(parent)) === null) {
          tidied.children++
          await tree.removeRest(parent)
        } else await this.#childrenOf(parent, tidied)
      }
      if (parents.length < pageSize) return
      after = parents.at(-1)
      await this.#turn()
    }
  }

  async #childrenOf(parent: TokenKey, tidied: Tidied): Promise<void> {
    const { shelf, keeper } = this.#options
    for (let after: TokenKey | undefined; ; ) {
      const children = await shelf.children(parent, pageSize, after)
      for (const child of children) {
        if ((await shelf.entry(child))?.parent === parent) continue
        tidied.children++
        await keeper.commit([shelf.childWrite(parent, child, null)])
      }
      if (children.length < pageSize) return
      after = children.at(-1)
      await this.#turn()
    }
  }

  async #accessors(tidied: Tidied): Promise<void> {
    const { shelf, keeper } = this.#options
    for (let after: string | undefined; ; ) {
      const page = await shelf.accessors({ ...(after !== undefined && { after }), limit: pageSize })
      for (const accessor of page.names) {
        const found = await shelf.byAccessor(accessor)
        if (found === null || (await shelf.entry(found.token))?.accessor === accessor) continue
        tidied.accessors++
        await keeper.commit([shelf.accessorWrite(accessor, null)])
      }
      if (!page.more) return
      after = page.names.at(-1)
      await this.#turn()
    }
  }

  async #cubbyholes(tidied: Tidied): Promise<void> {
    const { shelf, cubbyholes } = this.#options
    for (let after: string | undefined; ; ) {
      const owners = await cubbyholes.owners(after, pageSize)
      for (const accessor of owners) {
        if ((await shelf.byAccessor(accessor)) !== null) continue
        tidied.cubbyholes++
        await cubbyholes.purge(accessor)
      }
      if (owners.length < pageSize) return
      after = owners.at(-1)
      await this.#turn()
    }
  }

  /** Other requests have theirs, also where nothing had to be waited for. */
  async #turn(): Promise<void> {
    this.#options.world.signal.throwIfAborted()
    await new Promise<void>(resolve => setImmediate(resolve))
  }
}

import type { World } from '#ground/base/world.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { DueIndex } from '#core/leases/due-index.ts'
import type { Leases } from '#core/leases/leases.ts'
import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'
import type { Census, Counted } from '#core/leases/census.ts'
import type { Cubbyholes } from './cubbyholes.ts'
import type { TokenEntry } from './entry.ts'
import type { TokenShelf } from './shelf.ts'

export type TokenTreeOptions = {
  shelf: TokenShelf
  keeper: Keeper
  world: Pick<World, 'clock'>
  due: DueIndex
  leases: Pick<Leases, 'ending' | 'tokenEnded'>
  cubbyholes: Cubbyholes
  census: Census
}

/** The kind under which tokens stand in the index of due times. */
export const tokenDue = 'token'

const pageSize = 100
/** No living token has so many ancestors: only a damaged store has such a line. */
const depthMax = 100

export const countedToken = (key: TokenKey, { path, role, expiresAt }: TokenEntry): Counted => ({
  kind: 'token',
  key,
  path,
  role: role ?? null,
  ...(expiresAt === null ? { isEndless: true } : { due: { lane: tokenDue, id: key, at: expiresAt } }),
})

/** How service tokens end, with all that descends from them or alone. */
export class TokenTree {
  readonly #options: TokenTreeOptions

  constructor(options: TokenTreeOptions) {
    this.#options = options
  }

  /**
   * Ends a token and all that descend from it; unknown ones are ended already. The token itself is dead in the first
   * commit, and with it its descendants, whose life hangs on it; what they left is removed in further ones, which a
   * restart resumes.
   */
  async revoke(key: TokenKey): Promise<void> {
    const { shelf } = this.#options
    const entry = await shelf.entry(key)
    if (entry === null) return
    // Nothing descends from a wrapping token.
    if (entry.wraps) return void (await this.#end(key, entry, now => this.#traces(key, now)))
    await this.#end(key, entry, now => [shelf.dyingWrite(key, true), ...this.#traces(key, now)])
    await this.removeRest(key)
  }

  /** Ends a token that has no children, if it is alive then; of several that try at once one gets true. */
  async spend(key: TokenKey, isAlive: (entry: TokenEntry) => boolean, also: readonly KeeperWrite[]): Promise<boolean> {
    const entry = await this.#options.shelf.entry(key)
    if (entry === null) return false
    return this.#end(key, entry, now => (isAlive(now) ? [...this.#traces(key, now), ...also] : null))
  }

  /** Ends the token alone: its children live on as orphans. */
  async revokeOrphaning(key: TokenKey): Promise<boolean> {
    const { shelf } = this.#options
    const entry = await shelf.entry(key)
    if (entry === null) return false
    for (;;) {
      const children = await shelf.children(key, pageSize)
      if (children.length === 0) break
      for (const child of children) {
        await shelf.update(child, now => ({
          ...(now?.parent === key && { entry: { ...now, parent: null } }),
          also: [shelf.childWrite(key, child, null)],
          result: undefined,
        }))
      }
    }
    return this.#end(key, entry, now => this.#traces(key, now))
  }

  /** Resumes trees whose removal was cut short; on becoming active. */
  async resume(): Promise<void> {
    for (;;) {
      const keys = await this.#options.shelf.dying(pageSize)
      if (keys.length === 0) return
      for (const key of keys) await this.removeRest(key)
    }
  }

  /** Of a token that has ended: what descends from it. */
  async removeRest(root: TokenKey): Promise<void> {
    const { keeper, shelf } = this.#options
    const stack: TokenKey[] = [root]
    while (stack.length > 0) {
      const parent = stack.at(-1)!
      const children = await shelf.children(parent, pageSize)
      // One named by hand is there again: what is below it now is its own.
      if (children.length === 0 || (await shelf.entry(parent)) !== null) {
        stack.pop()
        continue
      }
      for (const child of children) {
        const entry = await shelf.entry(child)
        const isOthers = entry !== null && entry.parent !== parent
        // The index entry goes last, when the child has no children left: else a crash would lose sight of them.
        if (!isOthers && entry !== null)
          await this.#end(child, entry, now => this.#traces(child, now, { keepIndex: true }))
        if (!isOthers && stack.length < depthMax && (await this.hasRest(child))) stack.push(child)
        else await keeper.commit([shelf.childWrite(parent, child, null)])
      }
    }
    await keeper.commit([shelf.dyingWrite(root, null)])
  }

  /** Has a token that ended left children, which another of its name would keep alive? */
  async hasRest(key: TokenKey): Promise<boolean> {
    return (await this.#options.shelf.children(key, 1)).length > 0
  }

  /** One of several that try at once does it, and gets true. @param also null: it isn't to be ended */
  async #end(key: TokenKey, entry: TokenEntry, also: (now: TokenEntry) => KeeperWrite[] | null): Promise<boolean> {
    const { shelf, census, leases, cubbyholes } = this.#options
    // What hung on it in the end: something may have come since it was read.
    let last = null as TokenEntry | null
    const isEnded = await census.during(countedToken(key, entry), -1, () =>
      shelf.update<boolean>(key, now => {
        last = now
        // Another one of its name.
        if (now === null || now.accessor !== entry.accessor) return { result: false }
        const more = also(now)
        return more === null ? { result: false } : { entry: null, also: more, result: true }
      }),
    )
    if (!isEnded) return false
    if (last?.hasLeases) leases.tokenEnded()
    if (last?.hasCubbyhole) cubbyholes.tokenEnded()
    return true
  }

  /** Beside its entry. */
  #traces(key: TokenKey, entry: TokenEntry, options: { keepIndex?: boolean } = {}): KeeperWrite[] {
    const { shelf, due, leases, cubbyholes } = this.#options
    const writes: KeeperWrite[] = [shelf.accessorWrite(entry.accessor, null)]
    if (entry.parent !== null && !options.keepIndex) writes.push(shelf.childWrite(entry.parent, key, null))
    if (entry.expiresAt !== null) writes.push(due.remove({ lane: tokenDue, id: key, at: entry.expiresAt }))
    if (entry.hasLeases) writes.push(...leases.ending(key, entry.accessor))
    if (entry.wraps) writes.push(shelf.wrappedWrite(key, null))
    if (entry.hasCubbyhole) writes.push(...cubbyholes.ending(entry.accessor))
    return writes
  }
}

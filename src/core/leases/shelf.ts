import type { Instant } from '#ground/base/clock.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { Keeper, KeeperChange, KeeperWrite } from '#core/storage/keeper.ts'
import { rangeBelow } from '#stores/keys.ts'
import type { DueIndex } from './due-index.ts'
import type { Due } from './due-lane.ts'
import { irrevocableCodec, type LeaseEntry, leaseCodec, type OwnedEntry, ownedCodec } from './entry.ts'

/** The kind under which leases stand in the index of due times; each mount has its lane. */
export const leaseDue = 'lease'

/** May it be one? Its path was normal when it was made. */
const isLeaseId = (id: string): boolean => id.length > 0 && id.length < 1500 && !/(^|\/)(\.{0,2})(\/|$)/.test(id)

/** Where leases lie in the store, and what lies beside them: their due times, whose they are, which are irrevocable. */
export class LeaseShelf {
  readonly #keeper: Keeper
  readonly #due: DueIndex
  readonly #prefix: string

  /** @param prefix ending in `/`: `root/lease/`. */
  constructor(keeper: Keeper, due: DueIndex, prefix: string) {
    this.#keeper = keeper
    this.#due = due
    this.#prefix = prefix
  }

  async get(id: string): Promise<LeaseEntry | null> {
    if (!isLeaseId(id)) return null
    return (await this.#keeper.get(this.#at(id), leaseCodec)) as LeaseEntry | null
  }

  update<R>(id: string, change: (now: LeaseEntry | null) => KeeperChange<R>): Promise<R> {
    return this.#keeper.update(this.#at(id), leaseCodec, now => change(now as LeaseEntry | null))
  }

  /** One level of ids below a prefix that ends in `/` or is empty; folders end in `/`. */
  async list(prefix: string, paging: { after?: string; limit: number }) {
    return this.#keeper.list(this.#prefix + leaseCodec.prefix + prefix, paging)
  }

  /** Ids in order, all below a prefix that ends in `/`. */
  below(prefix: string, after: string | undefined, limit: number): Promise<readonly string[]> {
    return this.#ids(leaseCodec.prefix, prefix, after, limit)
  }

  /** Of leases that ended and can't be revoked, in order. */
  irrevocable(after: string | undefined, limit: number): Promise<readonly string[]> {
    return this.#ids(irrevocableCodec.prefix, '', after, limit)
  }

  /** Those that a token has. @returns `next` undefined: no more. */
  async owned(token: string, after: string | undefined, limit: number) {
    const folder = `${this.#prefix}${ownedCodec.prefix}${token}/`
    const page = await this.#keeper.list(folder, { ...(after !== undefined && { after }), limit })
    const entries: OwnedEntry[] = []
    for (const name of page.names) {
      const one = (await this.#keeper.get(folder + name, ownedCodec)) as OwnedEntry | null
      if (one !== null) entries.push(one)
    }
    return { entries, next: page.more ? page.names.at(-1) : undefined }
  }

  /** A lease that is new, with its due time. */
  writes(entry: LeaseEntry): readonly KeeperWrite[] {
    return [{ key: this.#at(entry.id), codec: leaseCodec, entry }, this.#due.entry(this.due(entry, entry.expiresAt))]
  }

  ownedWrite(token: TokenKey, id: string, entry: OwnedEntry | null): KeeperWrite {
    const leaf = id.slice(id.lastIndexOf('/') + 1)
    const key = `${this.#prefix}${ownedCodec.prefix}${token}/${leaf}`
    return { key, codec: ownedCodec, entry, uncached: true }
  }

  irrevocableWrite(id: string, entry: true | null): KeeperWrite {
    return { key: `${this.#prefix}${irrevocableCodec.prefix}${id}`, codec: irrevocableCodec, entry, uncached: true }
  }

  /** Takes out all that lies beside an entry. @param fallen its line of the index, if it fell due. */
  traces(entry: LeaseEntry, fallen?: Due): readonly KeeperWrite[] {
    const writes = [this.#due.remove(this.due(entry, entry.expiresAt))]
    if (fallen !== undefined && fallen.at !== entry.expiresAt) writes.push(this.#due.remove(fallen))
    if (entry.token !== null) writes.push(this.ownedWrite(entry.token, entry.id, null))
    if (entry.error !== null) writes.push(this.irrevocableWrite(entry.id, null))
    return writes
  }

  due(entry: Pick<LeaseEntry, 'id' | 'mount'>, at: Instant): Due {
    return { lane: `${leaseDue}.${entry.mount}`, id: entry.id, at }
  }

  async #ids(kind: string, prefix: string, after: string | undefined, limit: number): Promise<readonly string[]> {
    const folder = this.#prefix + kind
    const page = await this.#keeper.scanKeys(rangeBelow(folder + prefix), {
      ...(after !== undefined && { after: folder + after }),
      limit,
    })
    return page.keys.map(key => key.slice(folder.length))
  }

  #at(id: string): string {
    return `${this.#prefix}${leaseCodec.prefix}${id}`
  }
}

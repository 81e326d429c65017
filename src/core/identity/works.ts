import type { KeeperWrite } from '#core/storage/keeper.ts'
import { childCodec, type GroupEntry, groupCodec, memberCodec, type Work, workCodec } from './entry.ts'
import type { IdentityParts } from './parts.ts'
import { membersOfCommit } from './members.ts'

/** How one kind of work is done; to be called again after an interruption, from the beginning. */
type Doer = (work: Work) => Promise<void>

/**
 * Changes that one commit doesn't hold. What is to be done is kept before the first step and removed with the last; what
 * a crash cut short is done at the next start.
 */
export class Works {
  readonly #parts: IdentityParts
  #merge: Doer = () => Promise.reject(new Error('nobody merges entities'))

  constructor(parts: IdentityParts) {
    this.#parts = parts
  }

  /** Who knows how entities are merged. */
  onMerge(doer: Doer): void {
    this.#merge = doer
  }

  /** Begins with a commit of its own, or as a part of one that `also` makes. Call it where no other change runs. */
  async run(work: Work, also: readonly KeeperWrite[] = []): Promise<void> {
    const { keeper, keys } = this.#parts
    await keeper.commit([keys.work(idOf(work), work), ...also])
    await this.#finish(work)
  }

  /** Goes on with what was cut short; after unseal. One that fails is tried again at the next start. */
  async resume(): Promise<void> {
    const { keeper, keys, alone, world, members } = this.#parts
    for await (const ids of members.below(keys.folder(workCodec))) {
      for (const id of ids) {
        const work = (await keeper.get(keys.at(workCodec, id), workCodec)) as Work | null
        if (work === null) continue
        try {
          await alone(() => this.#finish(work))
        } catch (error) {
          world.log.error('a change of identities could not be finished', { kind: work.kind, id, error })
        }
      }
    }
  }

  async #finish(work: Work): Promise<void> {
    const { keeper, keys } = this.#parts
    await this.#do(work)
    await keeper.commit([keys.work(idOf(work), null)])
  }

  #do(work: Work): Promise<void> {
    switch (work.kind) {
      case 'group':
        return this.#group(work)
      case 'dead-group':
        return this.#deadGroup(work)
      case 'dead-entity':
        return this.#deadEntity(work)
      case 'merge':
        return this.#merge(work)
    }
  }

  // In this order nobody has at any time what neither the old group gave nor the new one gives.
  async #group({ next, drop, add }: Extract<Work, { kind: 'group' }>): Promise<void> {
    const { keeper, keys, members } = this.#parts
    for (const some of chunks(drop)) await members.changeOf(next.id, { add: [], drop: some }, [])
    const before = (await keeper.get(keys.at(groupCodec, next.id), groupCodec)) as GroupEntry | null
    await keeper.commit(keys.group(before, next))
    for (const some of chunks(add)) await members.changeOf(next.id, { add: some, drop: [] }, [])
  }

  async #deadGroup({ id, parentIds }: Extract<Work, { kind: 'dead-group' }>): Promise<void> {
    const { keys, members, keeper } = this.#parts
    for (const [kind, codec] of [
      ['entity', memberCodec],
      ['group', childCodec],
    ] as const) {
      for await (const ids of members.below(`${keys.folder(codec)}${id}/`)) {
        for (const drop of chunks(ids.map(one => ({ kind, id: one }))))
          await members.changeOf(id, { add: [], drop }, [])
      }
    }
    for (const some of chunks(parentIds)) await keeper.commit(some.map(parent => keys.child(parent, id, null)))
  }

  async #deadEntity({ id, mergedIds }: Extract<Work, { kind: 'dead-entity' }>): Promise<void> {
    const { keys, members, keeper } = this.#parts
    await members.change(id, { add: [], drop: await members.groupsOf(id) })
    for (const some of chunks(mergedIds)) await keeper.commit(some.map(from => keys.merged(from, null)))
  }
}

/** As many as fit into one commit. */
export function* chunks<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += membersOfCommit) yield all.slice(at, at + membersOfCommit)
}

const idOf = (work: Work): string => {
  switch (work.kind) {
    case 'group':
      return work.next.id
    case 'merge':
      return work.to
    case 'dead-group':
    case 'dead-entity':
      return work.id
  }
}

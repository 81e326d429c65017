import type { Revision, StoreBatch, StoreError, StoreKey } from '#stores/store.ts'
import { Packer } from './packing.ts'

// Bounds of one transaction. What is over goes into the next; the largest batch is far below.
const groupBytesMax = 4 * 1024 * 1024
const groupBatchesMax = 1_024

// Memory that came back from the committer is used again unless a burst made it large, bytes.
const spareBytesMax = 1024 * 1024

type Commit = {
  readonly revision: Revision
  readonly keys: readonly StoreKey[]
  readonly resolve: (revision: Revision) => void
  readonly reject: (error: unknown) => void
}

type Group = { readonly packer: Packer; readonly commits: Commit[]; term: number }

/** Packed operations on their way; `memory` comes back when they are durable. */
export type PackedGroup = {
  readonly memory: ArrayBuffer
  readonly length: number
  readonly revision: Revision
  readonly term: number
}

export type GroupOptions = {
  /** The revision of the last commit before. */
  readonly head: Revision
  /** Called before a group leaves; what it throws refuses all that hasn't left, and nothing of that is written. */
  readonly beforeSend: () => void
  readonly send: (group: PackedGroup) => Promise<ArrayBuffer | undefined>
  /** A group is durable: called once, before any of its commits resolves. */
  readonly onDurable: () => void
  readonly onCommit: (revision: Revision, keys: readonly StoreKey[]) => void
  /** @returns a `full`: nothing of the group is there, and the store goes on. Else it is at its end. */
  readonly onFailure: (error: unknown) => StoreError
}

/**
 * Group commit: what is committed in one turn of the event loop, or while a group is under way, becomes one
 * transaction. One group is under way at a time; what waits is held by callers who wait for it.
 */
export class Groups {
  readonly #options: GroupOptions
  readonly #waiting: Group[] = []
  #underWay: Group | null = null
  #spare: ArrayBuffer | undefined
  #isDue = false
  #last: Revision
  readonly #onIdle: (() => void)[] = []

  constructor(options: GroupOptions) {
    this.#options = options
    this.#last = options.head
  }

  /** @param batch is copied before this returns. */
  submit(batch: StoreBatch, term: number): Promise<Revision> {
    const group = this.#open()
    group.packer.add(batch)
    group.term = Math.max(group.term, term)
    const revision = ++this.#last
    const keys = batch.map(operation => operation.key)
    const durable = new Promise<Revision>((resolve, reject) => {
      group.commits.push({ revision, keys, resolve, reject })
    })
    if (!this.#underWay && !this.#isDue) {
      this.#isDue = true
      setImmediate(() => {
        this.#isDue = false
        this.#sendNext()
      })
    }
    return durable
  }

  /** Refuses what waits and what is under way. */
  fail(error: StoreError): void {
    const groups = this.#underWay ? [this.#underWay, ...this.#waiting.splice(0)] : this.#waiting.splice(0)
    this.#underWay = null
    for (const group of groups) for (const commit of group.commits) commit.reject(error)
    this.#tellIdle()
  }

  /** Resolves when nothing waits and nothing is under way. */
  idle(): Promise<void> {
    if (!this.#underWay && this.#waiting.length === 0) return Promise.resolve()
    return new Promise(resolve => this.#onIdle.push(resolve))
  }

  /** The group that takes the next batch. */
  #open(): Group {
    const last = this.#waiting.at(-1)
    if (last && last.packer.length < groupBytesMax && last.commits.length < groupBatchesMax) return last
    const group = { packer: new Packer(this.#spare), commits: [], term: 0 }
    this.#spare = undefined
    this.#waiting.push(group)
    return group
  }

  #sendNext(): void {
    const group = this.#waiting[0]
    if (this.#underWay || !group) return
    try {
      this.#options.beforeSend()
    } catch (error) {
      this.#refuse(error)
      return
    }
    this.#waiting.shift()
    this.#underWay = group
    void this.#write(group)
  }

  async #write(group: Group): Promise<void> {
    const { packer, commits, term } = group
    try {
      const revision = commits.at(-1)!.revision
      const memory = await this.#options.send({ memory: packer.memory, length: packer.length, revision, term })
      if (memory && memory.byteLength <= spareBytesMax) this.#spare = memory
    } catch (error) {
      const failure = this.#options.onFailure(error)
      if (failure.code === 'full' && this.#underWay === group) this.#refuse(failure)
      else this.fail(failure)
      return
    }
    if (this.#underWay !== group) return
    this.#underWay = null
    this.#options.onDurable()
    for (const { revision, keys } of commits) this.#options.onCommit(revision, keys)
    // Before the callers: the committer works on the next group while they run.
    this.#sendNext()
    for (const { revision, resolve } of commits) resolve(revision)
    if (!this.#underWay && this.#waiting.length === 0) this.#tellIdle()
  }

  // Nothing of them is there, and their revisions are spent: the feed passes over them without keys.
  #refuse(error: unknown): void {
    const groups = this.#underWay ? [this.#underWay, ...this.#waiting.splice(0)] : this.#waiting.splice(0)
    this.#underWay = null
    for (const group of groups) {
      for (const commit of group.commits) {
        this.#options.onCommit(commit.revision, [])
        commit.reject(error)
      }
    }
    this.#tellIdle()
  }

  #tellIdle(): void {
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }
}

import type { Maybe } from '#ground/base/brand.ts'
import type { Json } from '#ground/text/json.ts'
import type { Batch, Change, Codec, Effects, IntentId, Key, Page, View } from '#backend/storage.ts'
import type { Keeper, KeeperWrite } from './keeper.ts'

/** Where a mount's intents and alarms go; `core/leases` keeps them, with the due-time index. */
export type EffectLog = {
  intend(kind: string, entry: Json): Promise<IntentId>
  /** For the commit that they belong to. @throws Error when what should be settled was undone. */
  writes(effects: Effects): readonly KeeperWrite[]
  /** That commit is durable. */
  written(effects: Effects): void
}

/** Full keys longer than this are refused by the stores. */
const keyBytesMax = 2048

/** Thrown for a key that can't be one; callers answer 400. */
export class KeyProblem extends Error {
  override readonly name = 'KeyProblem'
}

/**
 * The part of the store below `prefix`, which ends in `/`: nothing outside it can be named, since ids with empty or
 * dot segments are refused.
 */
export class MountView implements View {
  readonly #keeper: Keeper
  readonly #prefix: string
  readonly #effects: EffectLog

  constructor(keeper: Keeper, prefix: string, effects: EffectLog) {
    this.#keeper = keeper
    this.#prefix = prefix
    this.#effects = effects
  }

  #at(key: Key<unknown>): string {
    return this.#prefix + key.codec.prefix + checkedId(key.id)
  }

  #write(write: Batch[number]): KeeperWrite {
    return { key: this.#at(write.key), codec: write.key.codec, entry: write.entry }
  }

  get<E>(key: Key<E>): Maybe<E | null> {
    return this.#keeper.get(this.#at(key as Key<unknown>), key.codec) as Maybe<E | null>
  }

  peek<E>(key: Key<E>): E | null | undefined {
    return this.#keeper.peek(this.#at(key as Key<unknown>)) as E | null | undefined
  }

  list(codec: Codec<unknown>, folder: string, paging: { after?: string; limit: number }): Maybe<Page> {
    const page = this.#keeper.list(this.#prefix + codec.prefix + checkedFolder(folder), paging)
    return page instanceof Promise
      ? page.then(({ names, more }) => ({ keys: names, more }))
      : { keys: page.names, more: page.more }
  }

  async update<E, R>(key: Key<E>, change: (now: E | null) => Change<E, R>): Promise<R> {
    let done: Effects | undefined
    const result = await this.#keeper.update(this.#at(key as Key<unknown>), key.codec, now => {
      const { entry, also, effects, result } = change(now as E | null)
      done = effects
      return {
        ...(entry !== undefined && { entry }),
        ...((also || effects) && { also: this.#writes(also ?? [], effects) }),
        result,
      }
    })
    if (done !== undefined) this.#effects.written(done)
    return result
  }

  async commit(batch: Batch, effects?: Effects): Promise<void> {
    await this.#keeper.commit(this.#writes(batch, effects))
    if (effects !== undefined) this.#effects.written(effects)
  }

  /** For who commits them together with something of another part of the store. */
  writesOf(batch: Batch): readonly KeeperWrite[] {
    return batch.map(write => this.#write(write))
  }

  #writes(batch: Batch, effects: Effects | undefined): readonly KeeperWrite[] {
    const writes = this.writesOf(batch)
    return effects === undefined ? writes : [...writes, ...this.#effects.writes(effects)]
  }

  purge(codec: Codec<unknown>, folder: string): Promise<void> {
    return this.#keeper.purge(this.#prefix + codec.prefix + checkedFolder(folder))
  }

  intend(kind: string, entry: Json): Promise<IntentId> {
    return this.#effects.intend(kind, entry)
  }
}

/** Empty, or ending in `/`. */
function checkedFolder(folder: string): string {
  if (folder === '') return folder
  if (!folder.endsWith('/')) throw new KeyProblem('the folder does not end in a slash')
  checkedId(folder.slice(0, -1))
  return folder
}

function checkedId(id: string): string {
  if (id.length > keyBytesMax / 4 && Buffer.byteLength(id) > keyBytesMax - 256)
    throw new KeyProblem('the path is too long')
  if (id.includes('//') || id.startsWith('/') || id.endsWith('/')) throw new KeyProblem('the path has an empty segment')
  if (id === '.' || id === '..' || /(^|\/)\.\.?(\/|$)/.test(id)) throw new KeyProblem('relative paths not supported')
  // Names may come out of JSON, where anything can be written; a store would take this for a bug of ours.
  if (id.includes('\0') || !id.isWellFormed()) throw new KeyProblem('the path holds characters that can not be kept')
  return id
}

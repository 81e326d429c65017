import type { Bytes, Maybe } from '#ground/base/brand.ts'
import type { Instant } from '#ground/base/clock.ts'
import { jsonBytes } from '#ground/fields/codec.ts'
import type { Json } from '#ground/text/json.ts'

/**
 * How one kind of entry is kept: its place below the mount's prefix and its form as bytes. Decoded entries are shared
 * by all readers through the cache: they are never changed in place.
 */
export type Codec<E> = {
  /** Folder below the mount, ending in `/`, or empty for a single entry at a fixed id: `role/`. */
  readonly prefix: string
  encode(entry: E): Bytes
  /** @throws Error when the bytes are no such entry; the caller reports the key, never the bytes. */
  decode(bytes: Bytes): E
}

/** A typed place: `roles.key('app')`. */
export type Key<E> = {
  readonly codec: Codec<E> /** Below the codec's prefix; checked for dot segments by the view. */
  readonly id: string
}

/** One change; made by `put` and `drop` so that entry and codec agree. */
export type Write = { readonly key: Key<unknown>; readonly entry: unknown }

/** Several changes that happen together or not at all. */
export type Batch = readonly Write[]

export const put = <E>(key: Key<E>, entry: E): Write => ({ key: key as Key<unknown>, entry })
export const drop = <E>(key: Key<E>): Write => ({ key: key as Key<unknown>, entry: null })

export type Page = {
  /** Leaf names, folders with a trailing `/`. */ readonly keys: readonly string[]
  readonly more: boolean
}

/** Names an intent until it is settled or undone. */
export type IntentId = string & { readonly intent: unique symbol }

/** What belongs to a commit beside entries: it happens with them or not at all. */
export type Effects = {
  /** What was intended is done and kept: nothing undoes it any more. Refused when it was undone already. */
  readonly settles?: IntentId
  /**
   * Durable due times: the active node calls the engine's `alarms[kind]` once at or after `at`, and again until it
   * succeeds. An alarm of the same kind and id is replaced; null cancels it.
   */
  readonly alarms?: readonly { readonly kind: string; readonly id: string; readonly at: Instant | null }[]
}

/** What `update`'s function decides; leave `entry` out to change nothing. */
export type Change<E, R> = {
  readonly entry?: E | null
  readonly also?: Batch
  readonly effects?: Effects
  readonly result: R
}

/**
 * Everything a mount may see of the store: its own prefix, decrypted, decoded, cached. A resolved write is durable
 * (`stores/store.ts`).
 */
export interface View {
  /** At once when cached or when the store answers at once. */
  get<E>(key: Key<E>): Maybe<E | null>
  /** Only what is in memory: null = known to be absent, undefined = not known. */
  peek<E>(key: Key<E>): E | null | undefined
  /** One level below `codec.prefix + folder` (`folder` empty or ending in `/`). */
  list(codec: Codec<unknown>, folder: string, paging: { after?: string; limit: number }): Maybe<Page>
  /**
   * Atomic: `change` sees the newest entry, also one whose write is still under way, and is called once. What it
   * throws is thrown, and nothing is written.
   */
  update<E, R>(key: Key<E>, change: (now: E | null) => Change<E, R>): Promise<R>
  /** At most 120 writes; more is cut by the caller, who then sees a part of them after a crash. */
  commit(batch: Batch, effects?: Effects): Promise<void>
  /** Everything below the folder, in bounded steps; resumable. */
  purge(codec: Codec<unknown>, folder: string): Promise<void>
  /**
   * Durable before an effect outside the store. A lease settles it in its own commit (`Outcome.lease.settles`), and so
   * does any other through `Effects.settles`; the engine's `intents[kind].undo` is called for what isn't settled in
   * time, because the handler failed or the process died.
   */
  intend(kind: string, entry: Json): Promise<IntentId>
}

/** A codec that keeps plain data as JSON: `jsonEntries<Role>('role/')`. */
export function jsonEntries<E>(prefix: string): Codec<E> & { key(id: string): Key<E> } {
  const codec: Codec<E> = { prefix, encode: jsonBytes.encode, decode: bytes => jsonBytes.decode<E>(bytes) }
  return { ...codec, key: id => ({ codec, id }) }
}

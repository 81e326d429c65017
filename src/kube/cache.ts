import { backoffMs } from '#ground/base/retry.ts'
import type { KubeClient, ListOptions } from './client.ts'
import { isExpired, KubeError } from './errors.ts'
import type { KubeObject } from './objects.ts'
import type { Target } from './target.ts'
import { watch } from './watch.ts'

/** `namespace/name`, or `name` for what has no namespace. */
export type ObjectKey = string

export function keyOf(object: KubeObject): ObjectKey {
  const { namespace, name } = object.metadata ?? {}
  return namespace ? `${namespace}/${name ?? ''}` : (name ?? '')
}

export type CacheOptions<T extends KubeObject> = Pick<
  ListOptions,
  'labelSelector' | 'fieldSelector' | 'isMetadataOnly' | 'limit'
> & {
  /** Without name: all of a namespace, or of all namespaces. */
  readonly target: Target
  /**
   * Makes of an object what is kept. Default: the object without `metadata.managedFields`, which are the better half
   * of many.
   */
  readonly keep?: (object: T) => T
  /** More objects than this are refused, so that memory has a bound; default 200,000. */
  readonly entriesMax?: number
  readonly signal?: AbortSignal
}

const waits = { waitMs: 500, waitMsMax: 30_000 } as const
/** A watch that ends sooner counts as a failure: a server that hangs up at once must not be stormed. */
const shortWatchMs = 2_000

function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (object.metadata) delete object.metadata.managedFields
  return object
}

/**
 * All objects of a kind, kept current by list and watch. Whoever listens gets keys, not changes: look the object up,
 * and take its absence for deletion. After a gap the difference to the new list is told, so no change is missed,
 * though several may arrive as one.
 */
export class KubeCache<T extends KubeObject = KubeObject> implements AsyncDisposable {
  readonly #client: KubeClient
  readonly #options: CacheOptions<T>
  readonly #objects = new Map<ObjectKey, T>()
  readonly #listeners = new Set<(key: ObjectKey) => void>()
  readonly #end = new AbortController()
  readonly #synced = Promise.withResolvers<void>()
  readonly #ended: Promise<void>
  #resourceVersion: string | null = null
  #isSynced = false
  #failure: unknown = null

  constructor(client: KubeClient, options: CacheOptions<T>) {
    this.#client = client
    this.#options = options
    // Nobody may wait for it; a cache that is closed early is no unhandled rejection.
    this.#synced.promise.catch(() => undefined)
    const outer = options.signal ?? client.world.signal
    const onAbort = (): void => this.#end.abort(outer.reason)
    if (outer.aborted) onAbort()
    else outer.addEventListener('abort', onAbort, { once: true })
    this.#ended = this.#run().finally(() => {
      outer.removeEventListener('abort', onAbort)
      this.#synced.reject(this.#end.signal.reason)
    })
  }

  /** The first list is in. */
  get isSynced(): boolean {
    return this.#isSynced
  }

  /** Why list or watch doesn't work at the moment; null when it does. For readiness and the doctor. */
  get failure(): unknown {
    return this.#failure
  }

  get size(): number {
    return this.#objects.size
  }

  /** @throws the reason when the cache ends before its first list is in */
  synced(): Promise<void> {
    return this.#synced.promise
  }

  /** Not to be changed: it is the cache's own. */
  get(key: ObjectKey): T | undefined {
    return this.#objects.get(key)
  }

  values(): IterableIterator<T> {
    return this.#objects.values()
  }

  keys(): IterableIterator<ObjectKey> {
    return this.#objects.keys()
  }

  /** `listener` must not throw; it is told of every object of the first list too. Disposing ends it. */
  onChange(listener: (key: ObjectKey) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error('the cache was closed'))
    await this.#ended
  }

  async #run(): Promise<void> {
    const { clock, entropy, log } = this.#client.world
    const { signal } = this.#end
    let failures = 0
    while (!signal.aborted) {
      const startedAt = clock.monotonic()
      try {
        if (this.#resourceVersion === null) await this.#list()
        await this.#watch()
        failures = clock.monotonic() - startedAt < shortWatchMs ? failures + 1 : 0
      } catch (error) {
        if (signal.aborted) return
        if (isExpired(error)) this.#resourceVersion = null
        else this.#failure = error
        failures = clock.monotonic() - startedAt < waits.waitMsMax ? failures + 1 : 1
        const { resource } = this.#options.target
        if (isExpired(error)) log.debug('kubernetes watch is too old, listing again', { resource })
        else log.warn('kubernetes list or watch failed', { resource, failures, error })
      }
      if (failures === 0) continue
      const waitMs = backoffMs(waits, failures) * (0.5 + entropy.fraction() / 2)
      await clock.sleep(waitMs, signal).catch(() => undefined)
    }
  }

  async #list(): Promise<void> {
    const { target, labelSelector, fieldSelector, isMetadataOnly, limit, entriesMax = 200_000 } = this.#options
    const keep = this.#options.keep ?? withoutManagedFields
    const found = new Map<ObjectKey, T>()
    const pages = this.#client.pages<T>(target, {
      signal: this.#end.signal,
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(isMetadataOnly ? { isMetadataOnly } : {}),
      ...(limit === undefined ? {} : { limit }),
    })
    for (;;) {
      const page = await pages.next()
      if (page.done) {
        this.#take(found)
        this.#resourceVersion = page.value.resourceVersion ?? ''
        break
      }
      for (const object of page.value) found.set(keyOf(object), keep(object))
      if (found.size > entriesMax) throw tooMany(target, entriesMax)
    }
    this.#failure = null
    this.#isSynced = true
    this.#synced.resolve()
  }

  #take(found: ReadonlyMap<ObjectKey, T>): void {
    const changed: ObjectKey[] = []
    for (const key of this.#objects.keys()) {
      if (found.has(key)) continue
      this.#objects.delete(key)
      changed.push(key)
    }
    for (const [key, object] of found) {
      const before = this.#objects.get(key)
      this.#objects.set(key, object)
      const isSame =
        before?.metadata?.resourceVersion === object.metadata?.resourceVersion &&
        before?.metadata?.uid === object.metadata?.uid
      if (!before || !isSame) changed.push(key)
    }
    for (const key of changed) this.#tell(key)
  }

  async #watch(): Promise<void> {
    const { target, labelSelector, fieldSelector, isMetadataOnly, entriesMax = 200_000 } = this.#options
    const keep = this.#options.keep ?? withoutManagedFields
    const events = watch<T>(this.#client, target, {
      resourceVersion: this.#resourceVersion ?? '',
      signal: this.#end.signal,
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(isMetadataOnly ? { isMetadataOnly } : {}),
    })
    for await (const event of events) {
      this.#failure = null
      if (event.type === 'BOOKMARK') {
        this.#resourceVersion = event.resourceVersion || this.#resourceVersion
        continue
      }
      const key = keyOf(event.object)
      const version = event.object.metadata?.resourceVersion
      if (event.type === 'DELETED') this.#objects.delete(key)
      else this.#objects.set(key, keep(event.object))
      this.#resourceVersion = version ?? this.#resourceVersion
      if (this.#objects.size > entriesMax) throw tooMany(target, entriesMax)
      this.#tell(key)
    }
  }

  #tell(key: ObjectKey): void {
    for (const listener of this.#listeners) listener(key)
  }
}

function tooMany(target: Target, entriesMax: number): KubeError {
  const message = `there are more than ${entriesMax} ${target.resource}; narrow them by namespace or label`
  return new KubeError({ code: 0, reason: 'TooLarge', message, operation: `GET ${target.resource}` })
}

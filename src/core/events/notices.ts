import { BoundedQueue } from '#ground/base/queue.ts'
import type { Notice } from '#protocol/event.ts'

/** Logical paths that one subscriber may watch. */
export const watchedMax = 256
/** Notices that wait for one subscriber before it is told `lost`. */
export const queueMax = 64

/** One subscriber: what it watches, and what waits for it. */
export type Subscription = {
  readonly paths: ReadonlySet<string>
  read(signal: AbortSignal): AsyncIterable<Notice>
} & Disposable

class Subscriber implements Subscription {
  readonly paths: ReadonlySet<string>
  readonly #queue = new BoundedQueue<Notice>(queueMax)
  readonly #onEnd: (me: Subscriber) => void

  constructor(paths: ReadonlySet<string>, onEnd: (me: Subscriber) => void) {
    this.paths = paths
    this.#onEnd = onEnd
  }

  offer(notice: Notice): void {
    if (this.#queue.push(notice)) return
    // A reader that is too slow is told once, instead of a list of what it missed; also when nothing comes after.
    this.#queue.clear()
    this.#queue.push({ lost: true })
  }

  read(signal: AbortSignal): AsyncIterable<Notice> {
    return this.#queue.read(signal)
  }

  [Symbol.dispose](): void {
    this.#queue.close()
    this.#onEnd(this)
  }
}

/**
 * Tells who watches a path that it changed; never what it holds. Watching needs `read` on the path, which is checked by
 * the path's handler, again at each notice. Nothing is kept for who isn't there: a reader that connects reads first.
 */
export class NoticeHub {
  readonly #byPath = new Map<string, Set<Subscriber>>()
  #count = 0

  get subscribers(): number {
    return this.#count
  }

  subscribe(paths: ReadonlySet<string>): Subscription {
    const subscriber = new Subscriber(paths, me => this.#forget(me))
    for (const path of paths) {
      const at = this.#byPath.get(path)
      if (at) at.add(subscriber)
      else this.#byPath.set(path, new Set([subscriber]))
    }
    this.#count++
    return subscriber
  }

  publish(path: string, version: number | null): void {
    const at = this.#byPath.get(path)
    if (at === undefined) return
    for (const subscriber of at) subscriber.offer({ path, version })
  }

  /** Ends all subscriptions: the node seals or stops. */
  close(): void {
    const all = new Set([...this.#byPath.values()].flatMap(set => [...set]))
    for (const subscriber of all) subscriber[Symbol.dispose]()
  }

  #forget(subscriber: Subscriber): void {
    let wasThere = false
    for (const path of subscriber.paths) {
      const at = this.#byPath.get(path)
      if (!at?.delete(subscriber)) continue
      wasThere = true
      if (at.size === 0) this.#byPath.delete(path)
    }
    if (wasThere) this.#count--
  }
}

import { BoundedQueue } from '#ground/base/queue.ts'
import type { Instant } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import { matchGlob } from '#ground/text/glob.ts'
import type { EngineEvent } from '#protocol/event.ts'
import type { EventFilter } from './filter.ts'

/** Events that wait for one subscriber; one that falls further behind is cut off. */
export const waitingMax = 1_000
/** Subscribers at once. */
export const subscribersMax = 1_000

/** Where an event comes from. */
export type EventSource = {
  /** `secret` or `auth`. */
  readonly class: string
  readonly accessor: string
  /** `secret/`, `auth/kubernetes/`. */
  readonly path: string
  readonly plugin: string
  /** Of the engine, where a type has several: `2` of kv. */
  readonly version: string
}

/** An event as subscribers get it. */
export type FiredEvent = {
  readonly id: string
  readonly type: string
  readonly time: Instant
  readonly source: EventSource
  /** Vault's: `path`, `data_path`, `operation`, `modified`, `current_version`, … all texts. */
  readonly metadata: Readonly<Record<string, string>>
  /** The path, with its mount, that a subscriber needs to be allowed; null: only root hears of it. */
  readonly dataPath: string | null
}

export type EventInterest = {
  /** A glob of types: `kv-v2/*`. */
  readonly types: string
  /** null: all. */
  readonly filter: EventFilter | null
}

/** One subscriber's queue. `hasLost` ends it: it was too slow, and what it missed can't be told. */
export type EventSubscription = Disposable & {
  readonly hasLost: boolean
  read(signal: AbortSignal): AsyncIterable<FiredEvent>
}

class Subscriber implements EventSubscription {
  readonly interest: EventInterest
  readonly #queue = new BoundedQueue<FiredEvent>(waitingMax)
  readonly #onEnd: (me: Subscriber) => void
  hasLost = false

  constructor(interest: EventInterest, onEnd: (me: Subscriber) => void) {
    this.interest = interest
    this.#onEnd = onEnd
  }

  offer(event: FiredEvent): void {
    if (this.#queue.push(event)) return
    this.hasLost = true
    this.#queue.close()
  }

  read(signal: AbortSignal): AsyncIterable<FiredEvent> {
    return this.#queue.read(signal)
  }

  [Symbol.dispose](): void {
    this.#queue.close()
    this.#onEnd(this)
  }
}

/**
 * Vault's event notifications: what happened, without values, to who asked for its type. Nothing is kept for who isn't
 * there, and nothing is made while nobody is.
 * @source hv docs/concepts/events
 */
export class EventHub {
  readonly #world: Pick<World, 'clock' | 'entropy'>
  readonly #subscribers = new Set<Subscriber>()

  constructor(world: Pick<World, 'clock' | 'entropy'>) {
    this.#world = world
  }

  /** @returns null when there are too many. */
  subscribe(interest: EventInterest): EventSubscription | null {
    if (this.#subscribers.size >= subscribersMax) return null
    const subscriber = new Subscriber(interest, me => this.#subscribers.delete(me))
    this.#subscribers.add(subscriber)
    return subscriber
  }

  /** After the commit of what happened. */
  publish(source: () => EventSource, event: EngineEvent): void {
    if (this.#subscribers.size === 0) return
    let fired: FiredEvent | null = null
    for (const subscriber of this.#subscribers) {
      const { types, filter } = subscriber.interest
      if (!matchGlob(types, event.type)) continue
      fired ??= this.#fired(source(), event)
      if (filter === null || filter(selectorOf(fired))) subscriber.offer(fired)
    }
  }

  #fired(source: EventSource, event: EngineEvent): FiredEvent {
    const { clock, entropy } = this.#world
    const { version, oldestVersion } = event
    return {
      id: entropy.uuid(),
      type: event.type,
      time: clock.now(),
      source,
      metadata: {
        ...event.metadata,
        path: source.path + event.path,
        data_path: source.path + event.dataPath,
        operation: event.operation,
        modified: String(event.modified),
        ...(version !== undefined && { current_version: String(version) }),
        ...(oldestVersion !== undefined && { oldest_version: String(oldestVersion) }),
      },
      dataPath: source.path + event.dataPath,
    }
  }

  /** Ends all subscriptions: the node seals or stops. */
  close(): void {
    for (const subscriber of this.#subscribers) subscriber[Symbol.dispose]()
  }
}

/** What filters may name. @source vault/eventbus/filter.go */
const selectorOf =
  ({ type, source, metadata }: FiredEvent) =>
  (selector: string): string | undefined => {
    if (selector === 'event_type') return type
    if (selector === 'source_plugin_mount') return source.path
    if (selector === 'namespace') return ''
    const key = selector.replace(/^metadata[./]/, '')
    return Object.hasOwn(metadata, key) ? metadata[key] : undefined
  }

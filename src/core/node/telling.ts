import type { World } from '#ground/base/world.ts'
import { EventHub, type EventSource } from '#core/events/event-hub.ts'
import { NoticeHub } from '#core/events/notices.ts'
import type { LeaseEntry } from '#core/leases/entry.ts'
import type { LeaseChange } from '#core/leases/leases.ts'
import { fullPath, type MountEntry } from '#core/mounts/entry.ts'
import type { EngineEvent } from '#protocol/event.ts'

/** Tells what happened, after it is durable: change notices to who reads a path, events to who asked for their types. */
export class Telling {
  readonly notices = new NoticeHub()
  readonly events: EventHub
  readonly #mountOf: (accessor: string) => MountEntry | null

  constructor(world: Pick<World, 'clock' | 'entropy'>, mountOf: (accessor: string) => MountEntry | null) {
    this.events = new EventHub(world)
    this.#mountOf = mountOf
  }

  tell(mount: MountEntry, event: EngineEvent): void {
    // Who watches a path reads it again: not because of what changed nothing there.
    if (event.modified) this.notices.publish(fullPath(mount) + event.dataPath, event.version ?? null)
    this.events.publish(() => sourceOf(mount), event)
  }

  /** Watched by its id, and heard of by who may hear of the path that made it. */
  tellLease(what: LeaseChange, { id, mount: accessor }: LeaseEntry): void {
    if (what === 'revoke') this.notices.publish(id, null)
    const mount = this.#mountOf(accessor)
    if (mount === null) return
    const path = id.slice(fullPath(mount).length, id.lastIndexOf('/'))
    const event = { type: `lease/${what}`, path, dataPath: path, operation: what, modified: false }
    this.events.publish(() => sourceOf(mount), { ...event, metadata: { lease_id: id } })
  }

  /** Ends all subscriptions. */
  close(): void {
    this.notices.close()
    this.events.close()
  }
}

const sourceOf = (mount: MountEntry): EventSource => ({
  class: mount.kind,
  accessor: mount.accessor,
  path: fullPath(mount),
  plugin: mount.type,
  version: mount.options?.['version'] ?? '',
})

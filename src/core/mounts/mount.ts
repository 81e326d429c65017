import type { AnyEngine, MountFacts } from '#backend/engine.ts'
import type { View } from '#backend/storage.ts'
import type { AuditedMount } from './audited.ts'
import { fullPath, type MountEntry } from './entry.ts'
import { InFlight } from './in-flight.ts'
import { type Router, routerOf } from './router.ts'

/** An open mount: its entry, its engine and the state that the engine made for it. */
export type Mount = {
  readonly entry: MountEntry
  /** As requests name it, ending in `/`. */
  readonly path: string
  readonly engine: AnyEngine
  readonly router: Router
  readonly state: unknown
  readonly view: View
  readonly facts: MountFacts
  readonly audited: AuditedMount
  /** Requests that were routed to it and aren't answered; its state is closed after them. */
  readonly inFlight: InFlight
}

export function auditedMount(entry: MountEntry, engine: AnyEngine): AuditedMount {
  return {
    path: fullPath(entry),
    type: entry.type,
    accessor: entry.accessor,
    version: engine.version,
    class: entry.kind,
    openRequestKeys: new Set(entry.config.auditNonHmacRequestKeys),
    openResponseKeys: new Set(entry.config.auditNonHmacResponseKeys),
  }
}

export function makeMount(parts: Pick<Mount, 'entry' | 'engine' | 'state' | 'view' | 'facts'>): Mount {
  return {
    ...parts,
    path: fullPath(parts.entry),
    router: routerOf(parts.engine),
    audited: auditedMount(parts.entry, parts.engine),
    inFlight: new InFlight(),
  }
}

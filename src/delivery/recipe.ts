import type { Bytes } from '#ground/base/brand.ts'
import type { Instant, Seconds } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'

/**
 * One value to be read from a server. `path` is as a user writes it (`secret/app` or `secret/data/app`); reading
 * resolves KV v2's `data/` by preflight.
 */
export type Source = {
  readonly path: string
  /** KV version; absent = current. */
  readonly version?: number
  /** Sent as a write (PUT) when present: how dynamic secrets with parameters are asked for. */
  readonly parameters?: Readonly<Record<string, Json>>
}

/** What turns data into bytes: a Go template, one field of the only source, or the whole document. */
export type Shape =
  | {
      readonly kind: 'template'
      readonly name: string
      readonly text: string
      readonly delimiters: readonly [string, string]
      readonly missingKey: 'error' | 'default'
    }
  | { readonly kind: 'field'; readonly field: string }
  | { readonly kind: 'document'; readonly format: 'json' | 'yaml' | 'properties' }

/** How old a static value may become; leased ones follow their lease. */
export type Freshness = { readonly pollEvery: Seconds /** Listen for `sys/notices`. */; readonly pushed: boolean }

/** What one consumer wants, whoever wakes it: the same for every tap (design 6). A template finds its sources itself. */
export type Recipe = {
  readonly name: string
  readonly sources: readonly Source[]
  readonly shape: Shape
  readonly freshness: Freshness
}

/** Bytes ready to land, and how long they hold. */
export type Parcel = {
  readonly recipe: string
  readonly bytes: Bytes
  /** What was read, without values: for logs, status and `explain`. */
  readonly origins: readonly {
    readonly path: string
    readonly version: number | null
    readonly leaseId: string | null
  }[]
  /** Fetch again at this time at the latest, even if nothing is heard. */
  readonly nextAt: Instant
}

/**
 * Where bytes land: a file, a child's environment, a Kubernetes Secret, a mount, a manifest. Landing is atomic and
 * idempotent: the same parcel twice changes nothing and reports `unchanged`.
 */
export interface Sink {
  /** For logs: `file /vault/secrets/db`. */
  readonly describes: string
  land(parcel: Parcel, signal: AbortSignal): Promise<'changed' | 'unchanged'>
  /** Takes back what was landed, where that makes sense (a tmpfs file at exit); never throws for what is gone. */
  withdraw?(): Promise<void>
}

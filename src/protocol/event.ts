/**
 * Something happened to a secret; carries no value. Feeds `GET sys/notices` and Vault's event subscription, so the
 * type names and metadata keys are Vault's.
 * @source hv docs/concepts/events
 */
export type EngineEvent = {
  /** `kv-v2/data-write`, `kv-v2/data-delete`, … */
  readonly type: string
  /** The logical path within the mount that a reader of the data asks for: `data/app/db`. */
  readonly dataPath: string
  /** Path of the request within the mount. */
  readonly path: string
  readonly operation: string
  readonly modified: boolean
  /** The version that is current after it, where the engine counts versions. */
  readonly version?: number
  /** The oldest that can still be read. */
  readonly oldestVersion?: number
  readonly metadata?: Readonly<Record<string, string>>
}

/** What `sys/notices` sends: the logical path with its mount, and the version now current. */
export type Notice = { readonly path: string; readonly version: number | null } | { readonly lost: true }

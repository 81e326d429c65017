import { jsonBytes } from '#ground/fields/codec.ts'
import type { Seconds } from '#ground/base/clock.ts'
import type { Codec } from '#backend/storage.ts'

/** What can be tuned. 0 = the system's. */
export type MountConfig = {
  readonly defaultLeaseTtl: Seconds
  readonly maxLeaseTtl: Seconds
  readonly forceNoCache: boolean
  readonly auditNonHmacRequestKeys: readonly string[]
  readonly auditNonHmacResponseKeys: readonly string[]
  readonly listingVisibility: '' | 'hidden' | 'unauth'
  readonly passthroughRequestHeaders: readonly string[]
  readonly allowedResponseHeaders: readonly string[]
  /** Auth mounts only. */
  readonly tokenType: 'default-service' | 'default-batch' | 'service' | 'batch'
  /** Auth mounts only, once tuned. */
  readonly lockout?: LockoutTune
}

/** What is said of lockouts; 0 or absent says nothing. */
export type LockoutTune = {
  readonly threshold: number
  readonly duration: Seconds
  readonly counterReset: Seconds
  readonly isDisabled?: boolean
}

/** A mount as it is kept, one entry each. */
export type MountEntry = {
  readonly uuid: string
  readonly kind: 'secret' | 'auth'
  /** Without `auth/`, ending in `/`: `secret/`, `kubernetes/`. */
  readonly path: string
  readonly type: string
  readonly accessor: string
  readonly description: string
  readonly config: MountConfig
  readonly options: Readonly<Record<string, string>> | null
  readonly local: boolean
  readonly sealWrap: boolean
  readonly externalEntropyAccess: boolean
  /** Being removed or moved: takes no requests; a restart goes on with it. */
  readonly isTainted: boolean
  /** Where to, as `path`, and the move's id. Absent: it isn't moved. */
  readonly moving?: { readonly to: string; readonly id: string }
}

export const mountCodec: Codec<MountEntry> = { prefix: 'mounts/', encode: jsonBytes.encode, decode: jsonBytes.decode }

export const defaultMountConfig: MountConfig = {
  defaultLeaseTtl: 0 as Seconds,
  maxLeaseTtl: 0 as Seconds,
  forceNoCache: false,
  auditNonHmacRequestKeys: [],
  auditNonHmacResponseKeys: [],
  listingVisibility: '',
  passthroughRequestHeaders: [],
  allowedResponseHeaders: [],
  tokenType: 'default-service',
}

/** The path that requests use: `auth/kubernetes/`. */
export const fullPath = (entry: Pick<MountEntry, 'kind' | 'path'>): string =>
  entry.kind === 'auth' ? `auth/${entry.path}` : entry.path

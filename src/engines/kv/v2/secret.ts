import { createHash } from 'node:crypto'
import type { Bytes } from '#ground/base/brand.ts'
import { type Instant, instant, type Seconds } from '#ground/base/clock.ts'
import type { Codec, Key } from '#backend/storage.ts'
import { packVersions, unpackVersions, type Version } from './version.ts'

/**
 * A secret with its current value, in one entry: a read is one look-up, a write learns the version without a second
 * (hot-path 4.6). Older values lie apart.
 */
export type SecretEntry = {
  readonly createdAt: Instant
  readonly updatedAt: Instant
  /** 0 = only metadata so far. */
  readonly currentVersion: number
  /** Ascending; those beyond the retention are gone. */
  readonly versions: readonly Version[]
  readonly maxVersions: number
  readonly casRequired: boolean
  /** 0 = not set. */
  readonly deleteVersionAfter: Seconds
  readonly customMetadata: Readonly<Record<string, string>> | null
  /** Counts the writes of metadata; 0 = there was none. */
  readonly metadataVersion: number
  readonly metadataCasRequired: boolean
  /** Canonical JSON of the current version; null when it is destroyed, or there is none. */
  readonly text: string | null
}

const decoder = new TextDecoder()

type Head = Omit<SecretEntry, 'text' | 'versions'> & { readonly versionsBytes: number; readonly hasText: boolean }

/** Four bytes of length, the head as JSON, the versions packed, and the value's text as it is, not parsed a second time. */
export const secretCodec: Codec<SecretEntry> = {
  prefix: 'secret/',
  encode({ text, versions, ...rest }) {
    const packed = packVersions(versions)
    const head = JSON.stringify({ ...rest, versionsBytes: packed.length, hasText: text !== null } satisfies Head)
    const value = text ?? ''
    const out = Buffer.allocUnsafe(4 + Buffer.byteLength(head) + packed.length + Buffer.byteLength(value))
    const headBytes = out.write(head, 4)
    out.writeUInt32BE(headBytes, 0)
    out.set(packed, 4 + headBytes)
    out.write(value, 4 + headBytes + packed.length)
    return out
  },
  decode(bytes) {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const headEnd = 4 + buffer.readUInt32BE(0)
    const { hasText, versionsBytes, ...head } = JSON.parse(buffer.toString('utf8', 4, headEnd)) as Head
    const end = headEnd + versionsBytes
    const versions = unpackVersions(buffer.subarray(headEnd, end))
    return { ...head, versions, text: hasText ? buffer.toString('utf8', end) : null }
  },
}

export const secretKey = (path: string): Key<SecretEntry> => ({ codec: secretCodec, id: path })

/** Canonical JSON of an older version. */
export const versionCodec: Codec<string> = {
  prefix: 'version/',
  encode: (text): Bytes => Buffer.from(text),
  decode: bytes => decoder.decode(bytes),
}

// By hash of the path: `a` and `a/b` are two secrets, and the versions of one must not lie below the other's.
const folderOf = (path: string): string => createHash('sha256').update(path).digest('base64url')

export const versionKey = (path: string, version: number): Key<string> => ({
  codec: versionCodec,
  id: `${folderOf(path)}/${version}`,
})

export const versionsFolder = (path: string): string => `${folderOf(path)}/`

export const newSecret = (now: Instant): SecretEntry => ({
  createdAt: now,
  updatedAt: now,
  currentVersion: 0,
  versions: [],
  maxVersions: 0,
  casRequired: false,
  deleteVersionAfter: 0 as Seconds,
  customMetadata: null,
  metadataVersion: 0,
  metadataCasRequired: false,
  text: null,
})

export const isDeleted = (version: Version, now: Instant): boolean =>
  version.isDestroyed || (version.deletedAt !== null && version.deletedAt <= now)

/** The mount's configuration. */
export type KvConfig = {
  readonly maxVersions: number
  readonly casRequired: boolean
  readonly deleteVersionAfter: Seconds
  readonly metadataCasRequired: boolean
}

export const defaultConfig: KvConfig = {
  maxVersions: 0,
  casRequired: false,
  deleteVersionAfter: 0 as Seconds,
  metadataCasRequired: false,
}

/** The greater of both, 10 when neither says. @source openbao builtin/logical/kv/backend.go */
export const retention = (config: KvConfig, entry: SecretEntry): number =>
  Math.max(config.maxVersions, entry.maxVersions) || 10

/** When a version written now deletes itself: the smaller of both; a negative one of the mount turns it off. */
export function deletionTime(config: KvConfig, entry: SecretEntry, now: Instant): Instant | null {
  if (config.deleteVersionAfter < 0) return null
  const set = [config.deleteVersionAfter, entry.deleteVersionAfter].filter(after => after > 0)
  return set.length === 0 ? null : instant(now + Math.min(...set) * 1000)
}

import { type Instant, instant } from '#ground/base/clock.ts'

export type Version = {
  readonly version: number
  readonly createdAt: Instant
  /** When it is or was deleted; in the future for versions that delete themselves. null = not. */
  readonly deletedAt: Instant | null
  readonly isDestroyed: boolean
}

/** Number, flags, and two times of eight bytes. */
const recordBytes = 21
const destroyed = 1
const deleted = 2

/** Of one length each: a secret with 10,000 versions is written anew with each of them. */
export function packVersions(versions: readonly Version[]): Buffer {
  const out = Buffer.allocUnsafe(versions.length * recordBytes)
  let at = 0
  for (const { version, createdAt, deletedAt, isDestroyed } of versions) {
    out.writeUInt32BE(version, at)
    out[at + 4] = (isDestroyed ? destroyed : 0) | (deletedAt === null ? 0 : deleted)
    out.writeDoubleBE(createdAt, at + 5)
    out.writeDoubleBE(deletedAt ?? 0, at + 13)
    at += recordBytes
  }
  return out
}

export function unpackVersions(bytes: Buffer): readonly Version[] {
  const versions: Version[] = []
  for (let at = 0; at < bytes.length; at += recordBytes) {
    const flags = bytes[at + 4]!
    versions.push({
      version: bytes.readUInt32BE(at),
      createdAt: instant(bytes.readDoubleBE(at + 5)),
      deletedAt: (flags & deleted) === 0 ? null : instant(bytes.readDoubleBE(at + 13)),
      isDestroyed: (flags & destroyed) !== 0,
    })
  }
  return versions
}

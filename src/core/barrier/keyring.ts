import type { Bytes } from '#ground/base/brand.ts'
import { type Instant, instant } from '#ground/base/clock.ts'

/** A data key with its raw bytes: only while a ring is read or written, then wiped. Terms count from 1. */
export type KeyTerm = {
  readonly term: number
  /** 32 bytes. */
  readonly raw: Bytes
  readonly installedAt: Instant
  /** How many entries it had sealed when the ring was written. */
  readonly encryptions: number
}

/** When a new term begins by itself. */
export type Rotation = {
  readonly isEnabled: boolean
  /** Entries sealed by one key. */
  readonly operationsMax: number
  /** Age of a key, ms; 0 = no limit. */
  readonly intervalMs: number
}

/** What lies at `core/keyring`, under the root key. */
export type Keyring = { readonly keys: readonly KeyTerm[]; readonly rotation: Rotation }

/** 90 % of the 2^32 messages that AES-GCM with random nonces allows a key (NIST SP 800-38D section 8.3). */
export const defaultRotation: Rotation = { isEnabled: true, operationsMax: 3_865_470_566, intervalMs: 0 }

const rawBytes = 32
const termsMax = 5000

type Described = {
  readonly keys: readonly { readonly term: number; readonly installedAt: number; readonly encryptions: number }[]
  readonly rotation: Rotation
}

/**
 * Metadata as JSON, a line feed, then the raw keys in order: keys never become text, since a string can't be wiped. The
 * result is the caller's to wipe.
 */
export function encodeKeyring(ring: Keyring): Bytes {
  const described: Described = {
    keys: ring.keys.map(({ term, installedAt, encryptions }) => ({ term, installedAt, encryptions })),
    rotation: ring.rotation,
  }
  const head = Buffer.from(`${JSON.stringify(described)}\n`)
  const out = Buffer.allocUnsafeSlow(head.length + ring.keys.length * rawBytes)
  out.set(head)
  for (const [index, key] of ring.keys.entries()) out.set(key.raw, head.length + index * rawBytes)
  return out
}

/**
 * Reads what `encodeKeyring` wrote; the raw keys are copies.
 * @throws RangeError for anything else; it was authenticated, so that is our bug.
 */
export function decodeKeyring(bytes: Bytes): Keyring {
  const end = bytes.indexOf(0x0a)
  if (end === -1) throw new RangeError('a keyring has a head')
  const described = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString('utf8')) as Described
  const count = described.keys.length
  if (count === 0 || count > termsMax || bytes.length !== end + 1 + count * rawBytes) {
    throw new RangeError(`a keyring of ${count} terms has another length`)
  }
  const keys = described.keys.map((about, index): KeyTerm => {
    const from = end + 1 + index * rawBytes
    const raw = Uint8Array.from(bytes.subarray(from, from + rawBytes))
    return { ...about, installedAt: instant(about.installedAt), raw }
  })
  return { keys, rotation: described.rotation }
}

export function wipeKeyring(ring: Keyring): void {
  for (const key of ring.keys) key.raw.fill(0)
}

/** The ring with a new key on top, which seals once it is adopted. @throws RangeError at 5,000 terms. */
export function withNewTerm(ring: Keyring, raw: Bytes, now: Instant): Keyring {
  if (ring.keys.length >= termsMax) throw new RangeError(`a keyring holds at most ${termsMax} terms`)
  const term = ring.keys.at(-1)!.term + 1
  return { ...ring, keys: [...ring.keys, { term, raw, installedAt: now, encryptions: 0 }] }
}

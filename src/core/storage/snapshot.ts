import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip, type Gunzip } from 'node:zlib'
import type { Bytes } from '#ground/base/brand.ts'
import type { Instant } from '#ground/base/clock.ts'
import { readTar, tarEnd, TarError, tarMember } from '#ground/base/tar.ts'
import { formatRfc3339 } from '#ground/text/time.ts'
import type { StoreCopy, StoreEntry } from '#stores/store.ts'

// A snapshot is a gzipped tar archive, as clients of Vault expect it: `meta.json` first, the entries as they lie in the
// store (ciphertext), `SHA256SUMS` of all of them, and last the digest of those sums, sealed by the barrier: it says that
// the snapshot is whole and to which keys it belongs. Clients look for that last member to know that nothing is missing.

/** Layout of the archive; a newer one is refused by name. */
const archiveVersion = 1
const sealedName = 'SHA256SUMS.sealed'
const sumsName = 'SHA256SUMS'
/** Where the digest is sealed as if it were an entry; nothing is ever stored there. */
const sealedAs = 'core/snapshot-digest'
const memberBytesMax = 4 << 20
const membersMax = 1 << 20

/** What keeps a snapshot from being restored; the text is for operators. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError'
  /** `keys`: whole, but of another server's keys, which may be meant. */
  readonly code: 'damaged' | 'newer' | 'keys'

  constructor(code: SnapshotError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

type Sealing = { seal(key: string, plain: Bytes): Bytes; open(key: string, sealed: Bytes): Bytes }

export type SnapshotFacts = {
  readonly id: string
  readonly at: Instant
  /** Of the layout of entries. */
  readonly format: number
  readonly storageType: string
  readonly programVersion: string
}

/** The whole archive, made while it is read. */
export async function* writeSnapshot(copy: StoreCopy, facts: SnapshotFacts, barrier: Sealing): AsyncGenerator<Bytes> {
  const gzip = createGzip({ level: 1 })
  // Errors of the members come out where the archive is read.
  const written = pipeline(membersOf(copy, facts, barrier), gzip)
  written.catch(() => undefined)
  try {
    yield* gzip as AsyncIterable<Bytes>
    await written
  } finally {
    gzip.destroy()
    copy[Symbol.dispose]()
  }
}

async function* membersOf(copy: StoreCopy, facts: SnapshotFacts, barrier: Sealing): AsyncGenerator<Bytes> {
  const sums: string[] = []
  const member = (path: string, data: Bytes): Bytes => {
    sums.push(`${sha256(data).toString('hex')}  ${path}\n`)
    return tarMember({ kind: 'file', path, mode: 0o600, data })
  }
  const meta = {
    version: archiveVersion,
    id: facts.id,
    index: copy.revision,
    format: facts.format,
    storage_type: facts.storageType,
    created: formatRfc3339(facts.at),
    program_version: facts.programVersion,
  }
  yield member('meta.json', Buffer.from(`${JSON.stringify(meta, null, 2)}\n`))
  let count = 0
  for await (const page of copy.pages) yield member(`entries/${String(count++).padStart(8, '0')}`, packEntries(page))
  const all = Buffer.from(sums.join(''))
  yield tarMember({ kind: 'file', path: sumsName, mode: 0o600, data: all })
  yield tarMember({ kind: 'file', path: sealedName, mode: 0o600, data: barrier.seal(sealedAs, sha256(all)) })
  yield tarEnd
}

const sha256 = (bytes: Bytes): Buffer => createHash('sha256').update(bytes).digest()

/** Length and bytes of key and value, one entry after the other. */
function packEntries(entries: readonly StoreEntry[]): Buffer {
  const parts: Bytes[] = []
  for (const { key, value } of entries) {
    const name = Buffer.from(key)
    const lengths = Buffer.allocUnsafe(8)
    lengths.writeUInt32BE(name.length, 0)
    lengths.writeUInt32BE(value.length, 4)
    parts.push(lengths, name, value)
  }
  return Buffer.concat(parts)
}

function unpackEntries(bytes: Bytes): readonly StoreEntry[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const entries: StoreEntry[] = []
  for (let at = 0; at < buffer.length; ) {
    if (at + 8 > buffer.length) throw damaged('an entry is cut off')
    const keyEnd = at + 8 + buffer.readUInt32BE(at)
    const valueEnd = keyEnd + buffer.readUInt32BE(at + 4)
    if (valueEnd > buffer.length) throw damaged('an entry is cut off')
    entries.push({ key: buffer.toString('utf8', at + 8, keyEnd), value: buffer.subarray(keyEnd, valueEnd) })
    at = valueEnd
  }
  return entries
}

export type ReadOptions = {
  /** The newest layout of entries that is understood. */
  readonly format: number
  /** Whose keys must have made it; null: anybody's. */
  readonly barrier: Sealing | null
}

/**
 * The entries of an archive. Its end is reached only when all of it is whole, and made by these keys: whoever stages them
 * must keep nothing when this throws.
 * @throws SnapshotError
 */
export function readSnapshot(
  archive: AsyncIterable<Bytes>,
  options: ReadOptions,
): AsyncGenerator<readonly StoreEntry[]> {
  return pagesOf(archive, new Reading(options))
}

async function* pagesOf(archive: AsyncIterable<Bytes>, reading: Reading): AsyncGenerator<readonly StoreEntry[]> {
  try {
    for await (const { path, data } of readTar(gunzipped(archive), memberBytesMax)) {
      const entries = reading.take(path, data)
      if (entries !== null) yield entries
    }
  } catch (error) {
    if (error instanceof TarError) throw damaged(error.message)
    if (isZlibError(error)) throw damaged('it is no gzip archive, or cut off')
    throw error
  }
  reading.end()
}

/** What a snapshot is of. */
export type SnapshotSummary = {
  readonly id: string
  readonly created: string
  readonly format: number
  readonly storageType: string
  readonly programVersion: string
  readonly entries: number
  /** Of all keys and values. */
  readonly bytes: number
}

/** Reads an archive to its end. @throws SnapshotError when it isn't whole; whose keys it needs isn't asked. */
export async function summariseSnapshot(archive: AsyncIterable<Bytes>): Promise<SnapshotSummary> {
  const reading = new Reading({ format: Number.POSITIVE_INFINITY, barrier: null })
  let entries = 0
  let bytes = 0
  for await (const page of pagesOf(archive, reading)) {
    entries += page.length
    for (const { key, value } of page) bytes += Buffer.byteLength(key) + value.length
  }
  const { version: _, ...meta } = reading.meta
  return { ...meta, entries, bytes }
}

async function* gunzipped(archive: AsyncIterable<Bytes>): AsyncGenerator<Bytes> {
  const gunzip = createGunzip()
  const left = new AbortController()
  // What breaks the source breaks the reader.
  feed(archive, gunzip, left.signal).catch((error: unknown) => gunzip.destroy(error as Error))
  try {
    yield* gunzip as AsyncIterable<Bytes>
  } finally {
    left.abort()
    gunzip.destroy()
  }
}

async function feed(archive: AsyncIterable<Bytes>, gunzip: Gunzip, signal: AbortSignal): Promise<void> {
  for await (const chunk of archive) {
    if (!gunzip.write(chunk)) await once(gunzip, 'drain', { signal })
  }
  gunzip.end()
}

const isZlibError = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && /^Z_|^ERR_/.test(error.code)

const damaged = (what: string): SnapshotError => new SnapshotError('damaged', `the snapshot is damaged: ${what}`)

type Meta = Omit<SnapshotSummary, 'entries' | 'bytes'> & { readonly version: number }

function metaOf(data: Bytes): Meta | null {
  let json: Readonly<Record<string, unknown>>
  try {
    json = JSON.parse(Buffer.from(data).toString('utf8')) as typeof json
  } catch {
    return null
  }
  const { version, format, id, created, storage_type: storageType, program_version: programVersion } = json
  if (typeof version !== 'number' || typeof format !== 'number') return null
  const texts = { id, created, storageType, programVersion }
  const isText = Object.values(texts).every(one => typeof one === 'string')
  return isText ? { version, format, ...(texts as Record<keyof typeof texts, string>) } : null
}

/** What has been seen of an archive so far. */
class Reading {
  readonly #options: ReadOptions
  readonly #seen = new Map<string, string>()
  #meta: Meta | null = null
  #sums: Bytes | null = null
  #isWhole = false

  constructor(options: ReadOptions) {
    this.#options = options
  }

  take(path: string, data: Bytes): readonly StoreEntry[] | null {
    if (this.#isWhole) throw damaged('there is more after its end')
    if (path === sealedName) {
      this.#checkKeys(data)
      return null
    }
    if (path === sumsName) {
      this.#checkSums(data)
      return null
    }
    if (this.#sums !== null) throw damaged(`${path} comes after the sums`)
    if (this.#seen.size >= membersMax || this.#seen.has(path)) throw damaged(`${path} is there twice, or one too many`)
    this.#seen.set(path, sha256(data).toString('hex'))
    if (this.#seen.size === 1) {
      this.#checkMeta(path, data)
      return null
    }
    if (!/^entries\/\d{8,}$/.test(path)) throw damaged(`${path} does not belong there`)
    return unpackEntries(data)
  }

  #checkMeta(path: string, data: Bytes): void {
    const meta = path === 'meta.json' ? metaOf(data) : null
    if (meta === null) throw new SnapshotError('damaged', 'this is no snapshot of a coffer store')
    const known = this.#options.format
    if (meta.version > archiveVersion || meta.format > known) {
      throw new SnapshotError(
        'newer',
        `the snapshot was made by a newer coffer (archive ${meta.version}, format ${meta.format}); this one knows archive ${archiveVersion}, format ${known}: update it first`,
      )
    }
    this.#meta = meta
  }

  /** Once it was read to its end. */
  get meta(): Meta {
    return this.#meta!
  }

  #checkSums(data: Bytes): void {
    const lines = Buffer.from(data).toString('utf8').split('\n').slice(0, -1)
    const isSame =
      lines.length === this.#seen.size && lines.every(line => this.#seen.get(line.slice(66)) === line.slice(0, 64))
    if (!isSame) throw damaged('its sums are others')
    this.#sums = data
  }

  #checkKeys(data: Bytes): void {
    if (this.#sums === null) throw damaged('its sums are missing')
    const { barrier } = this.#options
    if (barrier !== null && !isOf(barrier, data, sha256(this.#sums))) {
      throw new SnapshotError(
        'keys',
        'could not verify hash file, possibly the snapshot is using a different set of unseal keys; use the snapshot-force API to bypass this check',
      )
    }
    this.#isWhole = true
  }

  end(): void {
    if (!this.#isWhole) throw damaged('it is cut off')
  }
}

function isOf(barrier: Sealing, sealed: Bytes, digest: Bytes): boolean {
  try {
    return Buffer.compare(barrier.open(sealedAs, sealed), digest) === 0
  } catch {
    return false
  }
}

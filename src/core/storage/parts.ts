import type { Bytes } from '#ground/base/brand.ts'
import type { Entropy } from '#ground/base/entropy.ts'
import type { Codec } from '#backend/storage.ts'
import type { Barrier } from '#core/barrier/barrier.ts'
import { batchRefusal, deletions } from '#stores/batch.ts'
import type { Store, StoreBatch, StoreKey, StoreLimits, StoreOperation } from '#stores/store.ts'

/**
 * Values larger than a store takes: a head that names its parts, and the parts under keys of their own. Each write of a
 * value has a generation of its own, so that parts of two values are never taken for one.
 * The first plain byte tells the two forms apart: 0 = the value follows; 1 = JSON `{generation, count}` follows.
 */
const wholeMark = 0
const headMark = 1

/** Bytes that sealing and the mark add at most. */
const overhead = 64

/** The parts of one value. */
export type Split = { readonly generation: string; readonly count: number }

export type SealedWrite = {
  readonly head: StoreOperation
  readonly parts: readonly StoreOperation[]
  /** null: the value is in the head. */
  readonly split: Split | null
  /** Size of the plain value. */
  readonly bytes: number
}

/** What the key itself holds: a value, or where one is. */
export type Head = { readonly plain: Bytes; readonly split: null } | { readonly plain: null; readonly split: Split }

type Sealer = Pick<Barrier, 'seal' | 'open'>

/** Where all parts lie. */
export const partsFolder = 'parts/'

/** Where the parts of a key, or of the keys below a prefix, lie. */
export const partKeys = (key: string): string => partsFolder + key

const partKey = (key: string, generation: string, index: number | string): StoreKey =>
  `${partKeys(key)}/${generation}/${index}`

/** The keys of all parts of a value. */
export const keysOfParts = (key: string, { generation, count }: Split): StoreKey[] =>
  Array.from({ length: count }, (_, index) => partKey(key, generation, index))

export function planWrite(
  write: { key: string; codec: Codec<unknown>; entry: unknown },
  barrier: Sealer,
  limits: StoreLimits,
  entropy: Entropy,
): SealedWrite {
  const { key, codec, entry } = write
  if (entry === null) return { head: { key, value: null }, parts: [], split: null, bytes: 0 }
  const plain = codec.encode(entry)
  const room = Math.min(limits.valueBytesMax, limits.batchBytesMax / 4) - overhead
  if (plain.length <= room) {
    const head = { key, value: barrier.seal(key, marked(wholeMark, plain)) }
    return { head, parts: [], split: null, bytes: plain.length }
  }
  const generation = entropy.base62(12)
  const parts: StoreOperation[] = []
  for (let at = 0; at < plain.length; at += room) {
    const partAt = partKey(key, generation, parts.length)
    parts.push({ key: partAt, value: barrier.seal(partAt, plain.subarray(at, at + room)) })
  }
  const split: Split = { generation, count: parts.length }
  const head = { key, value: barrier.seal(key, marked(headMark, Buffer.from(JSON.stringify(split)))) }
  return { head, parts, split, bytes: plain.length }
}

function marked(mark: number, bytes: Bytes): Bytes {
  const out = Buffer.allocUnsafe(bytes.length + 1)
  out[0] = mark
  out.set(bytes, 1)
  return out
}

/** @throws BarrierError when what was read isn't what was written there. */
export function openHead(key: string, sealed: Bytes, barrier: Sealer): Head {
  const plain = barrier.open(key, sealed)
  if (plain[0] === wholeMark) return { plain: plain.subarray(1), split: null }
  return { plain: null, split: JSON.parse(Buffer.from(plain.subarray(1)).toString()) as Split }
}

/** @returns null when a part is missing: the value was replaced while it was read, or is damaged. */
export async function gather(
  key: string,
  { generation, count }: Split,
  barrier: Sealer,
  store: Pick<Store, 'get'>,
): Promise<Bytes | null> {
  const parts: Bytes[] = []
  for (let index = 0; index < count; index++) {
    const at = partKey(key, generation, index)
    const sealed = await store.get(at)
    if (sealed === null) return null
    parts.push(barrier.open(at, sealed))
  }
  return Buffer.concat(parts)
}

/**
 * The batches of a write in the order in which they must be applied: parts before the head that names them, what the
 * head replaces with it, or after it where that is more than a batch takes.
 */
export function batchesOf(
  heads: StoreBatch,
  sealed: readonly SealedWrite[],
  replaced: readonly StoreKey[],
  limits: StoreLimits,
): { readonly before: readonly StoreBatch[]; readonly together: StoreBatch; readonly after: readonly StoreBatch[] } {
  const parts = sealed.flatMap(write => write.parts)
  const before = [...fitting(parts, limits)]
  if (replaced.length === 0) return { before, together: heads, after: [] }
  const together = [...heads, ...replaced.map(key => ({ key, value: null }))]
  if (batchRefusal(together, limits) === null) return { before, together, after: [] }
  return { before, together: heads, after: [...deletions(replaced, limits)] }
}

function* fitting(operations: readonly StoreOperation[], limits: StoreLimits): Generator<StoreBatch> {
  let batch: StoreOperation[] = []
  for (const operation of operations) {
    if (batch.length > 0 && batchRefusal([...batch, operation], limits) !== null) {
      yield batch
      batch = []
    }
    batch.push(operation)
  }
  if (batch.length > 0) yield batch
}

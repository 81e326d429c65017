import type { Bytes, Maybe } from '#ground/base/brand.ts'
import type { Entropy } from '#ground/base/entropy.ts'
import type { Codec } from '#backend/storage.ts'
import type { Barrier } from '#core/barrier/barrier.ts'
import type { Store, StoreLimits, StoreOperation } from '#stores/store.ts'

/**
 * Values larger than a store takes: a head that names its parts, and the parts under keys of their own.
 * The first plain byte tells the two forms apart: 0 = the value follows; 1 = JSON `{generation, count}` follows.
 */
const wholeMark = 0
const headMark = 1

/** Bytes that sealing and the mark add at most. */
const overhead = 64

export type SealedWrite = {
  readonly head: StoreOperation
  readonly parts: readonly StoreOperation[]
  /** Size of the plain value. */
  readonly bytes: number
}

type Sealer = Pick<Barrier, 'seal' | 'open'>

/** Where the parts of the keys below a prefix lie. */
export const partKeys = (key: string): string => `parts/${key}`

const partKey = (key: string, generation: string, index: number): string => `${partKeys(key)}/${generation}/${index}`

export function planWrite(
  write: { key: string; codec: Codec<unknown>; entry: unknown },
  barrier: Sealer,
  limits: StoreLimits,
  entropy: Entropy,
): SealedWrite {
  const { key, codec, entry } = write
  if (entry === null) return { head: { key, value: null }, parts: [], bytes: 0 }
  const plain = codec.encode(entry)
  const room = Math.min(limits.valueBytesMax, limits.batchBytesMax / 4) - overhead
  if (plain.length <= room) {
    return { head: { key, value: barrier.seal(key, marked(wholeMark, plain)) }, parts: [], bytes: plain.length }
  }
  const generation = entropy.base62(12)
  const parts: StoreOperation[] = []
  for (let at = 0; at < plain.length; at += room) {
    const partAt = partKey(key, generation, parts.length)
    parts.push({ key: partAt, value: barrier.seal(partAt, plain.subarray(at, at + room)) })
  }
  const head = Buffer.from(JSON.stringify({ generation, count: parts.length }))
  return { head: { key, value: barrier.seal(key, marked(headMark, head)) }, parts, bytes: plain.length }
}

function marked(mark: number, bytes: Bytes): Bytes {
  const out = Buffer.allocUnsafe(bytes.length + 1)
  out[0] = mark
  out.set(bytes, 1)
  return out
}

/** @returns the whole value, read from its parts where it has some. */
export function openWhole(key: string, sealed: Bytes, barrier: Sealer, store: Store): Maybe<Bytes> {
  const plain = barrier.open(key, sealed)
  if (plain[0] === wholeMark) return plain.subarray(1)
  const { generation, count } = JSON.parse(Buffer.from(plain.subarray(1)).toString()) as {
    generation: string
    count: number
  }
  return gather(key, generation, count, barrier, store)
}

async function gather(key: string, generation: string, count: number, barrier: Sealer, store: Store): Promise<Bytes> {
  const parts: Bytes[] = []
  for (let index = 0; index < count; index++) {
    const at = partKey(key, generation, index)
    const sealed = await store.get(at)
    if (sealed === null) throw new Error(`part ${index} of ${count} of the entry at ${key} is missing`)
    parts.push(barrier.open(at, sealed))
  }
  return Buffer.concat(parts)
}

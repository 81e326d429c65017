import type { Bytes } from './brand.ts'

/** A member of a tar archive. Owner is root, its time 1970: the same content always gives the same bytes. */
export type TarEntry =
  | { kind: 'folder'; path: string; mode: number }
  | { kind: 'link'; path: string; target: string }
  | { kind: 'file'; path: string; mode: number; data: Bytes }

/** What is no archive, or one of another kind than is asked for. */
export class TarError extends Error {
  override readonly name = 'TarError'
}

const block = 512
/** Two empty blocks. */
export const tarEnd: Bytes = Buffer.alloc(2 * block)

/** A ustar archive (POSIX.1-1988, `pax(1)`). @throws RangeError for a path of more than 100 bytes. */
export function tar(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.map(tarMember), tarEnd])
}

/** Header, data and padding of one member. @throws RangeError for a path of more than 100 bytes. */
export function tarMember(entry: TarEntry): Buffer {
  if (entry.kind !== 'file') return header(entry)
  return Buffer.concat([header(entry), entry.data, Buffer.alloc(-entry.data.length & (block - 1))])
}

const typeFlags = { file: '0', link: '2', folder: '5' } as const

function header(entry: TarEntry): Buffer {
  const out = Buffer.alloc(block)
  const text = (value: string, offset: number, length: number): void => {
    if (Buffer.byteLength(value) > length) throw new RangeError(`too long for a tar header: ${value}`)
    out.write(value, offset)
  }
  const octal = (value: number, offset: number, length: number): void =>
    text(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, length)
  text(entry.kind === 'folder' ? `${entry.path}/` : entry.path, 0, 100)
  octal(entry.kind === 'link' ? 0o777 : entry.mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(entry.kind === 'file' ? entry.data.length : 0, 124, 12)
  octal(0, 136, 12)
  text(typeFlags[entry.kind], 156, 1)
  if (entry.kind === 'link') text(entry.target, 157, 100)
  text('ustar\u000000', 257, 8)
  text(`${sumOf(out).toString(8).padStart(6, '0')}\0 `, 148, 8)
  return out
}

// The sum is taken with its own field full of spaces.
function sumOf(head: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < block; at++) sum += at >= 148 && at < 156 ? 0x20 : head[at]!
  return sum
}

/**
 * The files of an archive, in order, each whole in memory.
 * @param fileBytesMax a larger file is refused.
 * @throws TarError for anything but files, and for an archive without its end.
 */
export async function* readTar(
  chunks: AsyncIterable<Bytes>,
  fileBytesMax: number,
): AsyncGenerator<{ readonly path: string; readonly data: Bytes }> {
  const source = new Source(chunks)
  for (;;) {
    const head = await source.take(block)
    if (head.every(byte => byte === 0)) return
    const { path, size } = readHeader(head)
    if (size > fileBytesMax) throw new TarError(`${path} has more than ${fileBytesMax} bytes`)
    const data = await source.take(size)
    await source.take(-size & (block - 1))
    yield { path, data }
  }
}

function readHeader(head: Buffer): { path: string; size: number } {
  const field = (offset: number, length: number): string => head.toString('latin1', offset, offset + length)
  const number = (offset: number, length: number): number => {
    const digits = /^[0-7]+(?=[\0 ])/.exec(field(offset, length))?.[0]
    if (digits === undefined) throw new TarError('not a tar archive')
    return Number.parseInt(digits, 8)
  }
  if (field(257, 5) !== 'ustar' || number(148, 8) !== sumOf(head)) throw new TarError('not a tar archive')
  if (head[156] !== 0x30) throw new TarError('an archive of files alone is expected')
  return { path: head.toString('utf8', 0, 100).replace(/\0.*$/s, ''), size: number(124, 12) }
}

/** Bytes of a stream in pieces of the sizes that are asked for. */
class Source {
  readonly #chunks: AsyncIterator<Bytes>
  #held: Buffer = Buffer.alloc(0)

  constructor(chunks: AsyncIterable<Bytes>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  async take(count: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    let left = count
    while (left > 0) {
      if (this.#held.length === 0) {
        const next = await this.#chunks.next()
        if (next.done) throw new TarError('the archive is cut off')
        this.#held = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength)
      }
      const piece = this.#held.subarray(0, left)
      this.#held = this.#held.subarray(piece.length)
      left -= piece.length
      pieces.push(piece)
    }
    return Buffer.concat(pieces)
  }
}

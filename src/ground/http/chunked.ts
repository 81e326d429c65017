import { parseFields, Refusal } from './head.ts'

const cr = 13
const lf = 10
// A client pays a handful of bytes per chunk; extensions and trailers beyond this are an attack (CVE-2023-39326).
const overheadBytesMax = 16_384
const trailerCountMax = 100
const lineBytesMax = 4_096

/** Decodes the chunked coding (RFC 9112 section 7.1) as bytes arrive, strictly. Extensions and trailers are read and dropped. */
export class ChunkDecoder {
  isDone = false
  /** Why the body can't be read on; null while it can. */
  fault: string | null = null
  #state: 'size' | 'data' | 'data-end' | 'trailer' = 'size'
  #line = ''
  #left = 0
  #overhead = 0
  #trailers = 0

  /**
   * Takes what it can of `input` from `from` on and hands data to `sink`.
   * @returns the position behind what was taken; less than the length only when done or faulty.
   */
  decode(input: Buffer, from: number, sink: (data: Buffer) => void): number {
    let at = from
    while (at < input.length && !this.isDone && this.fault === null) {
      if (this.#state === 'data') {
        const end = Math.min(input.length, at + this.#left)
        sink(input.subarray(at, end))
        this.#left -= end - at
        at = end
        if (this.#left === 0) this.#state = 'data-end'
        continue
      }
      at = this.#takeLine(input, at)
    }
    return at
  }

  #takeLine(input: Buffer, from: number): number {
    const found = input.indexOf(lf, from)
    const end = found < 0 ? input.length : found + 1
    if (this.#line.length + end - from > lineBytesMax) {
      this.fault = 'line too long in a chunked body'
      return from
    }
    this.#line += input.toString('latin1', from, end)
    if (found < 0) {
      if (this.#state === 'data-end' && !'\r\n'.startsWith(this.#line)) this.fault = 'chunk longer than its size'
      return end
    }
    const line = this.#line
    this.#line = ''
    if (line.charCodeAt(line.length - 2) !== cr || line.indexOf('\r') !== line.length - 2) {
      this.fault = 'bare CR or LF in a chunked body'
    } else if (this.#state === 'size') this.#size(line.slice(0, -2))
    else if (this.#state === 'trailer') this.#trailer(line)
    else if (line !== '\r\n') this.fault = 'chunk longer than its size'
    else this.#state = 'size'
    return end
  }

  #size(line: string): void {
    // No blank may follow the size, though the grammar has "bad" whitespace there: proxies disagree on it.
    const match = /^([0-9A-Fa-f]{1,8})(;[\t\x20-\x7e\x80-\xff]*)?$/.exec(line)
    if (match === null) {
      this.fault = 'malformed chunk size'
      return
    }
    this.#spend(match[2]?.length ?? 0)
    this.#left = Number.parseInt(match[1]!, 16)
    this.#state = this.#left === 0 ? 'trailer' : 'data'
  }

  #trailer(line: string): void {
    if (line === '\r\n') {
      this.isDone = true
      return
    }
    this.#spend(line.length)
    if (++this.#trailers > trailerCountMax) this.fault = 'too many trailers'
    else if (parseFields(line, 0, line.length, 1) instanceof Refusal) this.fault = 'malformed trailer'
  }

  #spend(bytes: number): void {
    this.#overhead += bytes
    if (this.#overhead > overheadBytesMax) this.fault = 'chunk extensions and trailers too long'
  }
}

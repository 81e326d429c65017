import { assert } from '#ground/base/assert.ts'
import type { Bytes, Maybe } from '#ground/base/brand.ts'
import { ChunkDecoder } from './chunked.ts'
import { type Body, BodyError } from './message.ts'

const nothing = Buffer.alloc(0)
/** What is held of a body for which nobody has asked yet, or which its reader takes slowly. */
const heldBytesMax = 65_536

/** The body of a request that has none: one for all. */
export const noBody: Body = {
  length: 0,
  bytes: () => nothing,
  async *stream() {},
}

/** Bytes put together; one piece is kept as it came, more are copied so that tiny pieces can't cost a hundred times their size. */
class Gathered {
  #bytes: Buffer = nothing
  length = 0
  #isOwned = false

  add(piece: Buffer): void {
    if (this.length === 0) {
      this.#bytes = piece
      this.#isOwned = false
    } else {
      const need = this.length + piece.length
      if (!this.#isOwned || need > this.#bytes.length) {
        const grown = Buffer.allocUnsafe(Math.max(need, this.length * 2))
        this.#bytes.copy(grown, 0, 0, this.length)
        this.#bytes = grown
        this.#isOwned = true
      }
      piece.copy(this.#bytes, this.length)
    }
    this.length += piece.length
  }

  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.length)
    this.#bytes = nothing
    this.length = 0
    return taken
  }
}

/** A body that is fed by its connection and read by a handler. */
export class RequestBody implements Body {
  readonly length: number | null
  /** Every byte has arrived. */
  isComplete = false
  /** Why the rest will never be read; the connection can't be used for another request then. */
  failure: BodyError | null = null
  readonly #decoder: ChunkDecoder | null
  readonly #onWanted: () => void
  #left: number
  #received = 0
  #limit = Number.POSITIVE_INFINITY
  #mode: 'unasked' | 'bytes' | 'stream' | 'discard' = 'unasked'
  readonly #gathered = new Gathered()
  #wake: (() => void) | null = null

  /** @param onWanted called when a reader waits for bytes that aren't there. */
  constructor(length: number | null, onWanted: () => void) {
    this.length = length
    this.#left = length ?? 0
    this.#decoder = length === null ? new ChunkDecoder() : null
    this.#onWanted = onWanted
  }

  /** Should the connection go on reading for it? */
  get isHungry(): boolean {
    if (this.isComplete || this.failure !== null) return false
    return this.#mode === 'bytes' || this.#mode === 'discard' || this.#gathered.length < heldBytesMax
  }

  /** Its reader takes it piece by piece: it may take as long as it goes on. */
  get isStreamed(): boolean {
    return this.#mode === 'stream'
  }

  get hasBegun(): boolean {
    return this.#received > 0
  }

  /** Takes its part of `input` from `from` on. @returns the position behind it. */
  feed(input: Buffer, from: number): number {
    let end: number
    if (this.#decoder === null) {
      end = Math.min(input.length, from + this.#left)
      this.#left -= end - from
      this.#accept(input.subarray(from, end))
      if (this.#left === 0) this.isComplete = true
    } else {
      end = this.#decoder.decode(input, from, data => this.#accept(data))
      if (this.#decoder.isDone) this.isComplete = true
      if (this.#decoder.fault !== null) this.fail('malformed', this.#decoder.fault)
    }
    this.#wake?.()
    return end
  }

  #accept(data: Buffer): void {
    this.#received += data.length
    if (this.#received > this.#limit) this.#tooLarge()
    else if (this.#mode !== 'discard' && data.length > 0 && this.failure === null) this.#gathered.add(data)
  }

  #tooLarge(): void {
    this.fail('too-large', 'http: request body too large')
  }

  /** No more will come; a reader gets this error. The first failure stays. */
  fail(code: BodyError['code'], message: string): void {
    if (this.failure !== null || (this.isComplete && code !== 'too-large')) return
    this.failure = new BodyError(code, message)
    this.#gathered.take()
    this.#wake?.()
  }

  #begin(mode: 'bytes' | 'stream', limit: number): void {
    assert(this.#mode === 'unasked', 'a body is read at most once')
    this.#mode = mode
    this.#limit = limit
    if (this.#received > limit || (this.length !== null && this.length > limit)) this.#tooLarge()
  }

  bytes(limit: number): Maybe<Bytes> {
    this.#begin('bytes', limit)
    if (this.failure !== null) throw this.failure
    if (this.isComplete) return this.#gathered.take()
    return new Promise((resolve, reject) => {
      this.#wake = () => {
        if (this.failure !== null) reject(this.failure)
        else if (this.#mode === 'discard')
          reject(new BodyError('aborted', 'the request was answered before its body was read'))
        else if (this.isComplete) resolve(this.#gathered.take())
        else return
        this.#wake = null
      }
      this.#onWanted()
    })
  }

  stream(limit: number): AsyncIterable<Bytes> {
    this.#begin('stream', limit)
    return this.#read()
  }

  async *#read(): AsyncGenerator<Bytes> {
    try {
      for (;;) {
        if (this.failure !== null) throw this.failure
        if (this.#gathered.length > 0) yield this.#gathered.take()
        else if (this.isComplete) return
        else {
          await new Promise<void>(resolve => {
            this.#wake = resolve
            this.#onWanted()
          })
          this.#wake = null
        }
      }
    } finally {
      this.#mode = 'discard'
      this.#gathered.take()
    }
  }

  /**
   * The request is answered and nobody reads the rest: drops up to `limit` bytes, so that the connection lives on.
   * @returns false when more is to come than that.
   */
  discard(limit: number): boolean {
    if (this.failure !== null || this.#left > limit) return false
    this.#mode = 'discard'
    this.#limit = this.#received + limit
    this.#gathered.take()
    this.#wake?.()
    return true
  }
}

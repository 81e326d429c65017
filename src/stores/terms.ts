import { type Fence, StoreError, type Term } from './store.ts'

/**
 * Terms of a store that one process holds alone: whoever asks leads, and whoever led before doesn't any more.
 */
export class Terms {
  #last: number
  /** Batches of a term below this are refused. */
  #floor: number
  #current: { readonly term: number; readonly ended: AbortController } | null = null

  /** @param last the highest term that the medium has seen. */
  constructor(last: number) {
    this.#last = last
    this.#floor = last
  }

  /** The highest term seen. */
  get last(): number {
    return this.#last
  }

  refusal(fence: Fence): StoreError | null {
    if (fence.term < this.#floor) {
      return new StoreError('fenced', `a write of term ${fence.term} came after term ${this.#last} began or ended`)
    }
    return null
  }

  /** Notes a term that came with a write; a newer one ends the present leader's. */
  see(term: number): void {
    if (term <= this.#last) return
    this.#last = term
    this.#floor = term
    this.end(new StoreError('fenced', `term ${term} was seen`))
  }

  /** The next term; the caller makes it durable before handing it out. */
  next(): Term {
    const term = this.#last + 1
    this.see(term)
    const ended = new AbortController()
    this.#current = { term, ended }
    return {
      term,
      lost: ended.signal,
      resign: async () => {
        if (this.#current?.ended !== ended) return
        this.#floor = term + 1
        this.end(new StoreError('fenced', `term ${term} was given up`))
      },
    }
  }

  /** Ends the present term, if there is one. */
  end(reason: StoreError): void {
    const current = this.#current
    this.#current = null
    current?.ended.abort(reason)
  }
}

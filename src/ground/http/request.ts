import { RequestBody } from './body.ts'
import type { Head } from './head.ts'
import type { Body, Headers, HttpRequest, Peer } from './message.ts'

/** A request in the handler's hands. */
export class ServerRequest implements HttpRequest {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: Headers
  readonly body: Body
  readonly peer: Peer
  readonly minor: 0 | 1
  readonly isKept: boolean
  #controller: AbortController | null = null
  #isAborted = false

  constructor(head: Head, body: Body, peer: Peer) {
    this.method = head.method
    this.path = head.path
    this.query = head.query
    this.headers = head.headers
    this.minor = head.minor
    this.isKept = head.isKept
    this.body = body
    this.peer = peer
  }

  // An AbortController costs more than the parsing of a request, and few handlers wait.
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.#isAborted) this.#controller.abort(gone())
    }
    return this.#controller.signal
  }

  /** The body was too large or malformed, or didn't come: the client may see the rest of the connection otherwise than we. */
  get isBodyBroken(): boolean {
    return this.body instanceof RequestBody && this.body.failure !== null
  }

  abort(): void {
    if (this.#isAborted) return
    this.#isAborted = true
    this.#controller?.abort(gone())
  }
}

function gone(): Error {
  return new Error('the client went away or the server stops')
}

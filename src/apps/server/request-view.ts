import type { HttpRequest, Peer } from '#ground/http/message.ts'

/** The same request from another address, or for another path; the rest is read through, since most of it is made when it is asked for. */
export class RequestView implements HttpRequest {
  readonly #request: HttpRequest
  readonly peer: Peer
  readonly path: string

  constructor(request: HttpRequest, { peer, path }: { readonly peer?: Peer; readonly path?: string }) {
    this.#request = request
    this.peer = peer ?? request.peer
    this.path = path ?? request.path
  }

  get method(): string {
    return this.#request.method
  }

  get query(): string {
    return this.#request.query
  }

  get headers(): HttpRequest['headers'] {
    return this.#request.headers
  }

  get body(): HttpRequest['body'] {
    return this.#request.body
  }

  get signal(): AbortSignal {
    return this.#request.signal
  }
}

import type { Duplex } from 'node:stream'
import type { Bytes } from '#ground/base/brand.ts'
import type { Headers } from '#ground/http/message.ts'

export type WireRequest = {
  readonly method: string
  /** Encoded path and query: `/v1/secret/data/a%20b?version=2`. */
  readonly target: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string | Bytes | null
  readonly signal: AbortSignal
}

/** An answer whose body is read piece by piece. */
export type WireStream = { readonly status: number; readonly headers: Headers; readonly chunks: AsyncIterable<Bytes> }

export type WireAnswer = { readonly status: number; readonly headers: Headers; readonly body: Bytes }

/** One server's connections: kept alive, bounded in number. What `api.ts` puts requests on. */
export interface Wire {
  /** @throws ConnectError when no whole answer came, the signal's reason when aborted */
  send(request: WireRequest): Promise<WireAnswer>
  /** The same, with a body that is sent and one that is read piece by piece. Same errors. */
  stream(request: Omit<WireRequest, 'body'> & { readonly body: AsyncIterable<Bytes> | null }): Promise<WireStream>
  /** A connection of its own, for a WebSocket. */
  dial(signal: AbortSignal): Promise<Duplex>
  close(): Promise<void>
}

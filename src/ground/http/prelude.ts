import type { Socket } from 'node:net'
import type { Deadlines, Timed } from './deadlines.ts'
import { type ClientAddress, parseProxyHeader } from './proxy-protocol.ts'

export type ProxyProtocol = {
  /**
   * `use_always`: a PROXY header is believed whoever sends it. `allow_authorized`: only of authorized addresses, others
   * are served without. `deny_unauthorized`: others are refused. Nobody has to send one.
   */
  readonly behaviour: 'use_always' | 'allow_authorized' | 'deny_unauthorized'
  /** Does this address, of the connection itself, belong to a proxy that is believed? */
  readonly authorized: (address: string) => boolean
}

/** What a connection turned out to be. The bytes behind the PROXY header are back in the socket, which is paused. */
export type PreludeResult =
  | { readonly kind: 'ready'; readonly client: ClientAddress | null }
  | { readonly kind: 'plaintext' }

const tlsHandshake = 0x16

/** Reads what stands before HTTP or TLS: a PROXY header, and whether TLS comes at all where it must. */
export class Prelude implements Timed {
  deadlineMs: number
  readonly #socket: Socket
  readonly #deadlines: Deadlines
  readonly #expects: { proxyHeader: boolean; tls: boolean }
  readonly #onResult: (result: PreludeResult) => void
  #input: Buffer = Buffer.alloc(0)

  constructor(
    socket: Socket,
    deadlines: Deadlines,
    timeoutMs: number,
    expects: { proxyHeader: boolean; tls: boolean },
    onResult: (result: PreludeResult) => void,
  ) {
    this.#socket = socket
    this.#deadlines = deadlines
    this.#expects = expects
    this.#onResult = onResult
    this.deadlineMs = deadlines.in(timeoutMs)
  }

  /** Begins to read. */
  open(): void {
    const socket = this.#socket
    this.#deadlines.add(this)
    socket.on('data', this.#onData)
    socket.on('end', this.#onOver)
    socket.on('close', this.#onOver)
    socket.on('error', this.#onOver)
  }

  readonly #onOver = (): void => this.destroy()

  readonly #onData = (chunk: Buffer): void => {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk])
    let client: ClientAddress | null = null
    let at = 0
    if (this.#expects.proxyHeader) {
      const header = parseProxyHeader(this.#input)
      if (header.kind === 'more') return
      if (header.kind === 'bad') return this.destroy()
      if (header.kind === 'header') {
        client = header.client
        at = header.length
      }
    }
    const rest = this.#input.subarray(at)
    if (this.#expects.tls && rest.length === 0) return
    this.#release()
    if (this.#expects.tls && rest[0] !== tlsHandshake) return this.#onResult({ kind: 'plaintext' })
    if (rest.length > 0) this.#socket.unshift(rest)
    this.#onResult({ kind: 'ready', client })
  }

  #release(): void {
    this.#deadlines.remove(this)
    this.#socket.off('data', this.#onData)
    this.#socket.off('end', this.#onOver)
    this.#socket.off('close', this.#onOver)
    this.#socket.pause()
  }

  onDeadline(): void {
    this.destroy()
  }

  destroy(): void {
    this.#deadlines.remove(this)
    this.#socket.destroy()
  }
}

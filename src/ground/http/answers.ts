import type { Socket } from 'node:net'
import type { Bytes } from '#ground/base/brand.ts'
import type { HttpResponse, HttpUpgrade } from './message.ts'
import { isBodyless, renderHead } from './render.ts'

/** An answer that waits to be written. */
export type Answer = {
  /** `continue` is the interim 100. */
  readonly response: HttpResponse | HttpUpgrade | 'continue'
  readonly isHead: boolean
  /** The client speaks HTTP/1.1. */
  readonly isChunkable: boolean
  /** The connection ends after it. */
  readonly closes: boolean
}

export function isUpgrade(response: HttpResponse | HttpUpgrade): response is HttpUpgrade {
  return response.status === 101
}

/** The body as a stream; null when it is none. */
export function streamOf(response: HttpResponse | HttpUpgrade | 'continue'): AsyncIterable<Bytes> | null {
  if (response === 'continue' || isUpgrade(response)) return null
  const { body } = response
  if (body === null || typeof body === 'string' || body instanceof Uint8Array) return null
  return body
}

/** Closes the stream of an answer that isn't sent after all. */
export function discardStream(response: HttpResponse | HttpUpgrade | 'continue'): void {
  const iterator = streamOf(response)?.[Symbol.asyncIterator]()
  if (iterator?.return) void Promise.resolve(iterator.return()).catch(() => undefined)
}

/** About how many bytes an answer will take, before it is rendered. */
export function sizeOf(response: HttpResponse | HttpUpgrade): number {
  const body = isUpgrade(response) ? null : response.body
  return typeof body === 'string' || body instanceof Uint8Array ? body.length + 256 : 256
}

/** `{"errors":[…]}` with JSON's content type, as Vault answers. */
export function errorResponse(status: number, message: string | null): HttpResponse {
  const headers: [string, string][] = [['Content-Type', 'application/json']]
  // RFC 9110 section 15.5.6 wants it beside 405.
  if (status === 405) headers.push(['Allow', 'GET, POST, PUT, PATCH, DELETE, LIST, SCAN, HEAD, OPTIONS, HELP'])
  return { status, headers, body: `${JSON.stringify({ errors: message === null ? [] : [message] })}\n` }
}

/** The bytes of several answers, so that one system call takes them. */
export class Output {
  // Text gathers here as long as it is latin1 that equals its UTF-8: the socket takes one string cheaper than buffers.
  #text = ''
  readonly #parts: (string | Bytes)[] = []

  /** @throws AssertionError when a header can't be sent; nothing was added then */
  add(answer: Answer, date: string): void {
    const { response } = answer
    if (response === 'continue') {
      this.#text += 'HTTP/1.1 100 Continue\r\n\r\n'
      return
    }
    const head = renderHead(response.status, response.headers, date)
    if (isUpgrade(response)) {
      this.#text += `${head}Connection: Upgrade\r\n\r\n`
      return
    }
    const close = answer.closes ? 'Connection: close\r\n' : ''
    const { body } = response
    if (isBodyless(response.status)) this.#text += `${head}${close}\r\n`
    else if (typeof body === 'string') this.#addText(head + close, body, answer.isHead)
    else if (body === null || body instanceof Uint8Array) {
      this.#text += `${head}${close}Content-Length: ${body?.length ?? 0}\r\n\r\n`
      if (body !== null && !answer.isHead) this.#push(body)
    } else this.#text += `${head}${close}${answer.isChunkable ? 'Transfer-Encoding: chunked\r\n' : ''}\r\n`
  }

  #addText(head: string, body: string, isHead: boolean): void {
    const length = Buffer.byteLength(body, 'utf8')
    this.#text += `${head}Content-Length: ${length}\r\n\r\n`
    if (isHead) return
    // As many bytes as characters: all ASCII.
    if (length === body.length) this.#text += body
    else this.#push(Buffer.from(body, 'utf8'))
  }

  #push(bytes: Bytes): void {
    this.#parts.push(this.#text, bytes)
    this.#text = ''
  }

  writeTo(socket: Socket): void {
    if (this.#parts.length === 0) {
      if (this.#text !== '') socket.write(this.#text, 'latin1')
      return
    }
    if (this.#text !== '') this.#parts.push(this.#text)
    socket.cork()
    for (const part of this.#parts) {
      if (typeof part === 'string') socket.write(part, 'latin1')
      else socket.write(part)
    }
    socket.uncork()
  }
}

import type { Socket } from 'node:net'
import { assert, unreachable } from '#ground/base/assert.ts'
import { type Answer, discardStream, errorResponse, isUpgrade, Output, sizeOf, streamOf } from './answers.ts'
import { noBody, RequestBody } from './body.ts'
import type { Deadlines, Timed } from './deadlines.ts'
import type { Flushable, Flusher } from './flusher.ts'
import { earlyRefusal, parseHead, Refusal } from './head.ts'
import {
  BodyError,
  type HttpHandler,
  type HttpLimits,
  type HttpResponse,
  type HttpUpgrade,
  type Peer,
} from './message.ts'
import { pump } from './pump.ts'
import { isBodyless } from './render.ts'
import { ServerRequest } from './request.ts'

/** What all connections of one server share. */
export type Front = {
  readonly handler: HttpHandler
  readonly limits: HttpLimits
  readonly deadlines: Deadlines
  readonly flusher: Flusher
  readonly connections: Set<Connection>
  /** The server is closing: each connection ends with its next answer. */
  isClosing: boolean
  /** Now, as the Date header wants it. */
  date(): string
  onError(error: unknown): void
  /** The last connection has closed. */
  onEmpty(): void
}

const nothing = Buffer.alloc(0)
/** Bytes that wait behind a request in work; above, the client has to wait. */
const inputHeldMax = 65_536
/** What is read and dropped of a body that the handler didn't want, so that the connection lives on (as Go's server does). */
const unreadBodyMax = 262_144
/** After the last answer the client's bytes are dropped for a while: a reset would destroy the answer on its way. */
const lingerMs = 2_000
const lingerBytesMax = 1024 * 1024

type Phase = 'idle' | 'head' | 'body' | 'busy' | 'clogged' | 'finishing' | 'linger' | 'detached'

/** One client: reads requests one after the other, hands each to the handler, and queues the answers in order. */
export class Connection implements Timed, Flushable {
  deadlineMs: number
  readonly #front: Front
  readonly #socket: Socket
  readonly #peer: Peer
  #phase: Phase = 'head'
  #input: Buffer = nothing
  #at = 0
  // The part of the input that is being read as text; several pipelined heads share it.
  #text = ''
  #textAt = 0
  /** In the handler's hands, or streaming, or upgraded. */
  #request: ServerRequest | null = null
  /** A body of which not all has come. */
  #body: RequestBody | null = null
  #owesContinue = false
  #waiting: Answer[] = []
  #waitingBytes = 0
  #isAdvancing = false
  #isStreaming = false
  #isReading = true
  /** No further request is read. */
  #isLast = false
  /** The client has sent all that it will. */
  #isEnded = false
  #lingered = 0

  constructor(front: Front, socket: Socket, peer: Peer) {
    this.#front = front
    this.#socket = socket
    this.#peer = peer
    this.deadlineMs = front.deadlines.in(front.limits.headTimeoutMs)
  }

  /** Begins to read. */
  open(): void {
    const socket = this.#socket
    this.#front.deadlines.add(this)
    this.#front.connections.add(this)
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('drain', this.#onDrain)
    socket.on('finish', this.#onFinish)
    socket.on('close', this.#onClose)
    // A reset by the client is told by `close` as well.
    socket.on('error', () => undefined)
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isLast) {
      this.#lingered += chunk.length
      if (this.#lingered > lingerBytesMax) this.#socket.destroy()
      return
    }
    this.#input = this.#at < this.#input.length ? Buffer.concat([this.#input.subarray(this.#at), chunk]) : chunk
    this.#at = 0
    this.#text = ''
    this.#textAt = 0
    this.#advance()
  }

  readonly #onEnd = (): void => {
    this.#isEnded = true
    this.#body?.fail('aborted', 'the client ended the connection before the body')
    // A half-closed client still gets its answer, but most that end are gone: who waits for them is told.
    this.#request?.abort()
    this.#advance()
  }

  readonly #onDrain = (): void => this.#advance()

  readonly #onFinish = (): void => {
    if (this.#phase === 'finishing') this.#enter('linger', lingerMs)
  }

  readonly #onClose = (): void => {
    this.#isLast = true
    this.#front.deadlines.remove(this)
    this.#front.connections.delete(this)
    this.#body?.fail('aborted', 'the client went away')
    this.#request?.abort()
    for (const answer of this.#waiting) discardStream(answer.response)
    this.#waiting = []
    this.#input = nothing
    this.#text = ''
    if (this.#front.connections.size === 0) this.#front.onEmpty()
  }

  /** Goes on as far as the input allows. */
  #advance(): void {
    if (this.#isAdvancing || this.#phase === 'detached') return
    this.#isAdvancing = true
    while (!this.#isLast) {
      if (this.#body !== null && !this.#feedBody(this.#body)) break
      if (this.#request !== null || this.#isClogged() || !this.#nextRequest()) break
    }
    this.#isAdvancing = false
    if (!this.#isLast) this.#settle()
  }

  /** @returns true when the body is through. */
  #feedBody(body: RequestBody): boolean {
    if (this.#at < this.#input.length && body.isHungry) this.#at = body.feed(this.#input, this.#at)
    if (body.failure !== null && this.#request === null) this.#finishSoon()
    if (!body.isComplete) return false
    this.#body = null
    return true
  }

  /** @returns true when one was read and handed on. */
  #nextRequest(): boolean {
    if (this.#at >= this.#input.length) {
      this.#input = nothing
      this.#at = 0
      return false
    }
    let blank = this.#text.indexOf('\r\n\r\n', this.#at - this.#textAt)
    if (blank < 0 && this.#textAt + this.#text.length < this.#input.length) {
      this.#textAt = this.#at
      this.#text = this.#input.toString(
        'latin1',
        this.#at,
        Math.min(this.#input.length, this.#at + this.#front.limits.headBytesMax + 2),
      )
      blank = this.#text.indexOf('\r\n\r\n')
    }
    let start = this.#at - this.#textAt
    // RFC 9112 section 2.2: one empty line before a request is forgiven.
    if (this.#text.startsWith('\r\n', start)) {
      start += 2
      if (blank === start - 2) blank = this.#text.indexOf('\r\n\r\n', start)
    }
    const { headBytesMax, headerCountMax } = this.#front.limits
    if (blank < 0 || blank + 4 - start > headBytesMax) {
      const isTooLong = blank >= 0 || this.#input.length - this.#textAt - start > headBytesMax
      const refusal = isTooLong
        ? new Refusal(431, `head of the request above ${headBytesMax} bytes`)
        : earlyRefusal(this.#text, start)
      if (refusal !== null) this.#refuse(refusal)
      return false
    }
    const head = parseHead(this.#text, start, blank + 2, headerCountMax)
    if (head instanceof Refusal) {
      this.#refuse(head)
      return false
    }
    this.#at = this.#textAt + blank + 4
    this.#phase = 'busy'
    this.deadlineMs = Number.POSITIVE_INFINITY
    this.#owesContinue = head.expectsContinue
    if (head.length !== 0) this.#body = new RequestBody(head.length, this.#onBodyWanted)
    const request = new ServerRequest(head, this.#body ?? noBody, this.#peer)
    this.#request = request
    // What has come of the body is there before the handler asks: most bodies need no promise.
    if (this.#body !== null) this.#feedBody(this.#body)
    this.#handle(request)
    return true
  }

  readonly #onBodyWanted = (): void => {
    if (this.#owesContinue && this.#body !== null && !this.#body.hasBegun) {
      this.#queue({ response: 'continue', isHead: false, isChunkable: true, closes: false })
    }
    this.#owesContinue = false
    this.#advance()
  }

  #handle(request: ServerRequest): void {
    try {
      const response = this.#front.handler(request)
      if (response instanceof Promise) {
        response.then(
          value => this.#answerLater(request, value),
          (error: unknown) => this.#answerLater(request, this.#failed(error)),
        )
      } else this.#answer(request, response)
    } catch (error) {
      this.#answer(request, this.#failed(error))
    }
  }

  #answerLater(request: ServerRequest, response: HttpResponse | HttpUpgrade): void {
    this.#answer(request, response)
    this.#advance()
  }

  #failed(error: unknown): HttpResponse {
    if (error instanceof BodyError) {
      const status = { 'too-large': 413, timeout: 408, malformed: 400, aborted: 400 }[error.code]
      return errorResponse(status, error.message)
    }
    this.#front.onError(error)
    return errorResponse(500, 'internal error')
  }

  #answer(request: ServerRequest, response: HttpResponse | HttpUpgrade): void {
    if (this.#socket.destroyed) {
      discardStream(response)
      this.#request = null
      return
    }
    let sent = response
    let closes = !request.isKept || this.#front.isClosing || request.isBodyBroken
    if (this.#body !== null) {
      // The framing is lost unless the rest of the body is read: a client told to wait may or may not send it.
      if (this.#owesContinue || !this.#body.discard(unreadBodyMax)) {
        closes = true
        this.#body = null
      }
    }
    if (isUpgrade(response) && (request.minor === 0 || this.#body !== null || closes)) {
      closes = true
      sent = errorResponse(400, 'this connection cannot be upgraded')
    }
    this.#queue({ response: sent, isHead: request.method === 'HEAD', isChunkable: request.minor === 1, closes })
    this.#isLast ||= closes
    // Nothing is read on behind a stream or an upgrade until it is over.
    if (!holdsConnection(sent)) this.#request = null
  }

  #refuse(refusal: Refusal): void {
    this.#queue({
      response: errorResponse(refusal.status, refusal.message),
      isHead: false,
      isChunkable: true,
      closes: true,
    })
    this.#isLast = true
  }

  #queue(answer: Answer): void {
    if (answer.response !== 'continue') this.#waitingBytes += sizeOf(answer.response)
    if (this.#waiting.push(answer) === 1) this.#front.flusher.add(this)
  }

  flush(instead: HttpResponse | null): void {
    const answers = this.#waiting
    const last = answers[answers.length - 1]
    if (last === undefined) return
    this.#waiting = []
    this.#waitingBytes = 0
    const output = new Output()
    const date = this.#front.date()
    let isAsAsked = false
    for (const answer of answers) isAsAsked = this.#render(output, answer, instead, date)
    output.writeTo(this.#socket)
    const { response } = last
    if (response !== 'continue' && holdsConnection(response)) {
      if (isAsAsked && isUpgrade(response)) return this.#detach(response)
      if (isAsAsked && !last.isHead && !isBodyless(response.status)) return this.#stream(last)
      discardStream(response)
      this.#request = null
    }
    if (this.#isLast) this.#finish()
    else this.#advance()
  }

  /** @returns false when another answer took its place. */
  #render(output: Output, answer: Answer, instead: HttpResponse | null, date: string): boolean {
    if (instead !== null && answer.response !== 'continue') {
      output.add({ ...answer, response: instead }, date)
      return false
    }
    try {
      output.add(answer, date)
      return true
    } catch (error) {
      this.#front.onError(error)
      output.add({ ...answer, response: errorResponse(500, 'internal error') }, date)
      return false
    }
  }

  #stream(answer: Answer): void {
    const stream = streamOf(answer.response)
    const request = this.#request
    assert(stream !== null && request !== null, 'only a stream is streamed')
    this.#isStreaming = true
    pump(this.#socket, stream, answer.isChunkable, request.signal).then(
      () => {
        this.#isStreaming = false
        this.#request = null
        if (request.signal.aborted) this.#socket.destroy()
        else if (this.#isLast) this.#finish()
        else this.#advance()
      },
      (error: unknown) => {
        this.#front.onError(error)
        // Cut off, so that the client doesn't take what it has for the whole.
        this.#socket.destroy()
      },
    )
  }

  #detach(response: HttpUpgrade): void {
    const socket = this.#socket
    this.#phase = 'detached'
    this.deadlineMs = Number.POSITIVE_INFINITY
    socket.off('data', this.#onData)
    socket.off('end', this.#onEnd)
    socket.off('drain', this.#onDrain)
    socket.pause()
    const head = this.#input.subarray(this.#at)
    this.#input = nothing
    const done = (): void => {
      this.#enter('linger', lingerMs)
      socket.destroySoon()
    }
    response.upgrade(socket, head).then(done, (error: unknown) => {
      this.#front.onError(error)
      done()
    })
  }

  /** Sends what is queued in the socket, then ends. */
  #finish(): void {
    if (this.#phase === 'finishing' || this.#phase === 'linger') return
    this.#isLast = true
    this.#enter('finishing', this.#front.limits.idleTimeoutMs)
    this.#input = nothing
    this.#at = 0
    this.#socket.end()
    this.#socket.resume()
  }

  #isClogged(): boolean {
    const { unsentBytesMax } = this.#front.limits
    if (this.#waitingBytes > unsentBytesMax) return true
    return this.#socket.writableNeedDrain && this.#socket.writableLength > unsentBytesMax
  }

  /** Reads on or pauses, and sets the deadline of what is awaited. */
  #settle(): void {
    const body = this.#body
    const left = this.#input.length - this.#at
    const isClogged = this.#isClogged()
    if (this.#isEnded && this.#request === null && this.#waiting.length === 0 && !isClogged) return this.#finish()
    const reads = body === null ? left < inputHeldMax && !isClogged : body.isHungry
    if (reads !== this.#isReading) {
      this.#isReading = reads
      if (reads) this.#socket.resume()
      else this.#socket.pause()
    }
    const { limits } = this.#front
    if (body?.isStreamed && !body.isHungry) this.#enter('busy', Number.POSITIVE_INFINITY)
    else if (body !== null && body.failure === null) this.#enter('body', limits.bodyTimeoutMs, body.isStreamed)
    else if (this.#request !== null) this.#enter('busy', Number.POSITIVE_INFINITY)
    else if (isClogged) this.#enter('clogged', limits.idleTimeoutMs)
    else if (left > 0) this.#enter('head', limits.headTimeoutMs)
    else this.#enter('idle', limits.idleTimeoutMs)
  }

  /** @param isRenewed what counts is that it goes on. */
  #enter(phase: Phase, ms: number, isRenewed = phase === 'idle'): void {
    if (phase === this.#phase && !isRenewed) return
    this.#phase = phase
    this.deadlineMs = this.#front.deadlines.in(ms)
  }

  onDeadline(): void {
    switch (this.#phase) {
      case 'idle':
        return this.#finish()
      case 'head':
        if (this.#at < this.#input.length)
          return this.#refuse(new Refusal(408, 'the head of the request came too slowly'))
        return this.#finish()
      case 'body':
        this.#body?.fail('timeout', 'the body of the request came too slowly')
        if (this.#request === null) this.#finishSoon()
        return
      case 'clogged':
      case 'finishing':
      case 'linger':
        this.#socket.destroy()
        return
      case 'busy':
      case 'detached':
        return
      default:
        unreachable(this.#phase)
    }
  }

  #finishSoon(): void {
    this.#isLast = true
    if (this.#waiting.length === 0) this.#finish()
  }

  /** The server is closing: ends now if nothing is under way; what has no end of its own is told. */
  shutdown(): void {
    if (this.#phase === 'detached' || this.#isStreaming) this.#request?.abort()
    else if (this.#request === null && this.#waiting.length === 0 && this.#at >= this.#input.length) this.#finish()
  }

  /** Ends at once, whatever is under way. */
  destroy(): void {
    this.#request?.abort()
    this.#socket.destroy()
  }
}

/** Is nothing read on until this answer is over? */
function holdsConnection(response: HttpResponse | HttpUpgrade): boolean {
  return isUpgrade(response) || streamOf(response) !== null
}

import type { Socket } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { type VirtualClock, virtualClock } from '#ground/base/clock.ts'
import { errorResponse } from './answers.ts'
import { Connection, type Front } from './connection.ts'
import { Deadlines } from './deadlines.ts'
import { Flusher } from './flusher.ts'
import { httpLimits } from './limits.ts'
import type { HttpHandler, HttpLimits, HttpResponse } from './message.ts'
import { httpDate } from './render.ts'

export type MemoryFrontOptions = {
  limits?: Partial<HttpLimits>
  beforeWrite?: () => void
  onBeforeWriteFailed?: (error: unknown) => HttpResponse
}

/** The front over streams in memory and under virtual time, for tests of what it says on the wire. */
export class MemoryFront {
  readonly clock: VirtualClock = virtualClock()
  readonly errors: unknown[] = []
  readonly front: Front

  constructor(handler: HttpHandler, options: MemoryFrontOptions = {}) {
    this.front = {
      handler,
      limits: httpLimits(options.limits),
      deadlines: new Deadlines(this.clock, 500),
      flusher: new Flusher(
        options.beforeWrite ?? (() => undefined),
        options.onBeforeWriteFailed ?? (() => errorResponse(500, 'not audited')),
      ),
      connections: new Set(),
      isClosing: false,
      date: () => httpDate(this.clock.now()),
      onError: error => this.errors.push(error),
      onEmpty: () => undefined,
    }
  }

  /** A client: what it writes the front reads. `received` grows as the front writes. */
  dial(): MemoryClient {
    const [ours, theirs] = duplexPair({ allowHalfOpen: true })
    const peer = { transport: 'tcp', address: '192.0.2.7', port: 4711, tls: null } as const
    // Of a socket the front uses what every stream has, but for this one call.
    const socket = Object.assign(theirs, { destroySoon: () => theirs.destroy() }) as unknown as Socket
    new Connection(this.front, socket, peer).open()
    return new MemoryClient(ours, theirs)
  }
}

export class MemoryClient {
  readonly stream: Duplex
  received = ''
  /** The front has ended its side, or is gone. */
  isEnded = false
  readonly #wakes = new Set<() => void>()

  constructor(stream: Duplex, front: Duplex) {
    this.stream = stream
    const wake = (): void => this.#wakes.forEach(each => each())
    stream.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1')
      wake()
    })
    const onEnd = (): void => {
      this.isEnded = true
      wake()
    }
    stream.on('end', onEnd)
    stream.on('error', onEnd)
    front.on('close', onEnd)
  }

  send(raw: string): void {
    this.stream.write(Buffer.from(raw, 'latin1'))
  }

  /** Waits until `isThere` holds of what was received, or the front has ended. */
  async until(isThere: (received: string) => boolean): Promise<string> {
    while (!isThere(this.received) && !this.isEnded) {
      await new Promise<void>(resolve => {
        const wake = (): void => {
          this.#wakes.delete(wake)
          resolve()
        }
        this.#wakes.add(wake)
      })
    }
    return this.received
  }

  /** Everything up to the end. */
  all(): Promise<string> {
    return this.until(() => false)
  }
}

/** Sends `raw`, in the pieces given, and its end; gives all that came back, without the Date header. */
export async function exchange(
  handler: HttpHandler,
  raw: string | readonly string[],
  options: MemoryFrontOptions = {},
): Promise<string> {
  const client = new MemoryFront(handler, options).dial()
  for (const piece of typeof raw === 'string' ? [raw] : raw) {
    client.send(piece)
    await new Promise(resolve => setImmediate(resolve))
  }
  client.stream.end()
  return (await client.all()).replaceAll(/Date: [^\r]*\r\n/g, '')
}

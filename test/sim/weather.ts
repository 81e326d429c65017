import type { Entropy } from '#ground/base/entropy.ts'
import type { VirtualClock } from '#ground/base/clock.ts'
import { headersOf } from '#ground/http/headers.ts'
import { ConnectError } from '#client/api-error.ts'
import type { OpenNotices } from '#client/notices.ts'
import type { Wire, WireAnswer, WireRequest } from '#client/wire.ts'
import { Outside } from '#core/testing/accounts.ts'
import type { TestServer } from '#core/testing/mount.ts'

/** What may befall a server, its database, and who uses them. */
export type Event =
  | 'restart'
  | 'sealed'
  | 'storm'
  | 'database down'
  | 'database hangs'
  | 'token revoked'
  | 'lease revoked'
  | 'agent killed'

/** What befalls one of the pods. */
export type Mishap = {
  revokeToken(): Promise<void>
  revokeLeases(): Promise<void>
  /** Another agent is started after so long. */
  killAgent(awayMs: number): Promise<void>
}

const minuteMs = 60_000
const turnsMax = 64

/** How long each lasts, ms, from and to. */
const lengths: Readonly<Record<Event, readonly [number, number]>> = {
  restart: [2_000, 90_000],
  sealed: [30 * minuteMs, 80 * minuteMs],
  storm: [minuteMs, 30 * minuteMs],
  'database down': [10 * minuteMs, 20 * minuteMs],
  'database hangs': [minuteMs, 5 * minuteMs],
  'token revoked': [0, 0],
  'lease revoked': [0, 0],
  'agent killed': [400, 20_000],
}
/** Hours of nothing but probes teach little: they are half as frequent as the rest. */
const kinds = [...Object.keys(lengths), ...Object.keys(lengths).filter(kind => kind !== 'sealed')] as Event[]

/** A database whose accounts are told of when they go. */
export class Database extends Outside {
  readonly onDropped: ((name: string) => void)[] = []

  override async drop(name: string): Promise<void> {
    await super.drop(name)
    for (const told of this.onDropped) told(name)
  }

  down(): void {
    const failure = new Error('the database is down')
    for (const what of ['create', 'drop', 'extend']) this.failures.set(what, failure)
  }

  up(): void {
    this.failures.clear()
    this.hangs.clear()
  }
}

/** A server that can be away, sealed or failing, its database, and the wire to them. */
export class Weather {
  readonly clock: VirtualClock
  readonly #server: TestServer
  readonly #database: Database
  readonly #entropy: Entropy
  readonly #sockets = new Set<() => void>()
  #isDown = false
  /** Share of requests that fail before they reach the server. */
  #failing = 0
  #isCalm = true
  #changedAtMs: number

  constructor(server: TestServer, database: Database, entropy: Entropy) {
    this.clock = server.world.clock
    this.#server = server
    this.#database = database
    this.#entropy = entropy
    this.#changedAtMs = this.clock.now()
  }

  /** Since when everything works, ms since 1970; null while something doesn't. */
  get calmSinceMs(): number | null {
    return this.#isCalm ? this.#changedAtMs : null
  }

  /** One of the events at random, with its length in ms. */
  next(): { event: Event; lastsMs: number } {
    const event = kinds[this.#entropy.below(kinds.length)]!
    const [from, to] = lengths[event]
    return { event, lastsMs: from + Math.floor(this.#entropy.fraction() * (to - from)) }
  }

  /** Lets it happen, and end. */
  async happen(event: Event, lastsMs: number, mishap: Mishap): Promise<void> {
    if (event === 'token revoked') {
      await mishap.revokeToken()
      return this.#hangUp()
    }
    if (event === 'lease revoked') {
      await mishap.revokeLeases()
      // Before time goes on, who was told waits for something.
      return new Promise(resolve => void setImmediate(resolve))
    }
    this.#isCalm = false
    const hang = Promise.withResolvers<void>()
    if (event === 'agent killed') await mishap.killAgent(lastsMs)
    else if (event === 'restart') {
      this.#isDown = true
      await this.#through(this.#server.node.stop())
    } else if (event === 'sealed') await this.#through(this.#server.node.seal())
    else if (event === 'storm') this.#failing = 0.5 + this.#entropy.fraction() / 2
    else if (event === 'database down') this.#database.down()
    else this.#database.hangs.set('extend', hang.promise)
    if (event === 'restart' || event === 'sealed') this.#hangUp()
    if (event !== 'agent killed') await this.clock.advance(lastsMs)
    if (event === 'restart' || event === 'sealed') await this.#through(this.#server.restart())
    this.#isDown = false
    this.#failing = 0
    this.#database.up()
    hang.resolve()
    this.#isCalm = true
    this.#changedAtMs = this.clock.now()
  }

  /** What the server's hub tells; a connection tells by its end that the server or the token went. */
  readonly notices: OpenNotices = async client => {
    if (this.#isDown || this.#server.node.house === null) throw refused()
    const { status } = await this.#server.ask('GET', 'auth/token/lookup-self', {
      token: client.token?.reveal('asking about it') ?? null,
    })
    if (status !== 200) return null
    const { notices } = this.#server.house
    const ended = new AbortController()
    const hangUp = (): void => ended.abort()
    this.#sockets.add(hangUp)
    let watched = new Set<string>()
    return {
      send(text) {
        watched = new Set((JSON.parse(text) as { watch: string[] }).watch)
      },
      async *messages(signal) {
        using subscription = notices.subscribe(watched)
        for await (const notice of subscription.read(AbortSignal.any([signal, ended.signal]))) {
          yield JSON.stringify(notice)
        }
      },
      [Symbol.dispose]: () => void this.#sockets.delete(hangUp),
    }
  }

  #hangUp(): void {
    for (const end of this.#sockets) end()
  }

  // The server takes turns of the event loop, and no time: timers of now keep the clock from going on meanwhile. Not
  // without end, since what hangs waits for the clock.
  async #atOnce<T>(work: Promise<T>): Promise<T> {
    let turnsLeft = turnsMax
    const hold = (): void => {
      if (turnsLeft-- > 0) this.clock.after(0, hold)
    }
    hold()
    try {
      return await work
    } finally {
      turnsLeft = 0
    }
  }

  /** Time goes on while it is done. */
  async #through(work: Promise<void>): Promise<void> {
    const state = { isDone: false }
    const done = work.finally(() => {
      state.isDone = true
    })
    for (let step = 0; step < 10_000 && !state.isDone; step++) await this.clock.advance(100)
    return done
  }

  /** A client's way to the server, with the time that a network takes. */
  wire(entropy: Entropy): Wire {
    return {
      send: async request => {
        await this.clock.sleep(1 + entropy.below(40), request.signal)
        if (this.#isDown) throw refused()
        if (entropy.fraction() < this.#failing) return failed(entropy)
        return this.#atOnce(answerOf(this.#server, request))
      },
      // Notices come by `notices`.
      stream: () => Promise.reject(new Error('nothing is streamed')),
      dial: async () => {
        throw new ConnectError('', '', 'no notices here', { isRetryable: false })
      },
      close: async () => undefined,
    }
  }
}

const refused = (): ConnectError => new ConnectError('', '', 'connection refused', { isRetryable: true })

function failed(entropy: Entropy): WireAnswer {
  const status = [429, 500, 502, 503, 504][entropy.below(5)]!
  return { status, headers: headersOf([]), body: new TextEncoder().encode('{"errors":["as the weather has it"]}') }
}

async function answerOf(server: TestServer, request: WireRequest): Promise<WireAnswer> {
  const { method, target, headers, body, signal } = request
  const token = headers.find(([name]) => name.toLowerCase() === 'x-vault-token')?.[1] ?? null
  const aborted = Promise.withResolvers<never>()
  aborted.promise.catch(() => undefined)
  const onAbort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const asked = server.ask(method, target.slice('/v1/'.length), {
      token,
      ...(body !== null && { text: String(body) }),
    })
    const answer = await Promise.race([asked, aborted.promise])
    return {
      status: answer.status,
      headers: headersOf([...answer.headers]),
      body: new TextEncoder().encode(answer.text),
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

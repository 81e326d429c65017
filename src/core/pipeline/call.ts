import type { Instant } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import type { Bytes, Maybe } from '#ground/base/brand.ts'
import { headersOf } from '#ground/http/headers.ts'
import type { HttpRequest } from '#ground/http/message.ts'
import type { JsonObject } from '#ground/text/json.ts'
import type { Call, Caller, WrapAsk } from '#backend/call.ts'
import { type NamespaceRef, rootNamespace } from '#backend/namespace.ts'
import type { LiveToken } from '#core/tokens/live.ts'
import { headerNames } from '#protocol/headers.ts'
import type { Operation, Verdict } from '#protocol/verdict.ts'

export type CallParts = {
  id: string
  operation: Operation
  path: string
  mountPath: string
  input: Readonly<Record<string, unknown>>
  sent: ReadonlySet<string>
  nulls: readonly string[]
  body: JsonObject
  raw: Bytes | null
  isStreamed: boolean
  request: HttpRequest
  remoteAddress: string
  live: LiveToken | null
  wrap: WrapAsk | null
  world: World
  /** ms; null = without limit. */
  deadlineMs: number | null
  may: (path: string, operation: Operation | 'sudo') => Maybe<Verdict>
}

const isToken = (name: string, value: string): boolean =>
  name === headerNames.token || (name === headerNames.authorization && /^bearer\s/i.test(value))

/** One request as its handler sees it; what few handlers need (a signal) is made when asked for. */
export class RequestCall implements Call {
  readonly id: string
  readonly operation: Operation
  readonly path: string
  readonly mountPath: string
  readonly namespace: NamespaceRef = rootNamespace
  readonly input: Readonly<Record<string, unknown>>
  readonly sent: ReadonlySet<string>
  readonly nulls: readonly string[]
  readonly body: JsonObject
  readonly raw: Bytes | null
  readonly peer: HttpRequest['peer']
  readonly remoteAddress: string
  readonly caller: Caller | null
  readonly wrap: WrapAsk | null
  readonly #parts: CallParts
  #signal: AbortSignal | null = null
  #deadline: Disposable | null = null
  #headers: HttpRequest['headers'] | null = null

  constructor(parts: CallParts) {
    this.id = parts.id
    this.operation = parts.operation
    this.path = parts.path
    this.mountPath = parts.mountPath
    this.input = parts.input
    this.sent = parts.sent
    this.nulls = parts.nulls
    this.body = parts.body
    this.raw = parts.raw
    this.peer = parts.request.peer
    this.remoteAddress = parts.remoteAddress
    this.caller = parts.live?.caller ?? null
    this.wrap = parts.wrap
    this.#parts = parts
  }

  /** Without the client's token: an engine has no use for it, and could leak it. */
  get headers(): HttpRequest['headers'] {
    this.#headers ??= headersOf([...this.#parts.request.headers].filter(([name, value]) => !isToken(name, value)))
    return this.#headers
  }

  get stream(): AsyncIterable<Bytes> | null {
    return this.#parts.isStreamed ? this.#parts.request.body.stream(Number.POSITIVE_INFINITY) : null
  }

  get signal(): AbortSignal {
    this.#signal ??= this.#makeSignal()
    return this.#signal
  }

  #makeSignal(): AbortSignal {
    const { request, world, deadlineMs } = this.#parts
    if (deadlineMs === null) return AbortSignal.any([request.signal, world.signal])
    const deadline = new AbortController()
    this.#deadline = world.clock.after(deadlineMs, () => deadline.abort(new Error('the request took too long')))
    return AbortSignal.any([request.signal, world.signal, deadline.signal])
  }

  /** The answer is made, or another call stands for the request: its deadline needn't be watched any more. */
  end(): void {
    this.#deadline?.[Symbol.dispose]()
    this.#deadline = null
  }

  may(path: string, operation: Operation | 'sudo'): Maybe<Verdict> {
    return this.#parts.may(path, operation)
  }

  now(): Instant {
    return this.#parts.world.clock.now()
  }

  static tokenOf(call: Call): LiveToken | null {
    return call instanceof RequestCall ? call.#parts.live : null
  }

  static sentTokenOf(call: Call): string | null {
    return call instanceof RequestCall ? clientToken(call.#parts.request) : null
  }
}

/** `X-Vault-Token`, else the first `Authorization` that starts exactly with `Bearer `. */
export function clientToken(request: HttpRequest): string | null {
  const token = request.headers.get(headerNames.token)
  if (token !== undefined && token !== '') return token
  for (const value of request.headers.all(headerNames.authorization)) {
    if (value.startsWith('Bearer ')) return value.slice(7).trim() || null
  }
  return null
}

/** The token behind a call: for the server's own token engine, and for nobody else (no engine imports the core). */
export const tokenOf = (call: Call): LiveToken | null => RequestCall.tokenOf(call)

/** What was sent as the client's token, good or not: for `sys/wrapping`, and for nobody else. */
export const sentTokenOf = (call: Call): string | null => RequestCall.sentTokenOf(call)

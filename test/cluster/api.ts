import { Agent, request as httpsRequest } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Identity } from './certificates.ts'

/** An API server's refusal: its status code, and the `message` of its Status object. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export type Answer = { status: number; body: unknown }

export type RequestOptions = {
  body?: unknown
  /** Default `application/json`; a PATCH's says what kind it is. */
  contentType?: string
  /** A bearer token: then no client certificate is sent. */
  token?: string
  /** Default 30,000. */
  timeoutMs?: number
}

/**
 * What tests need of an API server, as its administrator. Small on purpose, and not the product's own client: a fault
 * of that must not hide in the harness.
 */
export type Api = Disposable & {
  /** One request, whatever its status. `path` starts with a slash. @throws Error when there is no answer. */
  request: (method: string, path: string, options?: RequestOptions) => Promise<Answer>
  /** The answer's object. @throws ApiError for a status of 400 and above. */
  call: <T = unknown>(method: string, path: string, body?: unknown) => Promise<T>
  /**
   * Waits until the object at `path` (…/NAME) satisfies the predicate, by a watch.
   * @param options.timeoutMs default 60,000; then an error that shows the last state seen.
   */
  until: <T>(path: string, isDone: (object: T) => boolean, options?: { timeoutMs?: number }) => Promise<T>
  /** Waits until there is no object at `path`. */
  untilGone: (path: string, options?: { timeoutMs?: number }) => Promise<void>
}

export type ApiAddress = { host: string; port: number; caPem: string; identity: Identity }

const bodyBytesMax = 64 * 1024 * 1024

export function openApi(address: ApiAddress): Api {
  const trust = { ca: address.caPem, servername: 'kubernetes', keepAlive: true }
  const asAdmin = new Agent({ ...trust, cert: address.identity.cert, key: address.identity.key })
  const asBearer = new Agent(trust)

  function open(method: string, path: string, options: RequestOptions, signal: AbortSignal): Promise<IncomingMessage> {
    const text = options.body === undefined ? undefined : JSON.stringify(options.body)
    return new Promise((resolve, reject) => {
      const request = httpsRequest({
        host: address.host,
        port: address.port,
        method,
        path,
        agent: options.token === undefined ? asAdmin : asBearer,
        headers: {
          accept: 'application/json',
          ...(text !== undefined && {
            'content-type': options.contentType ?? 'application/json',
            'content-length': Buffer.byteLength(text),
          }),
          ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
        },
        signal,
      })
      request.once('response', resolve)
      request.once('error', reject)
      request.end(text)
    })
  }

  async function request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const signal = AbortSignal.timeout(options.timeoutMs ?? 30_000)
    const response = await open(method, path, options, signal)
    const text = await readAll(response)
    return { status: response.statusCode ?? 0, body: parse(text) }
  }

  async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await request(method, path, { body })
    if (answer.status >= 400) throw refusal(method, path, answer)
    return answer.body as T
  }

  /** Follows one object: its state at first and each later one, `null` when it is gone. Until it has `isDone`. */
  async function follow<T>(path: string, isDone: (object: T | null) => boolean, timeoutMs = 60_000): Promise<T | null> {
    const signal = AbortSignal.timeout(timeoutMs)
    const cut = path.lastIndexOf('/')
    const watch = `${path.slice(0, cut)}?watch=1&fieldSelector=metadata.name%3D${path.slice(cut + 1)}`
    let last: T | null = null
    while (!signal.aborted) {
      try {
        const now = await request('GET', path, { timeoutMs })
        if (now.status >= 400 && now.status !== 404) throw refusal('GET', path, now)
        last = now.status === 404 ? null : (now.body as T)
        if (isDone(last)) return last
        // Without a resource version a watch begins with the present state, so nothing is missed between the two.
        const response = await open('GET', watch, {}, signal)
        for await (const line of lines(response)) {
          const event = JSON.parse(line) as { type: string; object: T }
          if (event.type === 'ERROR' || event.type === 'Failure') break
          last = event.type === 'DELETED' ? null : event.object
          if (isDone(last)) return last
        }
      } catch (error) {
        // A connection ends when a test restarts the API server.
        if (error instanceof ApiError) throw error
      }
      await sleep(50)
    }
    throw new Error(`${path}: not as expected after ${timeoutMs} ms; last seen: ${shown(last)}`)
  }

  async function until<T>(
    path: string,
    isDone: (object: T) => boolean,
    options: { timeoutMs?: number } = {},
  ): Promise<T> {
    const found = await follow<T>(path, object => object !== null && isDone(object), options.timeoutMs)
    return found as T
  }

  async function untilGone(path: string, options: { timeoutMs?: number } = {}): Promise<void> {
    await follow(path, object => object === null, options.timeoutMs)
  }

  return {
    request,
    call,
    until,
    untilGone,
    [Symbol.dispose]() {
      asAdmin.destroy()
      asBearer.destroy()
    },
  }
}

/** An object as text, without the list of who wrote which field. */
function shown(object: unknown): string {
  return JSON.stringify(object, (key, value: unknown) => (key === 'managedFields' ? undefined : value))
}

async function readAll(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length
    if (length > bodyBytesMax) throw new Error(`an answer of more than ${bodyBytesMax} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

async function* lines(response: IncomingMessage): AsyncGenerator<string> {
  let rest = ''
  response.setEncoding('utf8')
  for await (const text of response as AsyncIterable<string>) {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    yield* parts.filter(Boolean)
  }
}

/** JSON where it is JSON; `/readyz` and logs are text. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function refusal(method: string, path: string, { status, body }: Answer): ApiError {
  const message = (body as { message?: string } | null)?.message ?? String(body)
  return new ApiError(status, `${method} ${path}: ${status} ${message}`)
}

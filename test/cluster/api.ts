import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, type ApiAddress, lines, openWire, type RequestOptions, type Wire } from './wire.ts'

/** An API server's refusal: its status code, and the `message` of its Status object. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
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

export function openApi(address: ApiAddress): Api {
  const wire = openWire(address)
  const { request } = wire
  return {
    request,
    async call<T>(method: string, path: string, body?: unknown) {
      const answer = await request(method, path, { body })
      if (answer.status >= 400) throw refusal(method, path, answer)
      return answer.body as T
    },
    async until<T>(path: string, isDone: (object: T) => boolean, options: { timeoutMs?: number } = {}) {
      const found = await follow<T>(wire, path, object => object !== null && isDone(object), options.timeoutMs)
      return found as T
    },
    async untilGone(path, options = {}) {
      await follow(wire, path, object => object === null, options.timeoutMs)
    },
    [Symbol.dispose]: () => wire[Symbol.dispose](),
  }
}

/** Follows one object: its state at first and each later one, `null` when it is gone. Until it has `isDone`. */
async function follow<T>(
  wire: Wire,
  path: string,
  isDone: (object: T | null) => boolean,
  timeoutMs = 60_000,
): Promise<T | null> {
  const signal = AbortSignal.timeout(timeoutMs)
  const cut = path.lastIndexOf('/')
  const watch = `${path.slice(0, cut)}?watch=1&fieldSelector=metadata.name%3D${path.slice(cut + 1)}`
  let last: T | null = null
  while (!signal.aborted) {
    try {
      const now = await wire.request('GET', path, { timeoutMs })
      if (now.status >= 400 && now.status !== 404) throw refusal('GET', path, now)
      last = now.status === 404 ? null : (now.body as T)
      if (isDone(last)) return last
      // From the state that was seen on, so that a deletion between the two isn't missed; a watch without a version
      // begins with what is there, which is nothing then. Where there was nothing it is what tells of the object.
      const version = (last as { metadata?: { resourceVersion?: string } } | null)?.metadata?.resourceVersion
      const since = version === undefined ? '' : `&resourceVersion=${version}`
      const response = await wire.open('GET', watch + since, {}, signal)
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

/** An object as text, without the list of who wrote which field. */
function shown(object: unknown): string {
  return JSON.stringify(object, (key, value: unknown) => (key === 'managedFields' ? undefined : value))
}

function refusal(method: string, path: string, { status, body }: Answer): ApiError {
  const message = (body as { message?: string } | null)?.message ?? String(body)
  return new ApiError(status, `${method} ${path}: ${status} ${message}`)
}

import type { WebSocket } from 'ws'
import { BoundedQueue } from '#ground/base/queue.ts'
import type { ApiClient } from './api.ts'
import { openSocket } from './socket.ts'

const queueMax = 1_000
const messageBytesMax = 1 << 20

export type EventsAsk = {
  /** A glob of types: `kv-v2/*`. */
  readonly types: string
  /** Empty: all. */
  readonly filter: string
  readonly namespaces: readonly string[]
}

/** Events as lines of JSON, until the server or the signal ends them; `closed` then says how. */
export type EventStream = {
  readonly events: AsyncIterable<string>
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
}

/** Subscribes to what happens at the server. @throws what `openSocket` does. @source vault api, sys/events/subscribe */
export async function subscribeEvents(client: ApiClient, ask: EventsAsk, signal: AbortSignal): Promise<EventStream> {
  const query = {
    json: true,
    ...(ask.filter !== '' && { filter: ask.filter }),
    ...(ask.namespaces.length > 0 && { namespaces: ask.namespaces.join(',') }),
  }
  const queue = new BoundedQueue<string>(queueMax)
  const { promise: closed, resolve } = Promise.withResolvers<{ code: number; reason: string }>()
  const hear = (web: WebSocket): void => {
    web.on('message', data => {
      if (!queue.push((data as Buffer).toString('utf8'))) web.close(1008, 'events are taken too slowly')
    })
    web.on('close', (code, reason) => {
      queue.close()
      resolve({ code, reason: reason.toString('utf8') })
    })
  }
  const path = `sys/events/subscribe/${ask.types}`
  const web = await openSocket(client, { path, query, messageBytesMax, hear }, signal)
  signal.addEventListener('abort', () => web.terminate(), { once: true })
  if (signal.aborted) web.terminate()
  return { events: queue.read(), closed }
}

import { bool, captured, commaList, text } from '#ground/fields/kit.ts'
import { acceptWebSocket, type WebSocketPeer } from '#ground/http/websocket.ts'
import type { Call } from '#backend/call.ts'
import type { Reply } from '#backend/reply.ts'
import { eventJson, eventProto } from '#core/events/cloud-event.ts'
import type { EventFilter, FilterError } from '#core/events/filter.ts'
import type { EventInterest } from '#core/events/event-hub.ts'
import { fault } from '#protocol/fault.ts'
import { row, type SystemRow, type SystemState } from './state.ts'
import { closeCodes, watchToken } from './sockets.ts'

const fields = {
  types: captured('A glob of event types: kv-v2/*.'),
  json: bool({ description: 'Send CloudEvents as JSON; else protocol buffers.', from: 'query' }),
  filter: text({ description: 'Send only what fits: operation == "data-write".', from: 'query' }),
  bexpr_filter: text({ description: 'Old name of filter.', from: 'query', isDeprecated: true }),
  namespaces: commaList({ description: 'Globs of namespaces; there is the root one alone.', from: 'query' }),
} as const

async function filterOf(expression: string): Promise<EventFilter | null> {
  if (expression === '') return null
  // With a library of its own, for the few who filter.
  const { parseFilter } = await import('#core/events/filter.ts')
  try {
    return parseFilter(expression)
  } catch (error) {
    if (!(error instanceof Error) || error.name !== ('FilterError' satisfies FilterError['name'])) throw error
    throw fault('request.invalid', `failed to parse filter: ${error.message}`)
  }
}

async function serve(
  socket: WebSocketPeer,
  signal: AbortSignal,
  { call, state, interest, isJson }: { call: Call; state: SystemState; interest: EventInterest; isJson: boolean },
): Promise<void> {
  using subscription = state.house().events.subscribe(interest)
  if (subscription === null) return socket.close(closeCodes.later, 'too many subscribers')
  const ended = new AbortController()
  const both = AbortSignal.any([signal, ended.signal])
  const watcher = watchToken(call, state, both, () => {
    ended.abort()
    socket.close(closeCodes.policy, 'the token ended')
  })
  for await (const event of subscription.read(both)) {
    // Asked anew for each: policies change, and tokens end.
    if (!(await state.mayHear(call, event.dataPath, event.type))) continue
    await socket.send(isJson ? eventJson(event, state.clusterName()) : eventProto(event))
  }
  ended.abort()
  await watcher
  if (subscription.hasLost) socket.close(closeCodes.policy, 'events are taken too slowly')
  else socket.close(signal.aborted ? closeCodes.away : closeCodes.normal, '')
}

export const eventRows: readonly SystemRow[] = [
  row({
    path: 'events/subscribe/*types',
    fields,
    operations: {
      read: {
        access: 'policy',
        deadline: false,
        standby: 'redirect',
        summary: 'Be told what happens (WebSocket).',
        async handler(call, state): Promise<Reply> {
          const { types, json, filter, bexpr_filter: old } = call.input
          if (types === '') throw fault('request.invalid', 'did not specify event type to subscribe to')
          const interest = { types, filter: await filterOf(filter === '' ? old : filter) }
          const accepted = acceptWebSocket(call.headers, (socket, signal) =>
            serve(socket, signal, { call, state, interest, isJson: json }),
          )
          if (accepted === null) {
            throw fault('request.invalid', 'this path is a WebSocket: connect with Upgrade: websocket, version 13')
          }
          return { kind: 'upgrade', ...accepted }
        },
      },
    },
    help: {
      synopsis: 'Be told what happens.',
      description:
        'Each event is sent to who may "list" and "subscribe" on its data path, with a subscribe_event_types that names its type. Who reads too slowly is cut off.',
    },
  }),
]

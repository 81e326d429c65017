import type { Reply } from '#backend/reply.ts'
import type { Call } from '#backend/call.ts'
import { watchedMax } from '#core/events/notices.ts'
import { madeAt } from '#core/leases/entry.ts'
import { acceptWebSocket, type WebSocketPeer } from '#ground/http/websocket.ts'
import { isJsonObject, type Json, renderJson } from '#ground/text/json.ts'
import { JsonError, parseJson } from '#ground/text/json-parse.ts'
import { fault } from '#protocol/fault.ts'
import type { Notice } from '#protocol/event.ts'
import { closeCodes, watchToken } from './sockets.ts'
import { row, type SystemRow, type SystemState } from './state.ts'

function readWatch(message: string): ReadonlySet<string> | string {
  let value: Json
  try {
    value = parseJson(message)
  } catch (error) {
    if (error instanceof JsonError) return 'the first message must be JSON: {"watch": ["path", …]}'
    throw error
  }
  const watch = isJsonObject(value) ? value['watch'] : undefined
  if (!Array.isArray(watch) || watch.length === 0 || !watch.every(path => typeof path === 'string')) {
    return 'the first message must be {"watch": ["path", …]}'
  }
  if (watch.length > watchedMax) return `at most ${watchedMax} paths can be watched at once`
  return new Set(watch as string[])
}

/** Who may read at a path may be told of it, and of the ends of leases that are made there. */
async function isReadable(call: Call, path: string): Promise<boolean> {
  if ((await call.may(path, 'read')).allowed) return true
  const origin = madeAt(path)
  return origin !== null && (await call.may(origin, 'read')).allowed
}

/**
 * The change notice: who may read a path is told when it changes, without its value; by the id of a lease, when it is
 * gone. One message from the client, then notices until the token ends.
 */
async function serve(socket: WebSocketPeer, call: Call, state: SystemState, signal: AbortSignal): Promise<void> {
  const first = await socket.messages[Symbol.asyncIterator]().next()
  if (first.done) return
  const paths = readWatch(first.value)
  if (typeof paths === 'string') return socket.close(closeCodes.policy, paths)
  for (const path of paths) {
    if (!(await isReadable(call, path))) return socket.close(closeCodes.policy, `no read on ${path}`.slice(0, 120))
  }
  using subscription = state.house().notices.subscribe(paths)
  const ended = new AbortController()
  const both = AbortSignal.any([signal, ended.signal])
  const watcher = watchToken(call, state, both, () => {
    ended.abort()
    socket.close(closeCodes.policy, 'the token ended')
  })
  // From here on nothing is missed: what changed before is found by reading now.
  await socket.send(renderJson({ lost: true }))
  for (const path of paths) {
    const isEnded = madeAt(path) !== null && (await state.house().leases.get(path)) === null
    if (isEnded) await socket.send(renderJson({ path, version: null }))
  }
  for await (const notice of subscription.read(both)) {
    if ('path' in notice && !(await isReadable(call, notice.path))) {
      socket.close(closeCodes.policy, 'the right to read ended')
      break
    }
    await socket.send(renderJson(notice as Notice & Record<string, Json>))
  }
  ended.abort()
  await watcher
  socket.close(signal.aborted ? closeCodes.away : closeCodes.normal, '')
}

export const noticeRows: readonly SystemRow[] = [
  row({
    path: 'notices',
    fields: {},
    operations: {
      read: {
        access: 'token',
        deadline: false,
        wrappable: false,
        standby: 'local',
        summary: 'Be told of changes (WebSocket): paths and versions, no values.',
        async handler(call, state): Promise<Reply> {
          const accepted = acceptWebSocket(call.headers, (socket, signal) => serve(socket, call, state, signal))
          if (accepted === null) {
            throw fault('request.invalid', 'this path is a WebSocket: connect with Upgrade: websocket, version 13')
          }
          return { kind: 'upgrade', ...accepted }
        },
      },
    },
    help: {
      synopsis: 'Be told of changes.',
      description:
        'The client sends {"watch": [paths]} and needs read on each; the server sends {"path", "version"} when one changed, {"lost": true} when it could not keep up. A path may be the id of a lease: then it is told when the lease is gone, and read is needed on the path that made it.',
    },
  }),
]

import type { WebSocket } from 'ws'
import { BoundedQueue } from '#ground/base/queue.ts'
import type { ApiClient } from './api.ts'
import type { NoticeSocket } from './notices.ts'
import { openSocket, SocketRefused } from './socket.ts'

const queueMax = 64
const messageBytesMax = 16 * 1024
const lost = '{"lost":true}'

/**
 * Opens `sys/notices` as a WebSocket with the client's token.
 * @returns null for 404 and 403: an older or another server, or one that grants no notices
 * @throws what the dialling throws, SocketRefused for any other answer
 */
export async function openNoticeSocket(client: ApiClient, signal: AbortSignal): Promise<NoticeSocket | null> {
  const queue = new BoundedQueue<string>(queueMax)
  const hear = (web: WebSocket): void => {
    web.on('message', data => {
      if (queue.push((data as Buffer).toString('utf8'))) return
      queue.clear()
      queue.push(lost)
    })
    web.on('close', () => queue.close())
  }
  const ask = { path: 'sys/notices', messageBytesMax, hear }
  const web = await openSocket(client, ask, signal).catch((error: unknown) => {
    if (error instanceof SocketRefused && (error.status === 404 || error.status === 403)) return null
    throw error
  })
  if (web === null) return null
  const end = (): void => {
    web.terminate()
    queue.close()
  }
  return { send: text => web.send(text), messages: reading => queue.read(reading), [Symbol.dispose]: end }
}

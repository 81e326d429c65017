import { WebSocket } from 'ws'
import { BoundedQueue } from '#ground/base/queue.ts'
import type { ApiClient } from './api.ts'
import type { NoticeSocket } from './notices.ts'

const queueMax = 64
const messageBytesMax = 16 * 1024
const lost = '{"lost":true}'

/**
 * Opens `sys/notices` as a WebSocket with the client's token.
 * @returns null for 404 and 403: an older or another server, or one that grants no notices
 * @throws what the dialling throws, Error for any other answer
 */
export async function openNoticeSocket(client: ApiClient, signal: AbortSignal): Promise<NoticeSocket | null> {
  const { socket, target, host, headers } = await client.dial('sys/notices', signal)
  const web = new WebSocket(`ws://${host}${target}`, {
    // The connection stands already, TLS included: only the upgrade is left to do.
    createConnection: () => socket as never,
    headers: Object.fromEntries(headers),
    maxPayload: messageBytesMax,
    perMessageDeflate: false,
  })
  const queue = new BoundedQueue<string>(queueMax)
  web.on('message', data => {
    if (queue.push((data as Buffer).toString('utf8'))) return
    queue.clear()
    queue.push(lost)
  })
  web.on('close', () => queue.close())
  const end = (): void => {
    web.terminate()
    socket.destroy()
    queue.close()
  }
  const status = await upgraded(web, signal).catch((error: unknown) => {
    end()
    throw error
  })
  if (status !== 101) {
    end()
    if (status === 404 || status === 403) return null
    throw new Error(`sys/notices answered with status ${status}`)
  }
  return { send: text => web.send(text), messages: reading => queue.read(reading), [Symbol.dispose]: end }
}

function upgraded(web: WebSocket, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    web.once('open', () => resolve(101))
    web.once('unexpected-response', (_, response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    // Later errors end in `close`, which ends the queue.
    web.on('error', reject)
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

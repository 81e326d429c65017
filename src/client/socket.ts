import { WebSocket } from 'ws'
import type { ApiClient, ApiRequest } from './api.ts'

/** The server answered the handshake otherwise than with 101. */
export class SocketRefused extends Error {
  override readonly name = 'SocketRefused'
  readonly status: number

  constructor(path: string, status: number, text: string) {
    super(`${path} answered with status ${status}${text === '' ? '' : `: ${text}`}`)
    this.status = status
  }
}

const refusalBytesMax = 64 * 1024

export type SocketAsk = Pick<ApiRequest, 'path' | 'query'> & {
  /** Longer messages end the connection. */
  readonly messageBytesMax: number
  /** Attaches who listens: the first message may come in one packet with the answer to the handshake. */
  readonly hear: (web: WebSocket) => void
}

/**
 * Opens a path of the server as a WebSocket, with the client's token. Whoever has it ends it with `terminate`.
 * @throws what the dialling throws, SocketRefused, the signal's reason
 */
export async function openSocket(
  client: ApiClient,
  { messageBytesMax, hear, ...request }: SocketAsk,
  signal: AbortSignal,
): Promise<WebSocket> {
  const { socket, target, host, headers } = await client.dial(request, signal)
  const web = new WebSocket(`ws://${host}${target}`, {
    // The connection stands already, TLS included: only the upgrade is left to do.
    createConnection: () => socket as never,
    headers: Object.fromEntries(headers),
    maxPayload: messageBytesMax,
    perMessageDeflate: false,
  })
  web.once('close', () => socket.destroy())
  hear(web)
  try {
    await upgraded(web, request.path, signal)
  } catch (error) {
    web.terminate()
    socket.destroy()
    throw error
  }
  return web
}

function upgraded(web: WebSocket, path: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    web.once('open', () => resolve())
    web.once('unexpected-response', (_, response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += text.length < refusalBytesMax ? chunk.toString() : ''))
      response.on('end', () => reject(new SocketRefused(path, response.statusCode ?? 0, errorsOf(text))))
      response.on('error', reject)
    })
    // Later errors end in `close`.
    web.on('error', reject)
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

function errorsOf(text: string): string {
  try {
    const { errors } = JSON.parse(text) as { errors?: unknown }
    return Array.isArray(errors) ? errors.join('; ') : ''
  } catch {
    return ''
  }
}

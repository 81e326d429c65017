import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import type { Identity } from './certificates.ts'

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

export type ApiAddress = { host: string; port: number; caPem: string; identity: Identity }

const bodyBytesMax = 64 * 1024 * 1024

/** HTTPS to an API server, as its administrator or as the bearer of a token. */
export type Wire = Disposable & {
  /** One request and its whole answer, whatever the status. */
  request: (method: string, path: string, options?: RequestOptions) => Promise<Answer>
  /** One request; the caller reads the answer, or ends it by the signal. */
  open: (method: string, path: string, options: RequestOptions, signal: AbortSignal) => Promise<IncomingMessage>
}

export function openWire(address: ApiAddress): Wire {
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

  return {
    open,
    request,
    [Symbol.dispose]() {
      asAdmin.destroy()
      asBearer.destroy()
    },
  }
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

/** The lines of an answer as they come: events of a watch. */
export async function* lines(response: IncomingMessage): AsyncGenerator<string> {
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

import { HttpClientError } from '#ground/http/dial.ts'
import type { HttpClientStream } from '#ground/http/client.ts'
import { headersOf } from '#ground/http/headers.ts'
import type { Transport, TransportRequest } from './transport.ts'

/** What an API server was asked; `bearer` is who asked. */
export type ApiAsk = {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly bearer: string
  readonly contentType: string
  readonly body: unknown
}

/** `lost`: it was done, but the answer never came. */
export type ApiAnswer = { readonly status: number; readonly body: unknown } | 'unreachable' | 'lost'

/** For tests: carries the calls of a Kubernetes client to a function in place of a server. */
export function scriptedTransport(answerTo: (ask: ApiAsk) => ApiAnswer): Pick<Transport, 'send' | 'dial' | 'close'> {
  return {
    async send(_credential, request): Promise<HttpClientStream> {
      const answer = answerTo(askOf(request))
      if (answer === 'lost') throw new HttpClientError('broken', 'the connection broke')
      if (answer === 'unreachable') {
        const cause = Object.assign(new Error('certificate is not trusted'), { code: 'CERT_UNTRUSTED' })
        throw new HttpClientError('connect', 'no connection', { cause })
      }
      const bytes = new TextEncoder().encode(JSON.stringify(answer.body))
      async function* chunks() {
        yield bytes
      }
      return { status: answer.status, headers: headersOf([['content-type', 'application/json']]), chunks: chunks() }
    },
    dial: () => Promise.reject(new Error('nothing to dial')),
    close: () => undefined,
  }
}

function askOf({ method, path, headers, body }: TransportRequest): ApiAsk {
  const named = new Map(headers.map(([name, value]) => [name.toLowerCase(), value]))
  return {
    method,
    path,
    bearer: (named.get('authorization') ?? '').replace(/^Bearer /, ''),
    contentType: named.get('content-type') ?? '',
    body: body === null ? null : JSON.parse(body),
  }
}

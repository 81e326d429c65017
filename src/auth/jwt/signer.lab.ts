import {
  createHmac,
  createPrivateKey,
  createSign,
  generateKeyPairSync,
  type KeyObject,
  sign as signBytes,
} from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

type Claims = Readonly<Record<string, unknown>>

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

export type Signer = {
  readonly id: string
  readonly publicPem: string
  readonly jwk: Readonly<Record<string, unknown>>
  /** @param claims as JSON text where an object won't do. */
  sign(claims: Claims | string, header?: Claims): string
}

/** A key of its own; what it signs is put together here, so that it may be wrong in every way. */
export function openSigner(id = 'one', type: 'rsa' | 'ec' | 'ed25519' = 'ec'): Signer {
  const pair =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : type === 'ec'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('ed25519')
  const algorithm = { rsa: 'RS256', ec: 'ES256', ed25519: 'EdDSA' }[type]
  const key = createPrivateKey(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  return {
    id,
    publicPem: pair.publicKey.export({ type: 'spki', format: 'pem' }),
    jwk: { ...pair.publicKey.export({ format: 'jwk' }), kid: id, use: 'sig' },
    sign(claims, header = {}) {
      const signed = `${encode({ alg: algorithm, kid: id, ...header })}.${encode(claims)}`
      return `${signed}.${signature(signed, key, type).toString('base64url')}`
    },
  }
}

function signature(signed: string, key: KeyObject, type: string): Buffer {
  if (type === 'ed25519') return signBytes(null, Buffer.from(signed), key)
  const options = { key, ...(type === 'ec' && { dsaEncoding: 'ieee-p1363' as const }) }
  return createSign('sha256').update(signed).sign(options)
}

/** Signed with a public key as if it were a shared secret (the class of CVE-2016-5431). */
export function signByHmac(claims: Claims, secret: string): string {
  const signed = `${encode({ alg: 'HS256' })}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

export type Web = AsyncDisposable & {
  readonly url: string
  /** By path; what isn't here is 404. `null`: it hangs up. */
  readonly pages: Map<string, unknown>
  readonly asked: string[]
}

/** An issuer as far as keys go. @param tls PEM; absent: without TLS. */
export async function openWeb(tls?: { readonly cert: string; readonly key: string }): Promise<Web> {
  const pages = new Map<string, unknown>()
  const asked: string[] = []
  const answer: RequestListener = (request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const page = pages.get(path)
    if (page === null) return void request.socket.destroy()
    if (page === undefined) return void response.writeHead(404).end()
    if (page instanceof URL) return void response.writeHead(302, { location: page.href }).end()
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(typeof page === 'string' ? page : JSON.stringify(page))
  }
  const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pages,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

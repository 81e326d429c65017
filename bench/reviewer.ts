import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAuthority } from '../test/cluster/certificates.ts'

/** Who sets it up: with the root token. */
export type Asked = { ask(method: string, path: string, body: object): Promise<unknown> }

/** An API server that says yes to every token at once. */
export const reviewer = (): Server =>
  createServer((request, response) => {
    request.resume().on('end', () => {
      const user = { username: 'system:serviceaccount:default:app', uid: 'u-1', groups: [] }
      response.setHeader('Content-Type', 'application/json')
      response.end(
        JSON.stringify({
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          status: { authenticated: true, user, audiences: ['coffer'] },
        }),
      )
    })
  })

/** Sets up the auth method. @param at path of its mount @returns the body of a login */
export async function prepareLogin(server: Asked, to: Server, at = 'kubernetes'): Promise<string> {
  if (!to.listening) {
    to.listen(0, '127.0.0.1')
    await once(to, 'listening')
  }
  const { port } = to.address() as AddressInfo
  await server.ask('POST', `sys/auth/${at}`, { type: 'kubernetes' })
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = {
    iss: 'bench',
    aud: ['coffer'],
    iat: 1_700_000_000,
    nbf: 1_700_000_000,
    exp: 4_000_000_000,
    sub: 'system:serviceaccount:default:app',
    'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'app', uid: 'u-1' } },
  }
  const jwt = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.c2ln`
  await server.ask('POST', `auth/${at}/config`, {
    kubernetes_host: `http://127.0.0.1:${port}`,
    kubernetes_ca_cert: (await createAuthority()).pem,
    token_reviewer_jwt: jwt,
    disable_local_ca_jwt: true,
  })
  await server.ask('POST', `auth/${at}/role/app`, {
    bound_service_account_names: 'app',
    bound_service_account_namespaces: 'default',
    audience: 'coffer',
    ttl: '1h',
  })
  return JSON.stringify({ role: 'app', jwt })
}

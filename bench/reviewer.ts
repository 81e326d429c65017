import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAuthority } from '../test/cluster/certificates.ts'
import type { Running } from './running.ts'

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

/** Sets up the auth method. @returns the body of a login */
export async function prepareLogin(server: Running, to: Server): Promise<string> {
  to.listen(0, '127.0.0.1')
  await once(to, 'listening')
  const { port } = to.address() as AddressInfo
  await server.ask('POST', 'sys/auth/kubernetes', { type: 'kubernetes' })
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = {
    iss: 'bench',
    aud: ['coffer'],
    exp: 4_000_000_000,
    sub: 'system:serviceaccount:default:app',
    'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'app', uid: 'u-1' } },
  }
  const jwt = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.c2ln`
  await server.ask('POST', 'auth/kubernetes/config', {
    kubernetes_host: `http://127.0.0.1:${port}`,
    kubernetes_ca_cert: (await createAuthority()).pem,
    token_reviewer_jwt: jwt,
    disable_local_ca_jwt: true,
  })
  await server.ask('POST', 'auth/kubernetes/role/app', {
    bound_service_account_names: 'app',
    bound_service_account_namespaces: 'default',
    audience: 'coffer',
    ttl: '1h',
  })
  return JSON.stringify({ role: 'app', jwt })
}

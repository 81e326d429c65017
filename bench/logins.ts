import { cpus } from 'node:os'
import { openSigner } from '#auth/jwt/signer.lab.ts'
import { Running, say } from './running.ts'

// Logins, tokens, wrapping and lists under wrk, on loopback, with the audit file on:
//
//     sh bin/pinned bench/logins.ts [seconds of each run, default 10]
//
// wrk (Debian's package) runs beside the server on the same machine.

const seconds = Number(process.argv[2] ?? 10)
const connections = 32
const server = new Running()
const load = (name: string, script: string) => server.load(name, script, { seconds, connections })
const post = (path: string, body: object): string =>
  `wrk.method = "POST"\nwrk.path = "/v1/${path}"\nwrk.body = '${JSON.stringify(body)}'`

type Auth = { readonly auth: { readonly client_token: string } }
type Data = { readonly data: Readonly<Record<string, string>> }

async function prepareAppRole(): Promise<object> {
  await server.ask('POST', 'sys/auth/approle', { type: 'approle' })
  await server.ask('POST', 'auth/approle/role/ci', { token_policies: 'default', token_ttl: '10m' })
  const role = (await server.ask('GET', 'auth/approle/role/ci/role-id')) as Data
  const secret = (await server.ask('POST', 'auth/approle/role/ci/secret-id')) as Data
  return { role_id: role.data['role_id'], secret_id: secret.data['secret_id'] }
}

async function prepareJwt(): Promise<object> {
  const signer = openSigner('one', 'ec')
  await server.ask('POST', 'sys/auth/jwt', { type: 'jwt' })
  await server.ask('POST', 'auth/jwt/config', { jwt_validation_pubkeys: [signer.publicPem] })
  const role = { role_type: 'jwt', bound_audiences: 'coffer', user_claim: 'sub', token_ttl: '10m' }
  await server.ask('POST', 'auth/jwt/role/ci', role)
  const now = Math.trunc(Date.now() / 1000)
  return { role: 'ci', jwt: signer.sign({ iat: now, exp: now + 3_600, aud: 'coffer', sub: 'job' }) }
}

try {
  say(`${cpus().length} CPUs, ${cpus()[0]?.model ?? ''}; ${connections} connections, ${seconds} s each`)
  await server.start()
  await server.init()
  await server.ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } })
  await server.ask('POST', 'secret/data/hot', { data: { username: 'app', password: 's3cr3t' } })
  for (let n = 0; n < 200; n++) await server.ask('POST', `secret/data/list/name-${n}`, { data: { n } })
  await load('kv list of 200', 'wrk.path = "/v1/secret/metadata/list?list=true"')
  await load('kv read, wrapped', 'wrk.path = "/v1/secret/data/hot"\nwrk.headers["X-Vault-Wrap-TTL"] = "60"')
  await load('approle login', post('auth/approle/login', await prepareAppRole()))
  await load('jwt login, ES256, pinned key', post('auth/jwt/login', await prepareJwt()))
  await load('token create', post('auth/token/create', { policies: ['default'], ttl: '10m' }))
  const rules = 'path "secret/*" { capabilities = ["read"] }'
  await server.ask('POST', 'sys/policies/acl/read', { policy: rules })
  for (const type of ['service', 'batch', 'service', 'batch']) {
    const made = (await server.ask('POST', 'auth/token/create', { type, policies: ['read'], ttl: '1h' })) as Auth
    const token = made.auth.client_token
    await load(
      `kv read with a ${type} token`,
      `wrk.path = "/v1/secret/data/hot"\nwrk.headers["X-Vault-Token"] = "${token}"`,
    )
  }
} finally {
  await server.end()
}

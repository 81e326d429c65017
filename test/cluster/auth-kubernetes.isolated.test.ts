import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { missing } from '../../tools/tier.ts'
import { type ControlPlane, startControlPlane } from './controlplane.ts'

// The kubernetes auth method against a real API server: which account may log in, and what each refusal says to whom.

const root = join(import.meta.dirname, '../..')
const skip = missing('go')
let cluster: ControlPlane
let server: ChildProcess
let address = ''
let namespace = ''
let uid = ''

type Answer = {
  status: number
  body: { errors?: string[]; data?: Record<string, unknown>; auth?: Record<string, unknown>; warnings?: string[] }
  id: string
}

async function ask(method: string, path: string, body?: unknown, token = 'root'): Promise<Answer> {
  const response = await fetch(`${address}/v1/${path}`, {
    method,
    headers: { ...(token !== '' && { 'X-Vault-Token': token }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    body: text === '' ? {} : (JSON.parse(text) as Answer['body']),
    id: response.headers.get('x-coffer-request-id') ?? '',
  }
}

const login = (role: string, jwt: string): Promise<Answer> => ask('POST', 'auth/kubernetes/login', { role, jwt }, '')

async function reasonOf(refused: Answer): Promise<string> {
  const { body } = await ask('POST', 'sys/policies/explain', { request_id: refused.id })
  return String(body.data?.['reason'])
}

async function startServer(): Promise<void> {
  server = spawn(
    join(root, 'bin/coffer'),
    ['server', '-dev', '-dev-root-token-id=root', '-dev-no-store-token', '-dev-listen-address=127.0.0.1:0'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let said = ''
  for await (const chunk of server.stdout!) {
    said += String(chunk)
    address = /Api Address: (\S+)/.exec(said)?.[1] ?? ''
    if (said.includes('server started')) break
  }
}

async function configure(config: Record<string, unknown>): Promise<void> {
  const written = await ask('POST', 'auth/kubernetes/config', {
    kubernetes_host: cluster.url,
    kubernetes_ca_cert: cluster.caPem,
    disable_local_ca_jwt: true,
    ...config,
  })
  assert.equal(written.status, 204, JSON.stringify(written.body))
}

const bindReviewer = (subject: string): Promise<unknown> =>
  cluster.kubectl(['apply', '-f', '-'], {
    input: JSON.stringify({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: `reviewer-${namespace}-${subject}` },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:auth-delegator' },
      subjects: [{ kind: 'ServiceAccount', name: subject, namespace }],
    }),
  })

before(async () => {
  if (skip !== false) return
  cluster = await startControlPlane()
  await startServer()
  namespace = await cluster.newNamespace('auth')
  uid = await cluster.newServiceAccount(namespace, 'app')
  await cluster.newServiceAccount(namespace, 'reviewer')
  await bindReviewer('reviewer')
  const enabled = await ask('POST', 'sys/auth/kubernetes', { type: 'kubernetes' })
  assert.equal(enabled.status, 204, JSON.stringify(enabled.body))
  await configure({ token_reviewer_jwt: await cluster.requestToken({ namespace, serviceAccount: 'reviewer' }) })
  await ask('POST', 'auth/kubernetes/role/app', {
    bound_service_account_names: 'app',
    bound_service_account_namespaces: namespace,
    token_policies: 'app',
    token_ttl: '1h',
  })
})

after(async () => {
  server?.kill('SIGKILL')
  await cluster?.[Symbol.asyncDispose]()
})

const appToken = (audiences?: readonly string[]): Promise<string> =>
  cluster.requestToken({ namespace, serviceAccount: 'app', ...(audiences && { audiences }) })

test('a bound account logs in and gets what its role says', { skip }, async () => {
  const { status, body } = await login('app', await appToken())
  assert.equal(status, 200, JSON.stringify(body))
  const auth = body.auth!
  assert.deepEqual(auth['policies'], ['app', 'default'])
  assert.equal(auth['lease_duration'], 3600)
  assert.deepEqual(auth['metadata'], {
    role: 'app',
    service_account_name: 'app',
    service_account_namespace: namespace,
    service_account_secret_name: '',
    service_account_uid: uid,
  })
  const self = await ask('GET', 'auth/token/lookup-self', undefined, String(auth['client_token']))
  assert.equal(self.body.data?.['display_name'], `kubernetes-${namespace}-app`)
  assert.equal(self.body.data?.['path'], 'auth/kubernetes/login')
  const again = await login('APP', await appToken())
  assert.equal(again.body.auth?.['entity_id'], auth['entity_id'])
})

test('the token is renewed as the role says now, and not once the role is gone', { skip }, async () => {
  await ask('POST', 'auth/kubernetes/role/short', {
    bound_service_account_names: 'app',
    bound_service_account_namespaces: namespace,
    token_ttl: '1h',
    token_max_ttl: '4h',
  })
  const token = String((await login('short', await appToken())).body.auth?.['client_token'])
  await ask('POST', 'auth/kubernetes/role/short', {
    bound_service_account_names: 'app',
    bound_service_account_namespaces: namespace,
    token_ttl: '2h',
  })
  assert.equal((await ask('POST', 'auth/token/renew-self', {}, token)).body.auth?.['lease_duration'], 7200)
  await ask('DELETE', 'auth/kubernetes/role/short')
  const refused = await ask('POST', 'auth/token/renew-self', {}, token)
  assert.equal(refused.status, 500)
  assert.match(refused.body.errors!.join(), /role short does not exist during renewal/)
})

for (const [rule, role, ask_, status, error, reason] of [
  ['a role that is not there', 'nope', () => appToken(), 400, 'invalid role name "nope"', null],
  [
    'another account',
    'app',
    () => cluster.requestToken({ namespace, serviceAccount: 'default' }),
    403,
    'service account name not authorized',
    /account "default" is none of app/,
  ],
  ['another namespace', 'elsewhere', () => appToken(), 403, 'namespace not authorized', /is none of elsewhere/],
  [
    'a token for another audience',
    'aud',
    () => appToken(),
    403,
    'invalid audience (aud) claim: audience claim does not match any expected audience',
    /wants audience "vault"/,
  ],
  ['no jwt', 'app', async () => '', 400, 'missing jwt', null],
  ['a jwt that is none', 'app', async () => 'a.b', 500, 'the token is no JWT: it has not three parts', null],
  [
    'an account with another UID',
    'uid',
    () => appToken(),
    403,
    'service account name not authorized',
    /UID .* is not bound/,
  ],
] as const) {
  test(`refused: ${rule}`, { skip }, async () => {
    await ask('POST', 'auth/kubernetes/role/elsewhere', {
      bound_service_account_names: 'app',
      bound_service_account_namespaces: 'elsewhere',
    })
    await ask('POST', 'auth/kubernetes/role/aud', {
      bound_service_account_names: 'app',
      bound_service_account_namespaces: namespace,
      audience: 'vault',
    })
    await ask('POST', 'auth/kubernetes/role/uid', {
      bound_service_account_names: 'app',
      bound_service_account_namespaces: namespace,
      bound_service_account_uids: 'another',
    })
    const refused = await login(role, await ask_())
    assert.deepEqual([refused.status, refused.body.errors], [status, [error]])
    if (reason !== null) assert.match(await reasonOf(refused), reason)
  })
}

test('a token made for the audience of the role logs in', { skip }, async () => {
  await ask('POST', 'auth/kubernetes/role/aud', {
    bound_service_account_names: 'app',
    bound_service_account_namespaces: namespace,
    audience: 'vault',
  })
  const { status, body } = await login('aud', await appToken(['vault']))
  assert.equal(status, 200, JSON.stringify(body))
})

test('an expired token is refused, and the reason says so', { skip }, async () => {
  const now = Math.floor(Date.now() / 1000)
  const jwt = cluster.signToken({
    namespace,
    serviceAccount: 'app',
    uid,
    issuedAt: now - 400,
    lifetimeSeconds: 220,
  })
  const refused = await login('app', jwt)
  assert.deepEqual([refused.status, refused.body.errors], [403, ['permission denied']])
  assert.match(await reasonOf(refused), /expired/)
})

test('a deleted account is refused, and one made anew is another where the UID is bound', { skip }, async () => {
  const first = await cluster.newServiceAccount(namespace, 'gone')
  const jwt = await cluster.requestToken({ namespace, serviceAccount: 'gone' })
  const role = { bound_service_account_names: 'gone', bound_service_account_namespaces: namespace }
  await ask('POST', 'auth/kubernetes/role/gone', { ...role, bound_service_account_uids: first })
  await cluster.kubectl(['delete', 'serviceaccount', 'gone'], { namespace })
  const deleted = await login('gone', jwt)
  assert.deepEqual([deleted.status, deleted.body.errors], [403, ['permission denied']])
  assert.match(await reasonOf(deleted), /not found|deleted/)
  await cluster.newServiceAccount(namespace, 'gone')
  const remade = await login('gone', await cluster.requestToken({ namespace, serviceAccount: 'gone' }))
  assert.deepEqual([remade.status, remade.body.errors], [403, ['service account name not authorized']])
})

test('a reviewer without the right is told apart from a bad token, but not to the client', { skip }, async () => {
  await cluster.newServiceAccount(namespace, 'powerless')
  await configure({ token_reviewer_jwt: await cluster.requestToken({ namespace, serviceAccount: 'powerless' }) })
  const refused = await login('app', await appToken())
  assert.deepEqual([refused.status, refused.body.errors], [403, ['permission denied']])
  assert.match(await reasonOf(refused), /system:auth-delegator/)
})

test("the client's own token reviews itself when there is no reviewer", { skip }, async () => {
  await configure({})
  const before = await login('app', await appToken())
  assert.equal(before.status, 403)
  await bindReviewer('app')
  await cluster.until(`/api/v1/namespaces/${namespace}/serviceaccounts/app`, () => true)
  const { status, body } = await login('app', await appToken())
  assert.equal(status, 200, JSON.stringify(body))
})

test('the configuration never shows the reviewer token', { skip }, async () => {
  await configure({ token_reviewer_jwt: 'canary-reviewer' })
  const { body } = await ask('GET', 'auth/kubernetes/config')
  assert.equal(body.data?.['token_reviewer_jwt_set'], true)
  assert.ok(!JSON.stringify(body).includes('canary'))
})

test('a stopped API server refuses logins with a reason that names it', { skip }, async () => {
  await configure({ token_reviewer_jwt: await cluster.requestToken({ namespace, serviceAccount: 'reviewer' }) })
  const jwt = await appToken()
  await cluster.stopApiServer()
  const refused = await login('app', jwt)
  assert.deepEqual([refused.status, refused.body.errors], [403, ['permission denied']])
  assert.match(await reasonOf(refused), /can not be reached/)
  await cluster.startApiServer()
  assert.equal((await login('app', await appToken())).status, 200)
})

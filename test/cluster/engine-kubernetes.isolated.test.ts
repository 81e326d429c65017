import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse as parseYaml } from 'yaml'
import { missing } from '../../tools/tier.ts'
import { type ControlPlane, startControlPlane } from './controlplane.ts'

// The kubernetes secrets engine on a real API server, with the rights that the guide asks for and no more:
// what each form's token may do, what is made for it, and that nothing is left of it.

const root = join(import.meta.dirname, '../..')
const skip = missing('go')
let cluster: ControlPlane
let server: ChildProcess
let address = ''
let namespace = ''
let elsewhere = ''

type Answer = {
  status: number
  body: { errors?: string[]; warnings?: string[] | null; data?: Record<string, string>; auth?: Record<string, string> }
}

async function ask(method: string, path: string, body?: unknown, token = 'root'): Promise<Answer> {
  const response = await fetch(`${address}/v1/${path}`, {
    method,
    headers: { 'X-Vault-Token': token },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) }
}

async function written(path: string, body: unknown): Promise<void> {
  const answer = await ask('POST', path, body)
  assert.equal(answer.status, 204, JSON.stringify(answer.body))
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

const rbac = 'rbac.authorization.k8s.io'

type Rule = { apiGroups: string[]; resources: string[]; verbs: string[] }

/** The rights that the guide asks for. */
function guideRules(): readonly Rule[] {
  const guide = readFileSync(join(root, 'docs/guides/kubernetes-credentials.md'), 'utf8')
  const [, block = ''] = /```yaml\n(.+?)```/s.exec(guide) ?? []
  return (parseYaml(block) as { rules: Rule[] }).rules
}

/** An account that may do what the rules say, and a mount whose engine asks as it. */
async function mountAs(name: string, rules: readonly object[]): Promise<void> {
  await cluster.newServiceAccount(namespace, name)
  const objects = [
    { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: { name: `${namespace}-${name}` }, rules },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: `${namespace}-${name}` },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: `${namespace}-${name}` },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    },
  ]
  await cluster.kubectl(['apply', '-f', '-'], { input: objects.map(one => JSON.stringify(one)).join('\n---\n') })
  await written(`sys/mounts/${name}`, { type: 'kubernetes' })
  await written(`${name}/config`, {
    kubernetes_host: cluster.url,
    kubernetes_ca_cert: cluster.caPem,
    service_account_jwt: await cluster.requestToken({ namespace, serviceAccount: name }),
    disable_local_ca_jwt: true,
  })
}

before(async () => {
  if (skip !== false) return
  cluster = await startControlPlane()
  await startServer()
  namespace = await cluster.newNamespace('creds')
  elsewhere = await cluster.newNamespace('other')
  await cluster.newServiceAccount(namespace, 'web')
  await cluster.kubectl(['create', 'role', 'lister', '--verb=list', '--resource=pods'], { namespace })
  await mountAs('kubernetes', guideRules())
})

after(async () => {
  server?.kill('SIGKILL')
  await cluster?.[Symbol.asyncDispose]()
})

/** One call with a token, to the API server. */
function asBearer(
  token: string,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      cluster.url + path,
      { method, ca: cluster.caPem, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } },
      response => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', chunk => (text += String(chunk)))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      },
    )
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

const podsOf = (place: string): string => `/api/v1/namespaces/${place}/pods`

/** The API server learns of roles by a watch of its own, and trusts a token for ten seconds: nothing tells when. */
async function answersWith(token: string, path: string, statuses: readonly number[]): Promise<void> {
  let last = 0
  for (let i = 0; i < 400; i++) {
    last = (await asBearer(token, 'GET', path)).status
    if (statuses.includes(last)) return
    await sleep(50)
  }
  assert.fail(`GET ${path} went on to answer ${last} instead of ${statuses.join(' or ')}`)
}

async function whoIs(token: string): Promise<string> {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
  const { status, text } = await asBearer(token, 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', review)
  assert.equal(status, 201, text)
  return (JSON.parse(text) as { status: { userInfo: { username: string } } }).status.userInfo.username
}

type Creds = { token: string; account: string; body: Answer['body']; end: () => Promise<void> }

/** Credentials of a role, owned by a token of their own that `end` revokes. */
async function creds(role: string, body: object = {}): Promise<Creds> {
  const owner = (await ask('POST', 'auth/token/create', { policies: ['root'], ttl: '1h' })).body.auth!['client_token']!
  const answer = await ask('POST', `kubernetes/creds/${role}`, body, owner)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return {
    token: answer.body.data!['service_account_token']!,
    account: answer.body.data!['service_account_name']!,
    body: answer.body,
    end: () => written('auth/token/revoke', { token: owner }),
  }
}

const role = (name: string, body: object): Promise<void> =>
  written(`kubernetes/roles/${name}`, { allowed_kubernetes_namespaces: namespace, token_default_ttl: '20m', ...body })

/** What the engine made and is still there, of all kinds: `Role name`. */
async function leftovers(): Promise<readonly string[]> {
  const kinds = 'roles,rolebindings,clusterroles,clusterrolebindings,serviceaccounts'
  const label = 'app.kubernetes.io/created-by=vault-plugin-secrets-kubernetes'
  const { stdout } = await cluster.kubectl(['get', kinds, '--all-namespaces', '-l', label, '-o', 'json'])
  const { items } = JSON.parse(stdout) as { items: { kind: string; metadata: { name: string } }[] }
  return items.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()
}

const placeOf = (kind: string, name: string): string => {
  const plural = `${kind.toLowerCase()}s`
  if (kind === 'ServiceAccount') return `/api/v1/namespaces/${namespace}/${plural}/${name}`
  const where = kind.startsWith('Cluster') ? '' : `/namespaces/${namespace}`
  return `/apis/${rbac}/v1${where}/${plural}/${name}`
}

test('a token of an account that is there is that account, for as long as was asked', { skip }, async () => {
  await role('web', { service_account_name: 'web' })
  const { token, account, body, end } = await creds('web', { ttl: '15m' })
  assert.deepEqual([account, body.warnings ?? null], ['web', null])
  assert.equal(await whoIs(token), `system:serviceaccount:${namespace}:web`)
  const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { exp: number; iat: number }
  assert.equal(claims.exp - claims.iat, 900)
  await end()
  assert.deepEqual(await leftovers(), [])
})

test('a token for other audiences is good for them and not for the API server', { skip }, async () => {
  await role('aud', { service_account_name: 'web', token_default_audiences: 'vault' })
  const { token } = await creds('aud')
  assert.equal((await asBearer(token, 'GET', podsOf(namespace))).status, 401)
  const review = await cluster.call<{ status: { authenticated: boolean } }>(
    'POST',
    '/apis/authentication.k8s.io/v1/tokenreviews',
    { spec: { token, audiences: ['vault'] } },
  )
  assert.equal(review.status.authenticated, true)
})

const listPods = 'rules: [{apiGroups: [""], resources: [pods], verbs: [list]}]'

for (const [form, body, wanted, kinds, isWide] of [
  ['a role that is there', { kubernetes_role_name: 'lister' }, {}, ['RoleBinding', 'ServiceAccount'], false],
  [
    'a cluster role that is there, cluster-wide',
    { kubernetes_role_name: 'view', kubernetes_role_type: 'ClusterRole' },
    { cluster_role_binding: true },
    ['ClusterRoleBinding', 'ServiceAccount'],
    true,
  ],
  ['rules of its own', { generated_role_rules: listPods }, {}, ['Role', 'RoleBinding', 'ServiceAccount'], false],
  [
    'cluster rules of its own, in one namespace',
    { generated_role_rules: listPods, kubernetes_role_type: 'ClusterRole' },
    {},
    ['ClusterRole', 'RoleBinding', 'ServiceAccount'],
    false,
  ],
  [
    'cluster rules of its own, cluster-wide',
    { generated_role_rules: listPods, kubernetes_role_type: 'ClusterRole' },
    { cluster_role_binding: true },
    ['ClusterRole', 'ClusterRoleBinding', 'ServiceAccount'],
    true,
  ],
] as const) {
  test(`${form}: the token may what it says, and all is gone when it ends`, { skip }, async () => {
    await role('form', body)
    const { token, account, end } = await creds('form', wanted)
    assert.equal(await whoIs(token), `system:serviceaccount:${namespace}:${account}`)
    assert.deepEqual(await leftovers(), [...kinds].map(kind => `${kind} ${account}`).sort())
    await answersWith(token, podsOf(namespace), [200])
    await answersWith(token, podsOf(elsewhere), [isWide ? 200 : 403])
    assert.equal((await asBearer(token, 'GET', `/api/v1/namespaces/${namespace}/secrets`)).status, 403)
    await end()
    for (const kind of kinds) await cluster.untilGone(placeOf(kind, account))
    assert.deepEqual(await leftovers(), [])
    await answersWith(token, podsOf(namespace), [401, 403])
    assert.equal((await ask('DELETE', 'kubernetes/roles/form')).status, 204)
  })
}

test('an owner that somebody deletes takes the others with it, and the lease still ends', { skip }, async () => {
  await role('owned', { generated_role_rules: listPods })
  const { account, end } = await creds('owned')
  await cluster.kubectl(['delete', 'role', account], { namespace })
  for (const kind of ['RoleBinding', 'ServiceAccount']) await cluster.untilGone(placeOf(kind, account))
  await end()
  assert.deepEqual(await leftovers(), [])
})

test('extra labels and annotations are on all that is made', { skip }, async () => {
  await role('marked', {
    generated_role_rules: listPods,
    extra_labels: { team: 'a' },
    extra_annotations: { note: 'for a test' },
    name_template: 'mine-{{ random 10 | lowercase }}',
  })
  const { account, end } = await creds('marked')
  assert.match(account, /^mine-[0-9a-z]{10}$/)
  for (const kind of ['Role', 'RoleBinding', 'ServiceAccount']) {
    type Marked = { metadata: { labels: Record<string, string>; annotations: Record<string, string> } }
    const { metadata } = await cluster.call<Marked>('GET', placeOf(kind, account))
    assert.equal(metadata.labels['team'], 'a')
    assert.equal(metadata.labels['app.kubernetes.io/managed-by'], 'HashiCorp-Vault')
    assert.equal(metadata.annotations['note'], 'for a test')
  }
  await end()
  await cluster.untilGone(placeOf('ServiceAccount', account))
  assert.deepEqual(await leftovers(), [])
})

test('a namespace that the selector takes is allowed, another is not', { skip }, async () => {
  await cluster.kubectl(['label', 'namespace', namespace, 'creds=yes'])
  await role('selected', {
    service_account_name: 'web',
    allowed_kubernetes_namespaces: '',
    allowed_kubernetes_namespace_selector: 'matchExpressions: [{key: creds, operator: In, values: ["yes"]}]',
  })
  await creds('selected', { kubernetes_namespace: namespace })
  const refused = await ask('POST', 'kubernetes/creds/selected', { kubernetes_namespace: elsewhere })
  assert.equal(refused.status, 400)
  assert.match(refused.body.errors!.join(), new RegExp(`kubernetes_namespace '${elsewhere}' is not present`))
  const absent = await ask('POST', 'kubernetes/creds/selected', { kubernetes_namespace: 'nowhere' })
  assert.equal(absent.status, 500)
  assert.match(absent.body.errors!.join(), /error verifying namespace: namespaces "nowhere" not found/)
})

test('a life below the least of the API server is refused in its words, and nothing is left', { skip }, async () => {
  await role('short', { generated_role_rules: listPods, token_default_ttl: '5m' })
  const refused = await ask('POST', 'kubernetes/creds/short', {})
  assert.equal(refused.status, 500)
  assert.match(refused.body.errors!.join(), /failed to create a service account token for .*10 minutes/)
  assert.deepEqual(await leftovers(), [])
})

for (const [rule, without, error] of [
  ['the binding', 'rolebindings', /failed to create RoleBinding\/ClusterRoleBinding .*rolebindings.* is forbidden/s],
  ['the account', 'serviceaccounts', /failed to create service account .*serviceaccounts.* is forbidden/s],
  ['the token', 'serviceaccounts/token', /failed to create a service account token .* is forbidden/s],
] as const) {
  test(`no right to make ${rule}: the answer says so, and nothing is left of what was made`, { skip }, async () => {
    const mount = `without-${without.replace('/', '-')}`
    const rules = guideRules().map(one => ({ ...one, resources: one.resources.filter(name => name !== without) }))
    await mountAs(mount, rules)
    await written(`${mount}/roles/app`, { allowed_kubernetes_namespaces: namespace, generated_role_rules: listPods })
    const refused = await ask('POST', `${mount}/creds/app`, { ttl: '20m' })
    assert.equal(refused.status, 500)
    assert.match(refused.body.errors!.join(), error)
    assert.deepEqual(await leftovers(), [])
    assert.equal((await ask('DELETE', `sys/mounts/${mount}`)).status, 204)
  })
}

test('a mount that is disabled takes all with it', { skip }, async () => {
  await mountAs('passing', guideRules())
  await written('passing/roles/app', { allowed_kubernetes_namespaces: namespace, generated_role_rules: listPods })
  const answer = await ask('POST', 'passing/creds/app', { ttl: '20m' })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  assert.equal((await leftovers()).length, 3)
  assert.equal((await ask('DELETE', 'sys/mounts/passing')).status, 204)
  assert.deepEqual(await leftovers(), [])
})

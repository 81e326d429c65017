import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { kubernetesSecrets } from './engine.ts'
import { ScriptedCluster } from './scripted-cluster.ts'

type House = {
  readonly server: TestServer
  readonly cluster: ScriptedCluster
  /** Writes the role `app` anew. */
  role(body: object): Promise<void>
  creds(body?: object, token?: string): Promise<TestAnswer>
} & AsyncDisposable

/** A server with the engine set up, and the role `app` in its simplest form. */
async function open(role: object = { service_account_name: 'web' }): Promise<House> {
  const cluster = new ScriptedCluster()
  const server = await openTestMount(kubernetesSecrets({ env: {}, transport: cluster.transport }))
  cluster.use(server.world.clock)
  const write = async (path: string, body: object): Promise<void> => {
    const { status, errors } = await server.ask('POST', `kubernetes/${path}`, { body: { ...body } })
    assert.equal(status, 204, errors.join())
  }
  const config = { kubernetes_host: 'https://api.test:6443', service_account_jwt: 'jwt', disable_local_ca_jwt: true }
  await write('config', config)
  const house: House = {
    server,
    cluster,
    async role(body) {
      await server.ask('DELETE', 'kubernetes/roles/app')
      await write('roles/app', { allowed_kubernetes_namespaces: 'shop', ...body })
    },
    creds: (body = {}, token) =>
      server.ask('POST', 'kubernetes/creds/app', { body: { ...body }, ...(token !== undefined && { token }) }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
  await house.role(role)
  return house
}

type Lease = {
  lease_id: string
  lease_duration: number
  renewable: boolean
  warnings: string[] | null
  data: { service_account_name: string; service_account_namespace: string; service_account_token: string }
}

function leaseOf(answer: TestAnswer): Lease {
  assert.equal(answer.status, 200, answer.errors.join())
  return answer.body as Lease
}

const { signal } = new AbortController()
const revoke = (server: TestServer, lease: string) => server.house.leases.revoke(lease, signal)

const wrapped = (text: string): string => `1 error occurred:\n\t* ${text}\n\n`
const rules = 'rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]'
const generated = { generated_role_rules: rules }
const clusterWide = { ...generated, kubernetes_role_type: 'ClusterRole' }
const bound = { kubernetes_role_name: 'viewer' }
const named = { ...generated, name_template: 'fixed' }

test('kubernetes creds: a token of an account that is there, and nothing made', async () => {
  await using house = await open()
  const lease = leaseOf(await house.creds({ kubernetes_namespace: 'shop', ttl: '1h' }))
  assert.match(lease.lease_id, /^kubernetes\/creds\/app\/[0-9A-Za-z]{24}$/)
  assert.deepEqual([lease.lease_duration, lease.renewable, lease.warnings], [3600, false, null])
  const { service_account_token: token, ...data } = lease.data
  assert.deepEqual(data, { service_account_name: 'web', service_account_namespace: 'shop' })
  assert.equal(token.split('.').length, 3)
  assert.deepEqual(house.cluster.asked[0]!.path, '/api/v1/namespaces/shop/serviceaccounts/web/token')
  assert.deepEqual((house.cluster.asked[0]!.body as { spec: Json }).spec, { expirationSeconds: 3600 })
  await revoke(house.server, lease.lease_id)
  assert.deepEqual(house.cluster.steps, ['POST token'])
})

for (const [rule, role, ask, made, removed] of [
  [
    'a role that is there',
    bound,
    {},
    ['RoleBinding shop/NAME', 'ServiceAccount shop/NAME'],
    ['DELETE rolebindings', 'DELETE serviceaccounts'],
  ],
  [
    'a cluster role that is there, in one namespace',
    { ...bound, kubernetes_role_type: 'ClusterRole' },
    {},
    ['RoleBinding shop/NAME', 'ServiceAccount shop/NAME'],
    ['DELETE rolebindings', 'DELETE serviceaccounts'],
  ],
  [
    'a cluster role that is there, cluster-wide',
    { ...bound, kubernetes_role_type: 'ClusterRole' },
    { cluster_role_binding: true },
    ['ClusterRoleBinding NAME', 'ServiceAccount shop/NAME'],
    ['DELETE clusterrolebindings', 'DELETE serviceaccounts'],
  ],
  [
    'rules of its own',
    generated,
    {},
    ['Role shop/NAME', 'RoleBinding shop/NAME', 'ServiceAccount shop/NAME'],
    ['DELETE roles', 'DELETE rolebindings', 'DELETE serviceaccounts'],
  ],
  [
    'cluster rules of its own, in one namespace',
    clusterWide,
    {},
    ['ClusterRole NAME', 'RoleBinding shop/NAME', 'ServiceAccount shop/NAME'],
    ['DELETE clusterroles', 'DELETE rolebindings', 'DELETE serviceaccounts'],
  ],
  [
    'cluster rules of its own, cluster-wide',
    clusterWide,
    { cluster_role_binding: true },
    ['ClusterRole NAME', 'ClusterRoleBinding NAME', 'ServiceAccount shop/NAME'],
    ['DELETE clusterroles', 'DELETE clusterrolebindings', 'DELETE serviceaccounts'],
  ],
] as const) {
  test(`kubernetes creds: ${rule}: what is made, and deleted owner first when the lease ends`, async () => {
    await using house = await open(role)
    const { server, cluster } = house
    const lease = leaseOf(await house.creds(ask))
    const name = lease.data.service_account_name
    assert.match(name, /^v-root-app-1767225600-[0-9a-z]{24}$/)
    assert.deepEqual(
      cluster.names,
      made.map(one => one.replace('NAME', name)),
    )
    const [owner, ...owned] = [...cluster.objects.values()]
    for (const { metadata } of owned) {
      assert.deepEqual(metadata?.ownerReferences, [
        { apiVersion: 'rbac.authorization.k8s.io/v1', kind: owner?.kind, name, uid: owner?.metadata?.uid },
      ])
    }
    cluster.asked.length = 0
    await server.world.clock.advance(lease.lease_duration * 1_000 + 1_000)
    assert.deepEqual([cluster.names, cluster.steps], [[], removed])
  })
}

test('kubernetes creds: the binding names role and account, and the rules are those of the role', async () => {
  await using house = await open(generated)
  const name = leaseOf(await house.creds()).data.service_account_name
  const [role, binding] = [...house.cluster.objects.values()] as Record<string, Json>[]
  assert.deepEqual(role?.['rules'], [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }])
  assert.deepEqual(binding?.['roleRef'], { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name })
  assert.deepEqual(binding?.['subjects'], [{ kind: 'ServiceAccount', name, namespace: 'shop' }])
})

test('kubernetes creds: labels and annotations of the role, and the standard ones over them', async () => {
  await using house = await open({
    ...generated,
    extra_labels: { team: 'a', 'app.kubernetes.io/managed-by': 'me' },
    extra_annotations: { note: 'b' },
  })
  leaseOf(await house.creds())
  for (const { metadata } of house.cluster.objects.values()) {
    assert.deepEqual(metadata?.labels, {
      team: 'a',
      'app.kubernetes.io/managed-by': 'HashiCorp-Vault',
      'app.kubernetes.io/created-by': 'vault-plugin-secrets-kubernetes',
    })
    const { 'coffer.dev/creation': mark, ...annotations } = metadata?.annotations ?? {}
    assert.deepEqual(annotations, { note: 'b' })
    assert.match(mark ?? '', /^[0-9A-Za-z]{20}$/)
  }
})

for (const [rule, template, want] of [
  ['the role and the display name', 'x-{{ .RoleName }}-{{ .DisplayName }}', /^x-app-root$/],
  ['chance', '{{ random 12 | lowercase }}', /^[0-9a-z]{12}$/],
] as const) {
  test(`kubernetes creds: a name template with ${rule}`, async () => {
    await using house = await open({ ...generated, name_template: template })
    assert.match(leaseOf(await house.creds()).data.service_account_name, want)
  })
}

test('kubernetes creds: characters that no account may have become dashes in the standard name', async () => {
  await using house = await open()
  const body = { allowed_kubernetes_namespaces: 'shop', ...bound }
  await house.server.ask('POST', 'kubernetes/roles/my_role', { body })
  const lease = leaseOf(await house.server.ask('POST', 'kubernetes/creds/my_role', { body: {} }))
  assert.match(lease.data.service_account_name, /^v-root-my-role-/)
})

for (const [rule, role, ask, want, warnings] of [
  ['asked for', {}, { ttl: '20m' }, 1200, []],
  ["the role's default", { token_default_ttl: '30m' }, {}, 1800, []],
  ["the mount's default", {}, {}, 2_764_800, []],
  [
    "more than the role's maximum",
    { token_max_ttl: '1h' },
    { ttl: '2h' },
    3600,
    ["ttl of 2h0m0s is greater than the role's token_max_ttl of 1h0m0s; capping accordingly"],
  ],
  [
    "more than the mount's maximum",
    {},
    { ttl: '1000h' },
    2_764_800,
    ["ttl of 1000h0m0s is greater than Vault's max lease ttl 768h0m0s; capping accordingly"],
  ],
] as const) {
  test(`kubernetes creds: the life of the token: ${rule}`, async () => {
    await using house = await open({ service_account_name: 'web', ...role })
    const lease = leaseOf(await house.creds(ask))
    assert.deepEqual([lease.lease_duration, lease.warnings ?? []], [want, warnings])
    const { spec } = house.cluster.asked[0]!.body as { spec: { expirationSeconds: number } }
    assert.equal(spec.expirationSeconds, want)
  })
}

for (const [rule, tokenSeconds, want, warning] of [
  [
    'ends earlier: the lease follows',
    600,
    600,
    'the created Kubernetes service accout token TTL 10m0s is less than the Vault lease TTL 1h0m0s; capping the lease TTL accordingly',
  ],
  [
    'ends later: the lease does not',
    7200,
    3600,
    'the created Kubernetes service accout token TTL 2h0m0s is greater than the Vault lease TTL 1h0m0s',
  ],
] as const) {
  test(`kubernetes creds: a token that ${rule}`, async () => {
    await using house = await open()
    house.cluster.tokenSeconds = tokenSeconds
    const lease = leaseOf(await house.creds({ ttl: '1h' }))
    assert.deepEqual([lease.lease_duration, lease.warnings], [want, [warning]])
  })
}

for (const [rule, role, ask, want] of [
  ['none: the cluster says', {}, {}, undefined],
  ["the role's", { token_default_audiences: 'b,a' }, {}, ['a', 'b']],
  ["the request's before the role's", { token_default_audiences: 'a' }, { audiences: ['x', 'y'] }, ['x', 'y']],
] as const) {
  test(`kubernetes creds: audiences: ${rule}`, async () => {
    await using house = await open({ service_account_name: 'web', ...role })
    leaseOf(await house.creds(ask))
    assert.deepEqual((house.cluster.asked[0]!.body as { spec: { audiences?: Json } }).spec.audiences, want)
  })
}

const notAllowed = (name: string): string =>
  `kubernetes_namespace '${name}' is not present in role's allowed_kubernetes_namespaces or does not match role's label selector allowed_kubernetes_namespace_selector`
const required = wrapped(
  "error verifying namespace: 'kubernetes_namespace' is required unless the Vault role has a single namespace specified",
)
const selector = '{"matchLabels":{"team":"a"}}'

for (const [rule, role, ask, status, error] of [
  ['the only one need not be named', {}, {}, 200, null],
  ['one of the list', { allowed_kubernetes_namespaces: 'a,b' }, { kubernetes_namespace: 'b' }, 200, null],
  ['none of the list', {}, { kubernetes_namespace: 'b' }, 400, notAllowed('b')],
  ['two in the list and none named', { allowed_kubernetes_namespaces: 'a,b' }, {}, 500, required],
  ['a star takes any', { allowed_kubernetes_namespaces: '*' }, { kubernetes_namespace: 'any' }, 200, null],
  ['a star, but none named', { allowed_kubernetes_namespaces: '*' }, {}, 500, required],
  [
    'a star does not take a path',
    { allowed_kubernetes_namespaces: '*' },
    { kubernetes_namespace: 'a/b' },
    400,
    notAllowed('a/b'),
  ],
  [
    'case counts in what is asked',
    { allowed_kubernetes_namespaces: 'Shop' },
    { kubernetes_namespace: 'Shop' },
    400,
    notAllowed('Shop'),
  ],
  ['a selector, but none named', { allowed_kubernetes_namespace_selector: selector }, {}, 500, required],
  [
    'the labels fit',
    { allowed_kubernetes_namespace_selector: selector },
    { kubernetes_namespace: 'team-a' },
    200,
    null,
  ],
  [
    'the labels do not fit',
    { allowed_kubernetes_namespace_selector: selector },
    { kubernetes_namespace: 'team-b' },
    400,
    notAllowed('team-b'),
  ],
  [
    'in the list though the labels do not fit',
    { allowed_kubernetes_namespace_selector: selector, allowed_kubernetes_namespaces: 'team-b' },
    { kubernetes_namespace: 'team-b' },
    200,
    null,
  ],
  [
    'a namespace that is not there',
    { allowed_kubernetes_namespace_selector: selector },
    { kubernetes_namespace: 'gone' },
    500,
    wrapped('error verifying namespace: namespaces "gone" not found'),
  ],
] as const) {
  test(`kubernetes creds: namespace: ${rule}`, async () => {
    await using house = await open({ service_account_name: 'web', ...role })
    house.cluster.labels = { 'team-a': { team: 'a' }, 'team-b': { team: 'b' } }
    const answer = await house.creds(ask)
    assert.deepEqual([answer.status, answer.errors], [status, error === null ? [] : [error]])
  })
}

test('kubernetes creds: an unknown role, a cluster-wide binding of a Role, and GET are refused', async () => {
  await using house = await open(bound)
  const { server } = house
  const unknown = await server.ask('POST', 'kubernetes/creds/nope', { body: {} })
  assert.deepEqual([unknown.status, unknown.errors], [400, ["role 'nope' does not exist"]])
  const wide = await house.creds({ cluster_role_binding: true })
  assert.deepEqual([wide.status, wide.errors], [400, ['a ClusterRoleBinding cannot ref a Role']])
  assert.equal((await server.ask('GET', 'kubernetes/creds/app')).status, 405)
  assert.deepEqual(house.cluster.asked, [])
})

for (const [rule, template, error] of [
  [
    'no name of an account',
    'A_{{ random 4 }}',
    /^1 error occurred:\n\t\* failed to generate name: "A_.{4}" is no name of a service account\n\n$/,
  ],
  [
    'a path',
    '../{{ .RoleName }}',
    /^1 error occurred:\n\t\* failed to generate name: "\.\.\/app" is no name of a service account\n\n$/,
  ],
  ['an unknown field', '{{ .Nope }}', /failed to generate name: unable to apply template: .*Nope/],
] as const) {
  test(`kubernetes creds: a template that gives ${rule} makes nothing`, async () => {
    await using house = await open({ ...generated, name_template: template })
    const answer = await house.creds()
    assert.equal(answer.status, 500)
    assert.match(answer.errors[0] ?? '', error)
    assert.deepEqual(house.cluster.asked, [])
  })
}

const forbidden = (what: string) =>
  ({ status: 403, body: { kind: 'Status', reason: 'Forbidden', message: `${what} is forbidden`, code: 403 } }) as const

for (const [rule, role, step, error] of [
  ['the role', named, 'POST roles', "failed to create Role/ClusterRole 'shop/fixed: x is forbidden"],
  [
    'the binding',
    named,
    'POST rolebindings',
    "failed to create RoleBinding/ClusterRoleBinding 'fixed' for fixed: x is forbidden",
  ],
  ['the account', named, 'POST serviceaccounts', "failed to create service account 'shop/fixed': x is forbidden"],
  ['the token', named, 'POST token', 'failed to create a service account token for shop/fixed: x is forbidden'],
  [
    'the binding of a role that is there',
    { ...bound, name_template: 'fixed' },
    'POST rolebindings',
    "failed to create RoleBinding/ClusterRoleBinding 'fixed' for viewer: x is forbidden",
  ],
] as const) {
  test(`kubernetes creds: ${rule} is refused: the answer says so, and what was made is gone`, async () => {
    await using house = await open(role)
    house.cluster.failures.set(step, forbidden('x'))
    const answer = await house.creds()
    assert.deepEqual([answer.status, answer.errors], [500, [wrapped(error)]])
    assert.deepEqual(house.cluster.names, [])
    // Nothing is left to be undone.
    house.cluster.asked.length = 0
    await house.server.world.clock.advance(400_000)
    assert.deepEqual(house.cluster.steps, [])
  })
}

test('kubernetes creds: a token that tells no times is refused, and what was made is gone', async () => {
  await using house = await open(named)
  house.cluster.token = 'opaque'
  const answer = await house.creds()
  const text = 'failed to read TTL of created Kubernetes token for shop/fixed: it has no exp and iat'
  assert.deepEqual([answer.status, answer.errors], [500, [wrapped(text)]])
  assert.deepEqual(house.cluster.names, [])
})

for (const [rule, role] of [
  ['a name with chance in it', generated],
  ['a name that could be another’s', named],
] as const) {
  test(`kubernetes creds: an answer that never came: what was made unseen is undone: ${rule}`, async () => {
    await using house = await open(role)
    const { cluster, server } = house
    cluster.failures.set('POST rolebindings', 'lost')
    assert.equal((await house.creds()).status, 500)
    assert.equal(cluster.names.length, 1, 'the binding, of which nobody knows')
    assert.match(cluster.names.join(), /^RoleBinding/)
    await server.world.clock.advance(200_000)
    assert.deepEqual(cluster.names, [])
  })

  test(`kubernetes creds: the server ended half way: a restart undoes it: ${rule}`, async () => {
    await using house = await open(role)
    const { cluster, server } = house
    cluster.before.set('POST serviceaccounts', () => {
      cluster.failures.set('DELETE roles', { status: 500, body: {} })
      cluster.failures.set('DELETE rolebindings', { status: 500, body: {} })
    })
    cluster.failures.set('POST serviceaccounts', forbidden('x'))
    assert.equal((await house.creds()).status, 500)
    assert.equal(cluster.names.length, 2)
    cluster.failures.clear()
    await server.restart()
    await server.world.clock.advance(1_000)
    assert.deepEqual(cluster.names, [])
  })
}

test('kubernetes creds: a name that is taken: the answer says so, and nothing of the other is touched', async () => {
  await using house = await open(named)
  const { cluster, server } = house
  leaseOf(await house.creds())
  const before = cluster.names
  const answer = await house.creds()
  assert.deepEqual(
    [answer.status, answer.errors],
    [500, [wrapped(`failed to create Role/ClusterRole 'shop/fixed: "fixed" already exists`)]],
  )
  await server.world.clock.advance(400_000)
  assert.deepEqual(cluster.names, before)
})

test('kubernetes creds: an intent of a name that is another’s by now touches nothing', async () => {
  await using house = await open(named)
  const { cluster, server } = house
  const { view } = server.house.mounts.at('kubernetes/')!
  const objects = [{ kind: 'ServiceAccount', namespace: 'shop', name: 'fixed' }]
  await view.intend('objects', { objects, mark: 'ours', isUnique: false })
  cluster.put('/api/v1/namespaces/shop/serviceaccounts/fixed', {
    kind: 'ServiceAccount',
    metadata: { namespace: 'shop', name: 'fixed', annotations: { 'coffer.dev/creation': 'theirs' } },
  })
  await server.restart()
  await server.world.clock.advance(1_000)
  assert.deepEqual([cluster.names, cluster.steps], [['ServiceAccount shop/fixed'], ['GET serviceaccounts']])
})

test('kubernetes creds: a revocation that fails in part deletes the rest, says what is left, and is tried again', async () => {
  await using house = await open(generated)
  const { cluster, server } = house
  const lease = leaseOf(await house.creds())
  const name = lease.data.service_account_name
  cluster.failures.set('DELETE rolebindings', forbidden('x'))
  const result = await revoke(server, lease.lease_id)
  assert.equal(result.kind === 'failed' && result.error, `failed to delete RoleBinding 'shop/${name}': x is forbidden`)
  assert.deepEqual(cluster.names, [`RoleBinding shop/${name}`])
  cluster.failures.clear()
  await server.world.clock.advance(60_000)
  assert.deepEqual(cluster.names, [])
})

test('kubernetes creds: objects that somebody deleted, or made anew, hold up no revocation', async () => {
  await using house = await open(generated)
  const { cluster, server } = house
  const lease = leaseOf(await house.creds())
  const [rolePath, bindingPath] = [...cluster.objects.keys()]
  cluster.objects.delete(bindingPath!)
  cluster.put(rolePath!, { kind: 'Role', metadata: { namespace: 'shop', name: 'anew' } })
  assert.equal((await revoke(server, lease.lease_id)).kind, 'revoked')
  assert.deepEqual(cluster.names, ['Role shop/anew'])
})

test('kubernetes creds: they end with the token that asked for them, and with the mount', async () => {
  await using house = await open(generated)
  const { cluster, server } = house
  const token = await server.tokenWith('path "kubernetes/creds/app" { capabilities = ["update"] }')
  leaseOf(await house.creds({}, token))
  await server.ask('POST', 'auth/token/revoke', { body: { token } })
  await server.world.clock.advance(1_000)
  assert.deepEqual(cluster.names, [])
  leaseOf(await house.creds())
  assert.equal((await server.ask('DELETE', 'sys/mounts/kubernetes')).status, 204)
  assert.deepEqual(cluster.names, [])
})

test('kubernetes creds: a lease can not be renewed', async () => {
  await using house = await open()
  const { lease_id } = leaseOf(await house.creds())
  const renewed = house.server.house.leases.renew(lease_id, seconds(60), signal)
  await assert.rejects(renewed, { code: 'request.invalid', message: 'lease is not renewable' })
})

test('kubernetes creds: an unreachable API server is told, and nothing else is', async () => {
  await using house = await open()
  house.cluster.failures.set('POST token', 'unreachable')
  const answer = await house.creds()
  assert.equal(answer.status, 500)
  assert.match(
    answer.errors[0]!,
    /service account token for shop\/web: cannot reach the Kubernetes API at https:\/\/api\.test:6443/,
  )
})

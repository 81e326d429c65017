import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { bound, generated, leaseOf, open, revoke, wrapped } from './house.lab.ts'

const clusterWide = { ...generated, kubernetes_role_type: 'ClusterRole' }

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

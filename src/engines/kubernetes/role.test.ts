import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { kubernetesSecrets } from './engine.ts'

const open = (): Promise<TestServer> => openTestMount(kubernetesSecrets, { services: { environment: {} } })
const write = (server: TestServer, body: object, name = 'app'): Promise<TestAnswer> =>
  server.ask('POST', `kubernetes/roles/${name}`, { body: { ...body } })
const read = async (server: TestServer, name = 'app') =>
  (await server.ask('GET', `kubernetes/roles/${name}`)).data as Record<string, Json>

const account = { service_account_name: 'app' }
const shop = { allowed_kubernetes_namespaces: 'shop' }
const rules = '{"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["list"]}]}'

const shown = {
  name: 'app',
  allowed_kubernetes_namespaces: ['shop'],
  allowed_kubernetes_namespace_selector: '',
  token_max_ttl: 0,
  token_default_ttl: 0,
  token_default_audiences: null,
  service_account_name: 'app',
  kubernetes_role_name: '',
  kubernetes_role_type: 'Role',
  generated_role_rules: '',
  name_template: '',
  extra_labels: null,
  extra_annotations: null,
}

for (const [rule, body, want] of [
  ['what is not said has its default', {}, {}],
  [
    'namespaces are lower-cased, sorted and without doubles',
    { allowed_kubernetes_namespaces: 'B, a,b,' },
    { allowed_kubernetes_namespaces: ['a', 'b'] },
  ],
  [
    'durations of any form',
    { token_max_ttl: '2h', token_default_ttl: '90' },
    { token_max_ttl: 7200, token_default_ttl: 90 },
  ],
  ['audiences', { token_default_audiences: ['b', 'a', 'b'] }, { token_default_audiences: ['a', 'b'] }],
  [
    'the type is known in any case',
    { service_account_name: '', kubernetes_role_name: 'system:x', kubernetes_role_type: 'clusterrole' },
    { service_account_name: '', kubernetes_role_name: 'system:x', kubernetes_role_type: 'ClusterRole' },
  ],
  ['an empty type is Role', { kubernetes_role_type: '' }, {}],
  [
    'labels and annotations in both forms',
    { extra_labels: { a: 'b' }, extra_annotations: ['c=d'] },
    { extra_labels: { a: 'b' }, extra_annotations: { c: 'd' } },
  ],
  [
    'rules and selector stay as they were written',
    {
      service_account_name: '',
      generated_role_rules: rules,
      allowed_kubernetes_namespace_selector: '{"matchLabels":{}}',
    },
    {
      service_account_name: '',
      generated_role_rules: rules,
      allowed_kubernetes_namespace_selector: '{"matchLabels":{}}',
    },
  ],
  ['a template', { name_template: 'x-{{ random 8 }}' }, { name_template: 'x-{{ random 8 }}' }],
] as const) {
  test(`kubernetes secrets role: ${rule}`, async () => {
    await using server = await open()
    const answer = await write(server, { ...shop, ...account, ...body })
    assert.equal(answer.status, 204, answer.errors.join())
    assert.deepEqual(await read(server), { ...shown, ...want })
  })
}

test('kubernetes secrets role: what is not sent stays, null is the default, and the name has no case', async () => {
  await using server = await open()
  await write(server, { ...shop, ...account, token_max_ttl: 60, token_default_audiences: 'a', extra_labels: 'a=b' })
  await server.restart()
  await write(server, { token_default_ttl: 30, token_default_audiences: null }, 'APP')
  assert.deepEqual(await read(server, 'App'), {
    ...shown,
    token_max_ttl: 60,
    token_default_ttl: 30,
    token_default_audiences: [],
    extra_labels: { a: 'b' },
  })
})

test('kubernetes secrets role: listed in order and in pages, deleted, 404 when absent', async () => {
  await using server = await open()
  assert.equal((await server.ask('LIST', 'kubernetes/roles')).status, 404)
  for (const name of ['c', 'a', 'b']) await write(server, { ...shop, ...account }, name)
  assert.deepEqual((await server.ask('LIST', 'kubernetes/roles')).data, { keys: ['a', 'b', 'c'] })
  assert.deepEqual((await server.ask('LIST', 'kubernetes/roles?after=a&limit=1')).data, { keys: ['b'] })
  for (let i = 0; i < 2; i++) assert.equal((await server.ask('DELETE', 'kubernetes/roles/a')).status, 204)
  assert.equal((await server.ask('GET', 'kubernetes/roles/a')).status, 404)
})

test('kubernetes secrets role: a new one asks for create, an old one for update', async () => {
  await using server = await open()
  const token = await server.tokenWith('path "kubernetes/roles/*" { capabilities = ["create"] }')
  const ask = () => server.ask('POST', 'kubernetes/roles/app', { token, body: { ...shop, ...account } })
  assert.equal((await ask()).status, 204)
  assert.equal((await ask()).status, 403)
})

const badSelector = "failed to parse 'allowed_kubernetes_namespace_selector' as k8s.io/api/meta/v1/LabelSelector object"
const badRules = "failed to parse 'generated_role_rules' as k8s.io/api/rbac/v1/Policy object"
const oneOf = 'one (and only one) of service_account_name, kubernetes_role_name or generated_role_rules must be set'

for (const [rule, body, error] of [
  [
    'no namespaces',
    account,
    'one (at least) of allowed_kubernetes_namespaces or allowed_kubernetes_namespace_selector must be set',
  ],
  ['none of the three forms', shop, oneOf],
  ['two of the three forms', { ...shop, ...account, kubernetes_role_name: 'x' }, oneOf],
  ['all forms', { ...shop, ...account, kubernetes_role_name: 'x', generated_role_rules: rules }, oneOf],
  [
    'a default that is longer than the maximum',
    { ...shop, ...account, token_max_ttl: '1h', token_default_ttl: '2h' },
    'token_default_ttl 2h0m0s cannot be greater than token_max_ttl 1h0m0s',
  ],
  [
    'an unknown type',
    { ...shop, ...account, kubernetes_role_type: 'Group' },
    "kubernetes_role_type must be either 'Role' or 'ClusterRole'",
  ],
  ['a selector that is a list', { ...account, allowed_kubernetes_namespace_selector: '[]' }, badSelector],
  [
    'a selector without end',
    { ...account, allowed_kubernetes_namespace_selector: `# ${'x'.repeat(20_000)}` },
    badSelector,
  ],
  ['rules that are no YAML', { ...shop, generated_role_rules: '{a' }, badRules],
  ['rules that are a list', { ...shop, generated_role_rules: '- verbs: [get]' }, badRules],
  ['a member beside rules', { ...shop, generated_role_rules: 'rules: []\nkind: Role' }, badRules],
  ['rules that are no list', { ...shop, generated_role_rules: 'rules: {}' }, badRules],
  ['a rule that is a text', { ...shop, generated_role_rules: 'rules: [get]' }, badRules],
  ['verbs that are no list', { ...shop, generated_role_rules: 'rules: [{verbs: get}]' }, badRules],
  ['a mistyped member', { ...shop, generated_role_rules: 'rules: [{verbs: [get], resourceName: [a]}]' }, badRules],
  ['rules without end', { ...shop, generated_role_rules: `# ${'x'.repeat(70_000)}` }, badRules],
  [
    'a template that does not parse',
    { ...shop, ...account, name_template: '{{ nope }}' },
    'unable to initialize name template: unable to parse template: template: template:1: function "nope" not defined',
  ],
  [
    'a template without end',
    { ...shop, ...account, name_template: 'x'.repeat(5_000) },
    'name_template may have 4096 characters at most',
  ],
  [
    'a name that would be a path',
    { ...shop, service_account_name: 'a/../b' },
    'service_account_name is no name of a service account: small letters, digits, - and .',
  ],
] as const) {
  test(`kubernetes secrets role: refused: ${rule}`, async () => {
    await using server = await open()
    const answer = await write(server, body)
    assert.deepEqual([answer.status, answer.errors], [400, [error]])
    assert.equal((await server.ask('GET', 'kubernetes/roles/app')).status, 404)
  })
}

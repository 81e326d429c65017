import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Container, Pod } from '#kube/pod.ts'
import { allImprovements, type InjectorDefaults, noImprovements, originalDefaults } from './defaults.ts'
import { inject, type InjectionAnswer, type PatchStep } from './inject.ts'

// @source vault-k8s agent-inject/agent/*.go, and what the running webhook answers

const defaults: InjectorDefaults = {
  ...originalDefaults,
  address: 'https://coffer.coffer.svc:8200',
  caCertBytes: '',
  image: 'localhost/coffer:0.1.0',
}

const tokenMount = {
  name: 'kube-api-access',
  mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
  readOnly: true,
}

function pod(annotations: Record<string, string>, change: Partial<NonNullable<Pod['spec']>> = {}): Pod {
  const named = Object.entries(annotations).map(([name, value]) => [`vault.hashicorp.com/${name}`, value])
  return {
    metadata: { name: 'app', annotations: Object.fromEntries(named) },
    spec: {
      containers: [{ name: 'app', image: 'app:1', volumeMounts: [tokenMount] }],
      volumes: [{ name: 'kube-api-access', projected: { sources: [] } }],
      ...change,
    },
  }
}

const basic = { 'agent-inject': 'true', role: 'app', 'agent-inject-secret-db': 'secret/data/app/db' }

const original = (annotations: Record<string, string>, change = {}): InjectionAnswer =>
  inject(pod(annotations, change), 'default', defaults, noImprovements)

function patched(answer: InjectionAnswer): readonly PatchStep[] {
  assert.equal(answer.kind, 'patched', JSON.stringify(answer))
  return answer.kind === 'patched' ? answer.patch : []
}

const containersOf = (steps: readonly PatchStep[]): Container[] =>
  steps.flatMap(step => {
    const value = Array.isArray(step.value) ? step.value : [step.value]
    return value.filter((one): one is Container => typeof one === 'object' && one !== null && 'image' in one)
  })

type Config = {
  auto_auth: { method: Record<string, unknown>; sink: { config: { path: string } }[] }
  exit_after_auth: boolean
  vault: Record<string, unknown>
  template?: Record<string, unknown>[]
  template_config: Record<string, unknown>
  handover?: { path: string }
}

function configOf(container: Container): Config {
  const value = container.env?.find(one => one.name === 'VAULT_CONFIG')?.value ?? ''
  return JSON.parse(Buffer.from(value, 'base64').toString()) as Config
}

const byName = (steps: readonly PatchStep[], name: string): Container => {
  const found = containersOf(steps).find(container => container.name === name)
  assert.ok(found, `no container ${name}`)
  return found
}

test('a pod that does not ask is left alone', () => {
  assert.deepEqual(original({ role: 'app' }), { kind: 'untouched' })
  assert.deepEqual(original({ ...basic, 'agent-inject': 'false' }), { kind: 'untouched' })
  assert.deepEqual(original({ ...basic, 'agent-inject-status': 'injected' }), { kind: 'untouched' })
  assert.equal(original({ ...basic, 'agent-inject-status': 'update' }).kind, 'patched')
})

test('a running pod is left alone, even when it asks', () => {
  const running = { ...pod(basic), status: { phase: 'Running' } } as Pod
  assert.deepEqual(inject(running, 'default', defaults, noImprovements), { kind: 'untouched' })
})

for (const [rule, annotations, message] of [
  [
    'agent-inject is read as Go reads booleans',
    { 'agent-inject': 'yes' },
    'error checking if should inject agent: cannot parse \'\' as bool: strconv.ParseBool: parsing "yes": invalid syntax',
  ],
  ['without a role', { 'agent-inject': 'true' }, 'error validating agent configuration: no Vault role found'],
  [
    'without a path of the auth method',
    { ...basic, 'auth-path': '' },
    'error validating agent configuration: no Vault Auth Path found',
  ],
  ['without an address', { ...basic, service: '' }, 'error validating agent configuration: no Vault address found'],
  ['without an image', { ...basic, 'agent-image': '' }, 'error validating agent configuration: no Vault image found'],
  [
    'a bad boolean',
    { ...basic, 'agent-pre-populate': 'on' },
    'error creating new agent sidecar: cannot parse \'\' as bool: strconv.ParseBool: parsing "on": invalid syntax',
  ],
  [
    'a bad boolean of one secret',
    { ...basic, 'error-on-missing-key-db': 'yes' },
    'error creating new agent sidecar: cannot parse \'\' as bool: strconv.ParseBool: parsing "yes": invalid syntax',
  ],
  [
    'a bad boolean of a template without a secret',
    { 'agent-inject': 'true', role: 'app', 'agent-inject-template-db': '{{ 1 }}', 'error-on-missing-key-db': ' true' },
    'error creating new agent sidecar: cannot parse \'\' as bool: strconv.ParseBool: parsing " true": invalid syntax',
  ],
  [
    'a bad quantity',
    { ...basic, 'agent-limits-cpu': 'much' },
    "error creating new agent sidecar: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    'same user without a security context',
    { ...basic, 'agent-run-as-same-user': 'true' },
    'error creating patch for agent: No SecurityContext found for Container 0',
  ],
] as const) {
  test(`denied: ${rule}`, () => {
    assert.deepEqual(original(annotations as Record<string, string>), { kind: 'denied', message })
  })
}

test('system namespaces are denied only for pods that ask', () => {
  const answer = inject(pod(basic), 'kube-system', defaults, noImprovements)
  const message = 'error with request namespace: cannot inject into system namespaces: kube-system'
  assert.deepEqual(answer, { kind: 'denied', message })
  assert.deepEqual(inject(pod({}), 'kube-system', defaults, noImprovements), { kind: 'untouched' })
})

test('a pod without a token of the cluster is denied', () => {
  const answer = original(basic, { containers: [{ name: 'app', image: 'a' }] })
  const message = 'error creating new agent sidecar: failed to find service account volume mount'
  assert.deepEqual(answer, { kind: 'denied', message })
})

test("the original's patch, in the original's order", () => {
  const paths = patched(original(basic)).map(({ op, path }) => `${op} ${path}`)
  assert.deepEqual(paths, [
    'add /spec/volumes/-',
    'add /spec/volumes/-',
    'add /spec/volumes/-',
    'add /spec/containers/0/volumeMounts/-',
    'add /spec/initContainers',
    'add /spec/containers/-',
    'add /metadata/annotations/vault.hashicorp.com~1agent-inject-status',
  ])
})

test('the init container is the one of the original', () => {
  const init = byName(patched(original(basic)), 'vault-agent-init')
  assert.deepEqual(init.command, ['/bin/sh', '-ec'])
  assert.deepEqual(init.args, [
    'echo ${VAULT_CONFIG?} | base64 -d > /home/vault/config.json && vault agent -config=/home/vault/config.json',
  ])
  assert.deepEqual(
    init.volumeMounts?.map(mount => `${mount.name} ${mount.mountPath}`),
    ['home-init /home/vault', `kube-api-access ${tokenMount.mountPath}`, 'vault-secrets /vault/secrets'],
  )
  assert.deepEqual(init.securityContext, {
    runAsUser: 100,
    runAsGroup: 1000,
    runAsNonRoot: true,
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  })
  assert.deepEqual(init.resources, {
    limits: { cpu: '500m', memory: '128Mi' },
    requests: { cpu: '250m', memory: '64Mi' },
  })
  assert.deepEqual(
    init.env?.map(one => one.name),
    ['NAMESPACE', 'HOST_IP', 'POD_IP', 'VAULT_LOG_LEVEL', 'VAULT_LOG_FORMAT', 'VAULT_CONFIG'],
  )
})

test('the generated configuration is the one of the original', () => {
  const { vault, auto_auth, exit_after_auth, template, template_config, handover } = configOf(
    byName(patched(original(basic)), 'vault-agent-init'),
  )
  assert.deepEqual(vault, { address: 'https://coffer.coffer.svc:8200' })
  assert.deepEqual(auto_auth.method, {
    type: 'kubernetes',
    mount_path: 'auth/kubernetes',
    config: { role: 'app', token_path: `${tokenMount.mountPath}/token` },
  })
  assert.deepEqual(auto_auth.sink, [{ type: 'file', config: { path: '/home/vault/.vault-token' } }])
  assert.equal(exit_after_auth, true)
  assert.deepEqual(template, [
    {
      destination: '/vault/secrets/db',
      contents:
        '{{ with secret "secret/data/app/db" }}{{ range $k, $v := .Data }}{{ $k }}: {{ $v }}\n{{ end }}{{ end }}',
      left_delimiter: '{{',
      right_delimiter: '}}',
    },
  ])
  assert.deepEqual(template_config, { exit_on_retry_failure: true })
  assert.equal(handover, undefined)
})

test('a path of kv version 1 stands in the template as it is written', () => {
  const { template } = configOf(
    byName(patched(original({ ...basic, 'agent-inject-secret-db': 'secret/foo' })), 'vault-agent-init'),
  )
  assert.equal(
    template?.[0]?.['contents'],
    '{{ with secret "secret/foo" }}{{ range $k, $v := .Data }}{{ $k }}: {{ $v }}\n{{ end }}{{ end }}',
  )
})

for (const [rule, annotations, want] of [
  ['names are lower-cased', { 'agent-inject-secret-DB': 'a/b' }, { destination: '/vault/secrets/db' }],
  [
    'unless their case is kept',
    { 'agent-inject-secret-DB': 'a/b', 'preserve-secret-case': 'true' },
    { destination: '/vault/secrets/DB' },
  ],
  [
    'or the case of one',
    { 'agent-inject-secret-DB': 'a/b', 'preserve-secret-case-DB': 'true' },
    { destination: '/vault/secrets/DB' },
  ],
  [
    'a file of another name',
    { 'agent-inject-secret-db': 'a/b', 'agent-inject-file-db': 'x/y.env' },
    { destination: '/vault/secrets/x/y.env' },
  ],
  ['a template', { 'agent-inject-secret-db': 'a/b', 'agent-inject-template-db': '{{ 1 }}' }, { contents: '{{ 1 }}' }],
  [
    'a template alone',
    { 'agent-inject-template-db': '{{ 1 }}' },
    { contents: '{{ 1 }}', destination: '/vault/secrets/db' },
  ],
  [
    'a template file',
    { 'agent-inject-secret-db': 'a/b', 'agent-inject-template-file-db': '/t.ctmpl' },
    { source: '/t.ctmpl' },
  ],
  [
    'a template whose NAME is file-, which no template file is',
    { 'agent-inject-template-file-': '{{ 1 }}' },
    { contents: '{{ 1 }}', destination: '/vault/secrets/file-' },
  ],
  ['permissions', { 'agent-inject-secret-db': 'a/b', 'agent-inject-perms-db': '0400' }, { perms: '0400' }],
  [
    'a command',
    { 'agent-inject-secret-db': 'a/b', 'agent-inject-command-db': 'kill -HUP 1' },
    { command: 'kill -HUP 1' },
  ],
  [
    'delimiters',
    { 'agent-inject-secret-db': 'a/b', 'agent-template-left-delim-db': '[[', 'agent-template-right-delim-db': ']]' },
    { left_delimiter: '[[', right_delimiter: ']]' },
  ],
  [
    'a missing field is an error',
    { 'agent-inject-secret-db': 'a/b', 'error-on-missing-key-db': 'true' },
    { error_on_missing_key: true },
  ],
  [
    'of a template alone, too',
    { 'agent-inject-template-db': '{{ 1 }}', 'error-on-missing-key-db': 'T' },
    { error_on_missing_key: true },
  ],
  [
    'and of a template file',
    { 'agent-inject-template-file-db': '/t.ctmpl', 'error-on-missing-key-db': '1' },
    { error_on_missing_key: true },
  ],
  [
    'a missing field is no error',
    { 'agent-inject-secret-db': 'a/b', 'error-on-missing-key-db': 'False' },
    { error_on_missing_key: undefined },
  ],
  [
    'an empty text is false',
    { 'agent-inject-secret-db': 'a/b', 'error-on-missing-key-db': '' },
    { error_on_missing_key: undefined },
  ],
  [
    'and so is null',
    { 'agent-inject-secret-db': 'a/b', 'error-on-missing-key-db': null as unknown as string },
    { error_on_missing_key: undefined },
  ],
  [
    'NAME is matched as it is written, though the file is lower-cased',
    { 'agent-inject-secret-DB': 'a/b', 'error-on-missing-key-DB': 'true' },
    { error_on_missing_key: true, destination: '/vault/secrets/db' },
  ],
  [
    'a folder of its own',
    { 'agent-inject-secret-db': 'a/b', 'secret-volume-path-db': '/etc/app' },
    { destination: '/etc/app/db' },
  ],
  [
    'another folder for all',
    { 'agent-inject-secret-db': 'a/b', 'secret-volume-path': '/etc/app' },
    { destination: '/etc/app/db' },
  ],
] as const) {
  test(`secrets: ${rule}`, () => {
    const steps = patched(original({ 'agent-inject': 'true', role: 'app', ...annotations }))
    const [template] = configOf(byName(steps, 'vault-agent')).template ?? []
    for (const [key, value] of Object.entries(want)) assert.equal(template?.[key], value)
  })
}

test('a missing field is an error for the secret that says so alone, in both containers', () => {
  const steps = patched(original({ ...basic, 'agent-inject-secret-api': 'a/b', 'error-on-missing-key-db': 'true' }))
  for (const name of ['vault-agent-init', 'vault-agent']) {
    const said = configOf(byName(steps, name)).template?.map(one => [one['destination'], one['error_on_missing_key']])
    assert.deepEqual(said, [
      ['/vault/secrets/api', undefined],
      ['/vault/secrets/db', true],
    ])
  }
})

test('a companion of no secret is not even parsed', () => {
  const blank = { 'agent-inject-secret-blank': ' ', 'error-on-missing-key-blank': 'yes' }
  const answer = original({ ...basic, ...blank, 'error-on-missing-key-DB': 'yes', 'error-on-missing-key-': 'yes' })
  assert.equal(configOf(byName(patched(answer), 'vault-agent')).template?.[0]?.['error_on_missing_key'], undefined)
})

test('a blank secret is passed over', () => {
  const steps = patched(original({ 'agent-inject': 'true', role: 'app', 'agent-inject-secret-db': '  ' }))
  assert.equal(configOf(byName(steps, 'vault-agent')).template, undefined)
})

test('the order of templates does not depend on chance', () => {
  const names = ['b', 'a', 'c'].map(name => [`agent-inject-secret-${name}`, 'x'])
  const steps = patched(original({ 'agent-inject': 'true', role: 'app', ...Object.fromEntries(names) }))
  const destinations = configOf(byName(steps, 'vault-agent')).template?.map(one => one['destination'])
  assert.deepEqual(destinations, ['/vault/secrets/a', '/vault/secrets/b', '/vault/secrets/c'])
})

test('each folder of its own has its volume, mounted in app and agent', () => {
  const steps = patched(original({ ...basic, 'secret-volume-path-db': '/etc/app' }))
  const mounts = steps.filter(step => step.path.startsWith('/spec/containers/0/volumeMounts')).map(step => step.value)
  assert.deepEqual(mounts, [
    { name: 'vault-secrets', mountPath: '/vault/secrets' },
    { name: 'vault-secrets-custom-0', mountPath: '/etc/app' },
  ])
})

test('pre-populate-only adds no sidecar, and no home for it', () => {
  const steps = patched(original({ ...basic, 'agent-pre-populate-only': 'true' }))
  assert.deepEqual(
    containersOf(steps).map(container => container.name),
    ['vault-agent-init'],
  )
  assert.ok(!JSON.stringify(steps).includes('home-sidecar'))
})

test('without pre-populate there is only the sidecar, and other init containers get no mounts', () => {
  const others = { initContainers: [{ name: 'migrate', image: 'm' }] }
  const steps = patched(original({ ...basic, 'agent-pre-populate': 'false' }, others))
  assert.deepEqual(
    containersOf(steps).map(container => container.name),
    ['vault-agent'],
  )
  assert.ok(!steps.some(step => step.path.startsWith('/spec/initContainers')))
})

test('init-first puts the agent before the others, which get the mounts', () => {
  const others = { initContainers: [{ name: 'migrate', image: 'm' }] }
  const steps = patched(original({ ...basic, 'agent-init-first': 'true' }, others))
  const inits = steps.filter(step => step.path.startsWith('/spec/initContainers')).map(step => [step.op, step.path])
  assert.deepEqual(inits, [
    ['remove', '/spec/initContainers'],
    ['add', '/spec/initContainers'],
    ['add', '/spec/initContainers/-'],
    ['add', '/spec/initContainers/1/volumeMounts'],
  ])
})

test('only the containers that are named get the mounts', () => {
  const two = {
    containers: [
      { name: 'app', image: 'a', volumeMounts: [tokenMount] },
      { name: 'log', image: 'l' },
    ],
  }
  const steps = patched(original({ ...basic, 'agent-inject-containers': 'log' }, two))
  const paths = steps
    .map(step => step.path)
    .filter(path => path.startsWith('/spec/containers/') && path.includes('volumeMounts'))
  assert.deepEqual(paths, ['/spec/containers/1/volumeMounts'])
})

for (const [rule, annotations, check] of [
  [
    'the token beside the secrets',
    { 'agent-inject-token': 'true' },
    (c: Config) =>
      assert.deepEqual(
        c.auto_auth.sink.map(s => s.config.path),
        ['/home/vault/.vault-token', '/vault/secrets/token'],
      ),
  ],
  [
    'the address',
    { service: 'https://other:8200' },
    (c: Config) => assert.equal(c.vault['address'], 'https://other:8200'),
  ],
  [
    'no check of the certificate',
    { 'tls-skip-verify': 'true' },
    (c: Config) => assert.equal(c.vault['tls_skip_verify'], true),
  ],
  [
    'a CA by path',
    { 'ca-cert': '/vault/tls/ca.crt', 'tls-secret': 'tls' },
    (c: Config) => assert.equal(c.vault['ca_cert'], '/vault/tls/ca.crt'),
  ],
  [
    'the auth mount',
    { 'auth-path': 'auth/k8s' },
    (c: Config) => assert.equal(c.auto_auth.method['mount_path'], 'auth/k8s'),
  ],
  [
    'the interval',
    { 'template-static-secret-render-interval': '30s' },
    (c: Config) => assert.equal(c.template_config['static_secret_render_interval'], '30s'),
  ],
] as const) {
  test(`configuration: ${rule}`, () =>
    check(configOf(byName(patched(original({ ...basic, ...annotations })), 'vault-agent'))))
}

test('an empty quantity leaves the resource out', () => {
  const sidecar = byName(
    patched(original({ ...basic, 'agent-limits-cpu': '', 'agent-requests-cpu': '10m' })),
    'vault-agent',
  )
  assert.deepEqual(sidecar.resources, { limits: { memory: '128Mi' }, requests: { cpu: '10m', memory: '64Mi' } })
})

test('an empty run-as-user is root, and says so', () => {
  const { securityContext } = byName(patched(original({ ...basic, 'agent-run-as-user': '' })), 'vault-agent')
  assert.equal(securityContext?.runAsUser, 0)
  assert.equal(securityContext?.runAsNonRoot, false)
})

test('improved: the sidecar is a native one right after the init container, and both share a memory volume', () => {
  const steps = patched(inject(pod(basic), 'default', defaults, allImprovements))
  const inits = steps.filter(step => step.path.startsWith('/spec/initContainers')).map(step => step.path)
  assert.deepEqual(inits, ['/spec/initContainers', '/spec/initContainers/-'])
  const sidecar = byName(steps, 'vault-agent')
  assert.equal(sidecar.restartPolicy, 'Always')
  assert.deepEqual(sidecar.securityContext?.seccompProfile, { type: 'RuntimeDefault' })
  for (const name of ['vault-agent-init', 'vault-agent']) {
    const container = byName(steps, name)
    assert.ok(container.volumeMounts?.some(mount => mount.mountPath === '/vault/handover'))
    assert.deepEqual(configOf(container).handover, { path: '/vault/handover' })
  }
  const app = steps.filter(step => step.path.startsWith('/spec/containers/0')).map(step => JSON.stringify(step.value))
  assert.ok(!app.some(value => value.includes('handover')))
})

test('an annotation that changes nothing is told, with what was meant', () => {
  const answer = original({ ...basic, 'agent-inject-contaners': 'app', 'agent-cache-enable': 'true' })
  assert.equal(answer.kind, 'patched')
  const warnings = answer.kind === 'patched' ? answer.warnings : []
  assert.equal(warnings.length, 2)
  assert.match(warnings[0]!, /agent-cache-enable is not supported/)
  assert.match(warnings[1]!, /did you mean vault.hashicorp.com\/agent-inject-containers\?/)
})

test("a cloud's token is not taken for the cluster's", () => {
  const cloud = { name: 'aws', mountPath: '/var/run/secrets/eks.amazonaws.com/serviceaccount' }
  const steps = patched(
    original(basic, { containers: [{ name: 'app', image: 'a', volumeMounts: [cloud, tokenMount] }] }),
  )
  assert.equal(byName(steps, 'vault-agent').volumeMounts?.[0]?.mountPath, tokenMount.mountPath)
})

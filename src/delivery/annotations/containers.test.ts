import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Container, Pod } from '#kube/pod.ts'
import { allImprovements, type InjectorDefaults, noImprovements, originalDefaults } from './defaults.ts'
import { inject, type InjectionAnswer, type PatchStep } from './inject.ts'

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

/** What a pod gets that asks for one secret. @param more annotations without their prefix. */
function answerTo(
  change: Partial<InjectorDefaults>,
  more: Record<string, string>,
  improvements = noImprovements,
): InjectionAnswer {
  const asked = { 'agent-inject': 'true', role: 'app', 'agent-inject-secret-db': 'secret/data/app/db', ...more }
  const named = Object.entries(asked).map(([name, value]) => [`vault.hashicorp.com/${name}`, value])
  const pod: Pod = {
    metadata: { name: 'app', annotations: Object.fromEntries(named) },
    spec: {
      containers: [{ name: 'app', image: 'app:1', volumeMounts: [tokenMount] }],
      volumes: [{ name: 'kube-api-access', projected: { sources: [] } }],
    },
  }
  return inject(pod, 'default', { ...defaults, ...change }, improvements)
}

function patchOf(...asked: Parameters<typeof answerTo>): readonly PatchStep[] {
  const answer = answerTo(...asked)
  assert.equal(answer.kind, 'patched', JSON.stringify(answer))
  return answer.kind === 'patched' ? answer.patch : []
}

function agentsOf(patch: readonly PatchStep[]): readonly Container[] {
  const values = patch.flatMap(step => (Array.isArray(step.value) ? (step.value as unknown[]) : [step.value]))
  const agents = values.filter((one): one is Container => typeof one === 'object' && one !== null && 'image' in one)
  assert.deepEqual(agents.map(one => one.name).toSorted(), ['vault-agent', 'vault-agent-init'])
  return agents
}

test('the CA of the injector reaches both agents in their environment, and none is sent where it has none', () => {
  for (const caCertBytes of ['-----BEGIN CERTIFICATE-----\n…', '']) {
    for (const { name, env } of agentsOf(patchOf({ caCertBytes }, {}))) {
      const value = env?.find(one => one.name === 'VAULT_CACERT_BYTES')?.value
      assert.equal(value, caCertBytes || undefined, name)
    }
  }
})

test('a CA by annotation stands in the configuration, and that of the injector still in the environment', () => {
  const patch = patchOf({ caCertBytes: 'PEM' }, { 'tls-secret': 'ca', 'ca-cert': '/vault/tls/ca.crt' })
  for (const { env } of agentsOf(patch)) {
    assert.equal(env?.find(one => one.name === 'VAULT_CACERT_BYTES')?.value, 'PEM')
    const text = Buffer.from(env?.find(one => one.name === 'VAULT_CONFIG')?.value ?? '', 'base64').toString()
    const { vault } = JSON.parse(text) as { vault: { ca_cert: string } }
    assert.equal(vault.ca_cert, '/vault/tls/ca.crt')
  }
})

test('a security context that the injector leaves out stays out, also when a pod says as whom to run', () => {
  for (const more of [{}, { 'agent-run-as-user': '1234', 'agent-run-as-group': '5' }]) {
    for (const { securityContext } of agentsOf(patchOf({ setSecurityContext: false }, more))) {
      assert.equal(securityContext, undefined)
    }
  }
})

test('the agents get the token of the pod as the app has it, and no token is projected for them', () => {
  const patch = patchOf({}, {})
  for (const { volumeMounts } of agentsOf(patch)) {
    assert.deepEqual(
      volumeMounts?.find(one => one.name === 'kube-api-access'),
      tokenMount,
    )
  }
  assert.ok(!JSON.stringify(patch.filter(step => step.path.startsWith('/spec/volumes'))).includes('projected'))
})

const configOf = ({ env }: Container): Record<string, unknown> =>
  JSON.parse(Buffer.from(env?.find(one => one.name === 'VAULT_CONFIG')?.value ?? '', 'base64').toString()) as Record<
    string,
    unknown
  >

/** The two agents: the one that ends, and the one that stays. */
function pairOf(...asked: Parameters<typeof answerTo>): readonly [Container, Container] {
  const agents = agentsOf(patchOf(...asked))
  const named = (name: string): Container => agents.find(one => one.name === name)!
  return [named('vault-agent-init'), named('vault-agent')]
}

for (const [rule, annotations, names] of [
  ['both agents', {}, ['vault-agent-init', 'vault-agent']],
  ['a sidecar alone', { 'agent-pre-populate': 'false' }, ['vault-agent']],
  ['not where no agent stays', { 'agent-pre-populate-only': 'true' }, []],
] as const) {
  test(`improved: token and leases go on through a memory volume: ${rule}`, () => {
    const patch = patchOf({}, annotations as Record<string, string>, allImprovements)
    const mounts = patch
      .flatMap(({ value }) => (Array.isArray(value) ? (value as unknown[]) : [value]))
      .filter((one): one is Container => typeof one === 'object' && one !== null && 'image' in one)
      .filter(({ volumeMounts }) => volumeMounts?.some(({ mountPath }) => mountPath === '/vault/handover'))
    assert.deepEqual(
      mounts.map(({ name }) => name),
      names,
    )
    assert.equal(
      JSON.stringify(patch).includes('"name":"vault-handover","emptyDir":{"medium":"Memory"}'),
      names.length > 0,
    )
  })
}

const revokes = { 'agent-revoke-on-shutdown': 'true' }
const hook = (flags: string, graceSeconds: number): Container['lifecycle'] => ({
  preStop: {
    exec: {
      command: ['/bin/sh', '-c', `/bin/sleep ${graceSeconds} && /bin/vault token revoke ${flags} -self`],
    },
  },
})

for (const [rule, annotations, lifecycle] of [
  ['none without being asked', { 'agent-revoke-grace': '7' }, {}],
  ['after five seconds', revokes, hook('-address=https://coffer.coffer.svc:8200', 5)],
  [
    'after a while, at a server of its own CA',
    {
      ...revokes,
      'agent-revoke-grace': '0',
      service: 'https://v:8200',
      'tls-secret': 'ca',
      'ca-cert': '/vault/tls/ca',
    },
    hook('-address=https://v:8200 -ca-cert=/vault/tls/ca', 0),
  ],
] as const) {
  test(`revoke on shutdown, the hook of the original on its sidecar alone: ${rule}`, () => {
    const [init, sidecar] = pairOf({}, annotations as Record<string, string>)
    assert.deepEqual(sidecar.lifecycle, lifecycle)
    assert.equal(init.lifecycle, undefined)
    assert.equal(configOf(sidecar)['revoke_on_shutdown'], undefined)
  })
}

for (const [rule, annotations, revokeOnShutdown, wanted] of [
  ['not unless it is asked to', { 'agent-revoke-grace': '7' }, false, [undefined, undefined]],
  ['at once, since the app has ended before', revokes, false, [true, '0s']],
  ['after a grace that the pod names', { ...revokes, 'agent-revoke-grace': '7' }, false, [true, '7s']],
  ['when the injector says so for all pods', {}, true, [true, '0s']],
  ['not when the pod says otherwise', { 'agent-revoke-on-shutdown': 'false' }, true, [undefined, undefined]],
] as const) {
  test(`revoke on shutdown, improved: a native sidecar does it by itself: ${rule}`, () => {
    const [init, sidecar] = pairOf({ revokeOnShutdown }, annotations as Record<string, string>, allImprovements)
    assert.deepEqual(sidecar.lifecycle, {})
    const config = configOf(sidecar)
    assert.deepEqual([config['revoke_on_shutdown'], config['revoke_grace']], wanted)
    assert.equal(configOf(init)['revoke_on_shutdown'], undefined)
  })
}

for (const [value, text] of [
  ['', 'invalid syntax'],
  ['5s', 'invalid syntax'],
  ['-5', 'invalid syntax'],
  ['18446744073709551616', 'value out of range'],
] as const) {
  test(`denied: a revoke grace of "${value}", also where nothing is revoked`, () => {
    const message = `error creating new agent sidecar: strconv.ParseUint: parsing "${value}": ${text}`
    assert.deepEqual(answerTo({}, { 'agent-revoke-grace': value }), { kind: 'denied', message })
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Container, Pod } from '#kube/pod.ts'
import { type InjectorDefaults, noImprovements, originalDefaults } from './defaults.ts'
import { inject, type PatchStep } from './inject.ts'

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

/** The patch of a pod that asks for one secret. @param more annotations without their prefix. */
function patchOf(change: Partial<InjectorDefaults>, more: Record<string, string> = {}): readonly PatchStep[] {
  const asked = { 'agent-inject': 'true', role: 'app', 'agent-inject-secret-db': 'secret/data/app/db', ...more }
  const named = Object.entries(asked).map(([name, value]) => [`vault.hashicorp.com/${name}`, value])
  const pod: Pod = {
    metadata: { name: 'app', annotations: Object.fromEntries(named) },
    spec: {
      containers: [{ name: 'app', image: 'app:1', volumeMounts: [tokenMount] }],
      volumes: [{ name: 'kube-api-access', projected: { sources: [] } }],
    },
  }
  const answer = inject(pod, 'default', { ...defaults, ...change }, noImprovements)
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
    for (const { name, env } of agentsOf(patchOf({ caCertBytes }))) {
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
  const patch = patchOf({})
  for (const { volumeMounts } of agentsOf(patch)) {
    assert.deepEqual(
      volumeMounts?.find(one => one.name === 'kube-api-access'),
      tokenMount,
    )
  }
  assert.ok(!JSON.stringify(patch.filter(step => step.path.startsWith('/spec/volumes'))).includes('projected'))
})

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { missing } from '../../tools/tier.ts'
import { type ControlPlane, startControlPlane } from './controlplane.ts'

// The injector as the API server sees it: called over TLS with its own CA, its patch applied, its warnings shown.

const root = join(import.meta.dirname, '../..')
const skip = missing('go')
const configuration = 'coffer-injector'
let cluster: ControlPlane
let injector: ChildProcess
let namespace = ''

type Injected = {
  spec: { initContainers?: { name: string; restartPolicy?: string }[]; containers: { name: string }[] }
  metadata: { annotations: Record<string, string> }
}

async function startInjector(): Promise<number> {
  injector = spawn(
    join(root, 'bin/coffer'),
    [
      'injector',
      '-listen=127.0.0.1:0',
      '-vault-address=https://coffer.coffer.svc:8200',
      '-vault-image=localhost/coffer:test',
      `-tls-auto=${configuration}`,
      '-tls-auto-hosts=127.0.0.1',
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, KUBECONFIG: cluster.kubeconfig, NAMESPACE: namespace },
    },
  )
  let said = ''
  return new Promise((resolve, reject) => {
    injector.stderr!.on('data', chunk => {
      said += String(chunk)
      const port = /injecting: port=(\d+)/.exec(said)?.[1]
      if (port !== undefined) resolve(Number(port))
    })
    injector.once('exit', () => reject(new Error(said)))
  })
}

const podOf = (annotations: Record<string, string>): unknown => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { generateName: 'app-', annotations },
  spec: {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'app',
        image: 'localhost/box:test',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, runAsUser: 1000 },
      },
    ],
  },
})

const asks = {
  'vault.hashicorp.com/agent-inject': 'true',
  'vault.hashicorp.com/role': 'app',
  'vault.hashicorp.com/agent-inject-secret-db': 'secret/data/app/db',
}

const create = (annotations: Record<string, string>, into = namespace) =>
  cluster.kubectl(['create', '--dry-run=server', '-o', 'json', '-f', '-'], {
    input: JSON.stringify(podOf(annotations)),
    namespace: into,
    mayFail: true,
  })

before(async () => {
  if (skip !== false) return
  cluster = await startControlPlane()
  namespace = await cluster.newNamespace('inject')
  const port = await startInjector()
  await cluster.call('POST', '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations', {
    metadata: { name: configuration },
    webhooks: [
      {
        name: 'vault.hashicorp.com',
        clientConfig: { url: `https://127.0.0.1:${port}/mutate` },
        admissionReviewVersions: ['v1', 'v1beta1'],
        sideEffects: 'None',
        failurePolicy: 'Fail',
        timeoutSeconds: 5,
        rules: [
          { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], scope: 'Namespaced' },
        ],
      },
    ],
  })
  await bundleIs(bundle => bundle !== '')
})

after(async () => {
  injector?.kill('SIGKILL')
  await cluster?.[Symbol.asyncDispose]()
})

type Configuration = { webhooks: { clientConfig: { caBundle?: string } }[] }
const configurationPath = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${configuration}`

const bundleIs = (isRight: (bundle: string) => boolean): Promise<Configuration> =>
  cluster.until<Configuration>(configurationPath, found => isRight(found.webhooks[0]?.clientConfig.caBundle ?? ''))

const overwrite = (field: 'caBundle' | 'url', value: string): Promise<unknown> =>
  cluster.kubectl([
    'patch',
    'mutatingwebhookconfiguration',
    configuration,
    '--type=json',
    `--patch=${JSON.stringify([{ op: 'add', path: `/webhooks/0/clientConfig/${field}`, value }])}`,
  ])

async function created(
  annotations: Record<string, string>,
  into?: string,
): Promise<{ pod: Injected; warnings: string }> {
  // The API server takes up a changed webhook configuration a moment later.
  for (let attempt = 0; ; attempt++) {
    const done = await create(annotations, into)
    if (done.code === 0) return { pod: JSON.parse(done.stdout) as Injected, warnings: done.stderr }
    if (attempt > 50 || !/failed calling webhook/.test(done.stderr)) assert.fail(done.stderr)
  }
}

test('a pod that asks gets the agent as init container and native sidecar', { skip }, async () => {
  const { pod } = await created(asks)
  assert.deepEqual(
    pod.spec.initContainers?.map(one => [one.name, one.restartPolicy ?? '']),
    [
      ['vault-agent-init', ''],
      ['vault-agent', 'Always'],
    ],
  )
  assert.equal(pod.metadata.annotations['vault.hashicorp.com/agent-inject-status'], 'injected')
})

test('a pod that does not ask stays as it is', { skip }, async () => {
  const { pod } = await created({})
  assert.equal(pod.spec.initContainers, undefined)
})

test('kubectl shows what an annotation that changes nothing is told', { skip }, async () => {
  const { warnings } = await created({ ...asks, 'vault.hashicorp.com/agent-cache-enable': 'true' })
  assert.match(warnings, /Warning: annotation vault\.hashicorp\.com\/agent-cache-enable is not supported/)
})

test('kubectl shows why a pod is denied', { skip }, async () => {
  const denied = await create({ 'vault.hashicorp.com/agent-inject': 'yes' })
  assert.notEqual(denied.code, 0)
  assert.match(denied.stderr, /error checking if should inject agent: cannot parse '' as bool/)
})

test('PodSecurity restricted takes the injected pod', { skip }, async () => {
  const restricted = await cluster.newNamespace('restricted')
  await cluster.kubectl(['label', 'namespace', restricted, 'pod-security.kubernetes.io/enforce=restricted'])
  const { pod } = await created(asks, restricted)
  assert.equal(pod.spec.initContainers?.length, 2)
})

test('the bundle is put right when somebody overwrites it, and the CA stays the same after a restart', {
  skip,
}, async () => {
  const secret = `/api/v1/namespaces/${namespace}/secrets/coffer-injector-certs`
  type Secret = { data: Record<string, string> }
  const first = await cluster.call<Secret>('GET', secret)
  injector.kill('SIGKILL')
  await overwrite('url', `https://127.0.0.1:${await startInjector()}/mutate`)
  const second = await cluster.call<Secret>('GET', secret)
  assert.equal(second.data['ca.crt'], first.data['ca.crt'])
  await overwrite('caBundle', 'bm9uZQ==')
  await bundleIs(bundle => bundle === first.data['ca.crt'])
})

test('when the Secret is lost, a new CA is made, served and trusted', { skip }, async () => {
  const secret = `/api/v1/namespaces/${namespace}/secrets/coffer-injector-certs`
  const before = await cluster.call<{ data: Record<string, string> }>('GET', secret)
  await cluster.call('DELETE', secret)
  await overwrite('caBundle', 'bm9uZQ==')
  await bundleIs(bundle => bundle !== 'bm9uZQ==' && bundle !== before.data['ca.crt'])
  const { pod } = await created(asks)
  assert.equal(pod.spec.initContainers?.length, 2)
})

test('SIGTERM ends the injector with 0', { skip }, async () => {
  injector.kill('SIGTERM')
  const [code] = (await once(injector, 'exit')) as [number | null]
  assert.equal(code, 0)
})

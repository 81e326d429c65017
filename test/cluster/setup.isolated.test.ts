import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { missing } from '../../tools/tier.ts'
import { type ControlPlane, startControlPlane } from './controlplane.ts'

// `coffer setup` against a real API server without nodes: what it makes there, and a server outside of the cluster
// that accounts of the cluster log in to.

const root = join(import.meta.dirname, '../..')
const skip = missing('go')
const image = 'localhost/coffer:test'
let folder = ''
let cluster: ControlPlane
let server: ChildProcess
let address = ''

type Ran = { code: number | null; stdout: string; stderr: string }

async function coffer(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const child = spawn(join(root, 'bin/coffer'), args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      KUBECONFIG: cluster.kubeconfig,
      COFFER_ADDR: address,
      COFFER_TOKEN: 'root',
      ...env,
    },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', chunk => (stdout += String(chunk)))
  child.stderr.on('data', chunk => (stderr += String(chunk)))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

async function done(args: readonly string[]): Promise<string> {
  const ran = await coffer(args)
  assert.equal(ran.code, 0, ran.stderr + ran.stdout)
  return ran.stdout
}

async function ask(method: string, path: string, token: string, body?: unknown) {
  const response = await fetch(`${address}/v1/${path}`, {
    method,
    headers: { ...(token !== '' && { 'X-Vault-Token': token }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const parsed = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
  return {
    status: response.status,
    body: parsed as { auth?: { client_token: string }; data?: Record<string, unknown> },
  }
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

before(async () => {
  if (skip !== false) return
  folder = mkdtempSync(join(tmpdir(), 'coffer-setup-'))
  cluster = await startControlPlane()
  await startServer()
})

after(async () => {
  server?.kill('SIGKILL')
  await cluster?.[Symbol.asyncDispose]()
  if (folder !== '') rmSync(folder, { recursive: true, force: true })
})

// There is one for the whole cluster.
beforeEach(async () => {
  if (skip !== false) return
  await cluster.kubectl(['delete', '--ignore-not-found', 'mutatingwebhookconfiguration', 'coffer-injector'])
})

/** A namespace that tells of pods that PodSecurity `restricted` would refuse. */
async function strictNamespace(): Promise<string> {
  const namespace = await cluster.newNamespace('setup')
  await cluster.kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/warn=restricted'])
  return namespace
}

test('the API server takes all that -dry-run prints, every field, and PodSecurity restricted has nothing to say', {
  skip,
}, async () => {
  const namespace = await strictNamespace()
  for (const seal of ['static', 'shamir']) {
    const printed = await done([
      'setup',
      'kubernetes',
      `-image=${image}`,
      `-namespace=${namespace}`,
      `-seal=${seal}`,
      '-dry-run',
    ])
    const applied = await cluster.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], {
      input: printed.replaceAll('pod-security.kubernetes.io/enforce', 'pod-security.kubernetes.io/warn'),
    })
    assert.doesNotMatch(applied.stderr, /would violate|unknown field/)
    assert.match(applied.stdout, /statefulset\.apps\/coffer created/)
    assert.equal(printed.includes('coffer-seal'), seal === 'static')
  }
})

test('-dry-run makes nothing and prints no key', { skip }, async () => {
  const printed = await done(['setup', 'kubernetes', `-image=${image}`, '-namespace=never-made', '-dry-run'])
  assert.doesNotMatch(printed, /BEGIN|PRIVATE/)
  assert.match(printed, /<generated>/)
  const { status } = await cluster.request('GET', '/api/v1/namespaces/never-made')
  assert.equal(status, 404)
})

test('an image that moves or has no tag is refused', { skip }, async () => {
  for (const bad of ['localhost/coffer:latest', 'localhost:5000/coffer', 'coffer']) {
    const ran = await coffer(['setup', 'kubernetes', `-image=${bad}`])
    assert.equal(ran.code, 1)
    assert.match(ran.stderr, /-image needs a tag or digest that is not latest/)
  }
})

test('data without its seal key is refused before anything is made', { skip }, async () => {
  const namespace = await cluster.newNamespace('lost')
  await cluster.call('POST', `/api/v1/namespaces/${namespace}/persistentvolumeclaims`, {
    metadata: { name: 'data-coffer-0' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  })
  const ran = await coffer(['setup', 'kubernetes', `-image=${image}`, `-namespace=${namespace}`])
  assert.equal(ran.code, 1)
  assert.match(ran.stderr, /Secret lost-\w+\/coffer-seal is missing, but there is data from before/)
  const found = await cluster.call<{ items: unknown[] }>('GET', `/api/v1/namespaces/${namespace}/secrets`)
  assert.deepEqual(found.items, [])
})

test('volumes of before stay as they are, and asking for others is refused', { skip }, async () => {
  const namespace = await cluster.newNamespace('volumes')
  const common = ['setup', 'kubernetes', `-image=${image}`, `-namespace=${namespace}`]
  const printed = await done([...common, '-storage-size=3Gi', '-dry-run'])
  await cluster.kubectl(['apply', '-f', '-'], { input: printed })
  const ran = await coffer([...common, '-storage-size=4Gi'])
  assert.equal(ran.code, 1)
  assert.match(ran.stderr, /-storage-size=4Gi differs from what is there \(3Gi\), and volumes are not changed/)
})

const strangeKey = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' })

const outside = (namespace: string, ...more: readonly string[]): readonly string[] => [
  'setup',
  'kubernetes',
  `-image=${image}`,
  `-namespace=${namespace}`,
  `-external-address=${address}`,
  '-wait=false',
  ...more,
]

test('a server outside: a second run changes nothing, and -remove takes all away, the webhook first', {
  skip,
}, async () => {
  const namespace = await strictNamespace()
  const auth = `-auth-path=auth/${namespace}`
  const first = await done(outside(namespace, auth))
  assert.match(first, /made Deployment coffer-injector/)
  assert.match(first, /made MutatingWebhookConfiguration coffer-injector/)
  const second = await done(outside(namespace, auth))
  assert.doesNotMatch(second, /made|changed|enabled/)
  const { body } = await ask('GET', `auth/${namespace}/config`, 'root')
  assert.deepEqual(
    [body.data?.['kubernetes_host'], body.data?.['token_reviewer_jwt_set'], body.data?.['disable_local_ca_jwt']],
    [cluster.url, false, true],
  )
  const removed = await done(['setup', 'kubernetes', `-namespace=${namespace}`, '-remove'])
  assert.match(removed.split('\n').find(line => line.startsWith('removed')) ?? '', /MutatingWebhookConfiguration/)
  const left = await cluster.kubectl(['get', 'deployment,service,role,rolebinding,networkpolicy', '-o', 'name'], {
    namespace,
  })
  assert.equal(left.stdout, '')
})

test('a second injector in another namespace is refused, and -remove there leaves the webhook of the first', {
  skip,
}, async () => {
  const [first, second] = [await cluster.newNamespace('one'), await cluster.newNamespace('two')]
  await done(outside(first, `-auth-path=auth/${first}`))
  const ran = await coffer(outside(second))
  assert.equal(ran.code, 1)
  assert.match(ran.stderr, /the cluster's injector runs in namespace one-\w+: use -namespace=one-/)
  assert.doesNotMatch(await done(['setup', 'kubernetes', `-namespace=${second}`, '-remove']), /Webhook/)
})

test('a stored reviewer is asked for by -reviewer=secret, and stays in a run without the flag', { skip }, async () => {
  const namespace = await cluster.newNamespace('reviewer')
  const auth = `-auth-path=auth/${namespace}`
  const first = await done(outside(namespace, auth, '-reviewer=secret'))
  assert.match(first, /warning: the token in Secret \S+ never ends/)
  await done(outside(namespace, auth))
  const { body } = await ask('GET', `auth/${namespace}/config`, 'root')
  assert.equal(body.data?.['token_reviewer_jwt_set'], true)
})

test('a pod that asks is refused while no injector answers, others never meet the webhook', { skip }, async () => {
  const namespace = await cluster.newNamespace('gap')
  const pods = await cluster.newNamespace('app')
  await done(outside(namespace, `-auth-path=auth/${namespace}`))
  const create = (annotations: Record<string, string>) =>
    cluster.kubectl(['create', '--dry-run=server', '-f', '-'], {
      namespace: pods,
      mayFail: true,
      input: JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'app', annotations },
        spec: { containers: [{ name: 'app', image }] },
      }),
    })
  assert.equal((await create({})).code, 0)
  const asking = await create({ 'vault.hashicorp.com/agent-inject': 'true' })
  assert.match(asking.stderr, /failed calling webhook "vault\.hashicorp\.com"/)
  await done(['setup', 'kubernetes', `-namespace=${namespace}`, '-remove'])
})

test('setup workload lets the pods of one account read one path, and nobody else anything', { skip }, async () => {
  const namespace = await cluster.newNamespace('coffer')
  const pods = await cluster.newNamespace('app')
  const auth = `-auth-path=auth/${namespace}`
  await done(outside(namespace, auth))
  await ask('POST', 'secret/data/app/db', 'root', { data: { password: 'one' } })
  const workload = ['setup', 'workload', `-namespace=${pods}`, '-service-account=app', '-read=secret/app/*', auth]
  const first = await done(workload)
  assert.match(first, /made ServiceAccount app-\w+\/app/)
  assert.match(first, /account app-\w+\/app reads secret\/data\/app\/\*/)
  const second = await done(workload)
  assert.doesNotMatch(second, /^(made|changed)/m)
  const login = async (namespaceOf: string, serviceAccount: string) => {
    const jwt = await cluster.requestToken({ namespace: namespaceOf, serviceAccount })
    return ask('POST', `auth/${namespace}/login`, '', { role: 'app', jwt })
  }
  const { status, body } = await login(pods, 'app')
  assert.equal(status, 200)
  const token = body.auth?.client_token ?? ''
  assert.equal((await ask('GET', 'secret/data/app/db', token)).status, 200)
  assert.equal((await ask('GET', 'secret/data/other', token)).status, 403)
  assert.equal((await ask('POST', 'secret/data/app/db', token, { data: {} })).status, 403)
  assert.equal((await login(pods, 'default')).status, 403)
})

test('-auth=jwt: a server that has the keys of the cluster lets the pods of one account in, and asks nobody', {
  skip,
}, async () => {
  const namespace = await cluster.newNamespace('coffer')
  const pods = await cluster.newNamespace('app')
  const auth = `-auth-path=auth/${namespace}`
  assert.match(await done(outside(namespace, auth, '-auth=jwt')), /auth method jwt enabled/)
  const { body: config } = await ask('GET', `auth/${namespace}/config`, 'root')
  assert.match(String(config.data?.['jwt_validation_pubkeys']), /BEGIN PUBLIC KEY/)
  const workload = ['setup', 'workload', `-namespace=${pods}`, '-service-account=app', '-read=secret/app/*', auth]
  await done(workload)
  assert.doesNotMatch(await done(workload), /^(made|changed)/m)
  const login = async (serviceAccount: string) => {
    const jwt = await cluster.requestToken({ namespace: pods, serviceAccount })
    return ask('POST', `auth/${namespace}/login`, '', { role: 'app', jwt })
  }
  assert.equal((await login('app')).status, 200)
  assert.equal((await login('default')).status, 400)
  await ask('POST', `auth/${namespace}/config`, 'root', { jwks_url: '', jwt_validation_pubkeys: strangeKey })
  assert.equal((await login('app')).status, 400)
  assert.match(await done(['setup', 'kubernetes', '-auth=jwt', '-sync-keys', auth]), /the keys of the cluster/)
  assert.equal((await login('app')).status, 200)
  await cluster.kubectl(['delete', 'serviceaccount', 'app'], { namespace: pods })
  await cluster.newServiceAccount(pods, 'app')
  assert.equal((await login('app')).status, 400, 'one that was made anew is another')
  const other = await coffer(outside(namespace, auth))
  assert.equal(other.code, 1)
  assert.match(other.stderr, /is of the method jwt, not kubernetes/)
  await done(['setup', 'kubernetes', `-namespace=${namespace}`, '-remove'])
})

test('an account that was made anew can not log in by its name alone', { skip }, async () => {
  const namespace = await cluster.newNamespace('coffer')
  const pods = await cluster.newNamespace('app')
  const auth = `-auth-path=auth/${namespace}`
  await done(outside(namespace, auth))
  const workload = [
    'setup',
    'workload',
    `-namespace=${pods}`,
    '-service-account=app',
    '-role=anew',
    '-read=secret/anew',
    auth,
  ]
  await done(workload)
  await cluster.kubectl(['delete', 'serviceaccount', 'app'], { namespace: pods })
  await cluster.newServiceAccount(pods, 'app')
  const login = async () => {
    const jwt = await cluster.requestToken({ namespace: pods, serviceAccount: 'app' })
    return (await ask('POST', `auth/${namespace}/login`, '', { role: 'anew', jwt })).status
  }
  assert.equal(await login(), 403)
  assert.match(await done(workload), /changed role anew/)
  assert.equal(await login(), 200)
})

test('a role or policy of somebody else is not taken over', { skip }, async () => {
  const namespace = await cluster.newNamespace('coffer')
  const auth = `-auth-path=auth/${namespace}`
  await done(outside(namespace, auth))
  const workload = (account: string, ...more: readonly string[]) =>
    coffer(['setup', 'workload', '-namespace=default', `-service-account=${account}`, '-read=secret/x', auth, ...more])
  await ask('POST', 'sys/policies/acl/taken', 'root', { policy: 'path "a" { capabilities = ["read"] }' })
  assert.match(
    (await workload('taken')).stderr,
    /a policy "taken" that setup did not make: choose another name with -role/,
  )
  assert.equal((await workload('first', '-role=shared')).code, 0)
  assert.match((await workload('second', '-role=shared')).stderr, /role "shared" is bound to account first/)
  assert.match((await workload('default')).stderr, /a policy "default" that setup did not make/)
})

test('a file of keys is never written over', { skip }, async () => {
  const { openKeyPaper } = await import('../../src/apps/setup/key-paper.ts')
  const said: string[] = []
  const io = { stdout: (text: string) => said.push(text) } as never
  const path = join(folder, 'keys')
  writeFileSync(path, 'old')
  await assert.rejects(openKeyPaper(path, io), /-keys-out: \S+ is there already, and may hold keys/)
  const unused = join(folder, 'unused')
  await (await openKeyPaper(unused, io))[Symbol.asyncDispose]()
  assert.equal(existsSync(unused), false)
})

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAuthority } from './certificates.ts'
import { type Cluster, nodeIp, startCluster } from './node.ts'
import { annotated, buildImage, cofferImage, deployment, job, Person } from './seed.ts'

// The README's cluster half, on real pods: what a person types, and what the pods then find.

const root = join(import.meta.dirname, '../..')
let cluster: Cluster
let person: Person
let outside: ChildProcess | null = null

before(async () => {
  const builder = new Person({})
  try {
    cluster = await startCluster({ images: [await buildImage(builder)] })
  } finally {
    builder[Symbol.dispose]()
  }
  person = new Person({ KUBECONFIG: cluster.kubeconfig, COFFER_ADDR: 'kube://coffer/coffer' })
})
after(async () => {
  outside?.kill('SIGKILL')
  person?.[Symbol.dispose]()
  await cluster?.[Symbol.asyncDispose]()
})

type Ended = { state?: { terminated?: { exitCode: number; message?: string } } }
type Status = {
  status?: {
    phase?: string
    initContainerStatuses?: (Ended & { name: string })[]
    readyReplicas?: number
    succeeded?: number
  }
}

const apply = (namespace: string, ...objects: object[]): Promise<unknown> =>
  cluster.kubectl(['apply', '-f', '-'], {
    namespace,
    input: objects.map(object => JSON.stringify(object)).join('\n---\n'),
  })

const ready = (namespace: string, name: string, replicas = 1): Promise<Status> =>
  cluster.until<Status>(
    `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`,
    ({ status }) => (status?.readyReplicas ?? 0) >= replicas,
  )

async function inFile(namespace: string, name = 'app'): Promise<string> {
  const argv = ['exec', `deploy/${name}`, '-c', 'app', '--', 'cat', '/vault/secrets/db']
  return (await cluster.kubectl(argv, { namespace })).stdout
}

/** The file is read by processes that can't be told of its change: asked again, 20 s at most. */
async function untilInFile(namespace: string, text: string, name?: string): Promise<void> {
  for (let tries = 0; tries < 40; tries++) {
    if ((await inFile(namespace, name)) === text) return
    await sleep(500)
  }
  assert.equal(await inFile(namespace, name), text)
}

type Pods = {
  items: {
    status?: {
      containerStatuses?: Counted[]
      initContainerStatuses?: Counted[]
      conditions?: { type: string; status: string }[]
    }
  }[]
}
type Counted = { restartCount: number }

/** `kill -9` of every process of an app in the cluster's pods, until the kubelet has started each anew. */
async function killAll(app: string, namespace: string, selector: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`
  const restarts = ({ items }: Pods): number =>
    items
      .flatMap(({ status }) => [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])])
      .reduce((sum, one) => sum + one.restartCount, 0)
  const isReady = ({ items }: Pods): boolean =>
    items.every(({ status }) => status?.conditions?.some(one => one.type === 'Ready' && one.status === 'True'))
  const before = await cluster.call<Pods>('GET', path)
  await cluster.exec(['sh', '-c', `pkill -9 -f "[/]app/coffer.cjs ${app}"`])
  for (let tries = 0; tries < 180; tries++) {
    const now = await cluster.call<Pods>('GET', path)
    if (restarts(now) >= restarts(before) + before.items.length && isReady(now)) return
    await sleep(500)
  }
  throw new Error(`${app} was not started anew in 90 s`)
}

async function podOf(namespace: string, app: string): Promise<string> {
  const { stdout } = await cluster.kubectl(
    ['get', 'pods', '-l', `app=${app}`, '-o', 'jsonpath={.items[0].metadata.name}'],
    {
      namespace,
    },
  )
  return stdout.trim()
}

test('setup makes a server whose keys are shown once, and whose root token is nowhere', async () => {
  const keys = join(person.home, 'keys')
  const { stdout } = await person.run(['setup', 'kubernetes', `-image=${cofferImage}`, `-keys-out=${keys}`])
  assert.match(stdout, /initialised and unsealed/)
  assert.match(stdout, /the root token is revoked; nobody has it/)
  assert.doesNotMatch(stdout, /Recovery Key 1: |hvs\./)
  assert.equal(readFileSync(keys, 'utf8').match(/^Recovery Key \d: .{20,}$/gm)?.length, 5)
  assert.equal(statSync(keys).mode & 0o777, 0o600)
  const everything = await cluster.kubectl(['get', 'secrets,configmaps', '-o', 'yaml'], { namespace: 'coffer' })
  assert.doesNotMatch(everything.stdout, /hvs\.|root_token/)
})

test('a second run of setup changes nothing', async () => {
  const { stdout } = await person.run(['setup', 'kubernetes', `-image=${cofferImage}`])
  assert.doesNotMatch(stdout, /^(made|changed|initialised)/m)
})

test('the admin logs in through the port-forward, and an annotated pod finds its secret, and its change, in a file', async () => {
  await person.run(['login', '-method=kubernetes'])
  await person.run(['kv', 'put', 'secret/app/db', 'username=app', 'password=first'])
  const namespace = await cluster.newNamespace()
  const said = await person.run([
    'setup',
    'workload',
    `-namespace=${namespace}`,
    '-service-account=app',
    '-read=secret/app/*',
  ])
  assert.match(said.stdout, new RegExp(`made ServiceAccount ${namespace}/app`))
  await cluster.kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted'])
  await apply(
    namespace,
    deployment('app', annotated('app')),
    job('once', annotated('app')),
    job('wrong', annotated('nobody')),
  )
  await ready(namespace, 'app')
  assert.equal(await inFile(namespace), 'app:first')
  await person.run(['kv', 'put', 'secret/app/db', 'username=app', 'password=second'])
  await untilInFile(namespace, 'app:second')

  const ended = await cluster.until<Status>(
    `/apis/batch/v1/namespaces/${namespace}/jobs/once`,
    ({ status }) => (status?.succeeded ?? 0) > 0,
  )
  assert.equal(ended.status?.succeeded, 1)
  assert.equal((await cluster.kubectl(['logs', 'job/once', '-c', 'app'], { namespace })).stdout, 'app:first')

  const name = await podOf(namespace, 'wrong')
  const refused = await cluster.until<Status>(
    `/api/v1/namespaces/${namespace}/pods/${name}`,
    ({ status }) => status?.phase === 'Failed',
  )
  const init = refused.status?.initContainerStatuses?.find(one => one.name === 'vault-agent-init')?.state?.terminated
  assert.equal(init?.exitCode, 1)
  assert.match(init.message ?? '', /login refused 3 times: .*invalid role name "nobody"/)
  const log = await cluster.kubectl(['logs', name, '-c', 'vault-agent-init'], { namespace })
  assert.match(log.stdout, /invalid role name/)

  // A pod of another account is refused, with the reason that Vault gives.
  const stranger = await cluster.newNamespace()
  await cluster.newServiceAccount(stranger, 'app')
  await apply(stranger, job('thief', annotated('app')))
  await cluster.until<Status>(
    `/api/v1/namespaces/${stranger}/pods/${await untilPod(stranger, 'thief')}`,
    ({ status }) => status?.phase === 'Failed',
  )

  for (const [app, selector, where] of [
    ['server', 'app.kubernetes.io/name=coffer', 'coffer'],
    ['agent', 'app=app', namespace],
    ['injector', 'app.kubernetes.io/name=coffer-injector', 'coffer'],
  ] as const) {
    await killAll(app, where, selector)
    await putWhenBack(`after-${app}`)
    await untilInFile(namespace, `app:after-${app}`)
  }
  const later = `late-${randomBytes(2).toString('hex')}`
  await apply(namespace, deployment(later, annotated('app')))
  await ready(namespace, later)
  assert.equal(await inFile(namespace, later), 'app:after-injector')
})

async function untilPod(namespace: string, app: string): Promise<string> {
  for (let tries = 0; tries < 40; tries++) {
    const name = await podOf(namespace, app).catch(() => '')
    if (name !== '') return name
    await sleep(250)
  }
  throw new Error(`no pod of ${app}`)
}

async function putWhenBack(password: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const end = await person.run(['kv', 'put', 'secret/app/db', 'username=app', `password=${password}`], {
      mayFail: true,
    })
    if (end.code === 0) return
    assert(tries < 60, end.stderr)
    await sleep(500)
  }
}

/** As the admin: account `app` of the namespace may read the secrets of the app, under this role. */
async function allow(namespace: string, role: string): Promise<void> {
  await person.run(['login', '-method=kubernetes'])
  const flags = [`-namespace=${namespace}`, '-service-account=app', `-role=${role}`, '-read=secret/app/*']
  await person.run(['setup', 'workload', ...flags])
}

test('thirty pods at once all find their secret', async () => {
  const namespace = await cluster.newNamespace()
  const role = `burst-${randomBytes(2).toString('hex')}`
  await allow(namespace, role)
  await apply(namespace, deployment('many', annotated(role), 30))
  await cluster.kubectl(['rollout', 'status', 'deploy/many', '--timeout=170s'], { namespace, timeoutMs: 180_000 })
  const { status } = await ready(namespace, 'many', 30)
  assert.equal(status?.readyReplicas, 30)
  await cluster.kubectl(['delete', 'deploy/many', '--wait=false'], { namespace })
})

test('a pod whose token lives four seconds renews it, logs in anew at its end, and still follows changes', async () => {
  const namespace = await cluster.newNamespace()
  const role = `short-${randomBytes(2).toString('hex')}`
  await allow(namespace, role)
  await person.run(['write', `auth/kubernetes/role/${role}`, 'token_ttl=4s', 'token_max_ttl=10s'])
  await person.run(['kv', 'put', 'secret/app/db', 'username=app', 'password=before'])
  await apply(namespace, deployment('short', annotated(role)))
  await ready(namespace, 'short')
  const logged = (text: string, log: string): number => log.split(text).length - 1
  for (let tries = 0; ; tries++) {
    const { stdout } = await cluster.kubectl(['logs', 'deploy/short', '-c', 'vault-agent'], { namespace })
    assert.doesNotMatch(stdout, /permission denied/)
    // Three lives of ten seconds, each renewed at least once.
    if (logged('authentication successful', stdout) >= 3 && logged('renewed auth token', stdout) >= 3) break
    assert(tries < 90, stdout)
    await sleep(1_000)
  }
  await person.run(['kv', 'put', 'secret/app/db', 'username=app', 'password=after'])
  await untilInFile(namespace, 'app:after', 'short')
  await cluster.kubectl(['delete', 'deploy/short', '--wait=false'], { namespace })
})

test('a second role of the same name for another account is refused', async () => {
  const namespace = await cluster.newNamespace()
  const end = await person.run(
    ['setup', 'workload', `-namespace=${namespace}`, '-service-account=app', '-read=secret/other/*'],
    { mayFail: true },
  )
  assert.equal(end.code, 1)
  assert.match(end.stderr, /role/)
})

test('-remove takes the webhook and all else but volumes and keys; -purge those, too', async () => {
  const { stdout } = await person.run(['setup', 'kubernetes', '-remove'])
  assert.match(stdout, /^removed MutatingWebhookConfiguration.*\n(removed .*\n)+kept/m)
  await cluster.untilGone('/apis/apps/v1/namespaces/coffer/statefulsets/coffer')
  await cluster.untilGone('/apis/apps/v1/namespaces/coffer/deployments/coffer-injector')
  const left = await cluster.kubectl(['get', 'all,secrets,pvc', '-o', 'name'], { namespace: 'coffer' })
  assert.match(left.stdout, /secret\/coffer-seal/)
  assert.match(left.stdout, /persistentvolumeclaim\/data-coffer-0/)
  assert.doesNotMatch(left.stdout, /deployment|statefulset|service\//)
  await person.run(['setup', 'kubernetes', '-remove', '-purge'])
  for (const volume of ['data', 'audit']) {
    await cluster.untilGone(`/api/v1/namespaces/coffer/persistentvolumeclaims/${volume}-coffer-0`)
  }
  const purged = await cluster.kubectl(['get', 'secrets,pvc,deployments', '-o', 'name'], { namespace: 'coffer' })
  assert.equal(purged.stdout, '')
})

test('with -seal=shamir people unseal, nothing in the cluster can, and a start anew waits for them', async () => {
  const keys = join(person.home, 'shares')
  const flags = ['-namespace=sealed', '-seal=shamir']
  const env = { COFFER_ADDR: 'kube://sealed/coffer' }
  // Those of the servers before were kept, or are no longer empty.
  await cluster.addVolumes(2)
  await person.run(['setup', 'kubernetes', `-image=${cofferImage}`, ...flags, `-keys-out=${keys}`], { env })
  const shares = [...readFileSync(keys, 'utf8').matchAll(/^Unseal Key \d: (\S+)$/gm)].map(match => match[1]!)
  assert.equal(shares.length, 5)
  const secrets = await cluster.kubectl(['get', 'secrets', '-o', 'name'], { namespace: 'sealed' })
  assert.doesNotMatch(secrets.stdout, /coffer-seal/)
  await cluster.exec(['sh', '-c', 'pkill -9 -f "[/]app/coffer.cjs server"'])
  const sealed = async (): Promise<boolean | null> => {
    const { stdout } = await person.run(['status', '-format=json'], { env, mayFail: true })
    return stdout === '' ? null : (JSON.parse(stdout) as { sealed: boolean }).sealed
  }
  for (let tries = 0; (await sealed()) !== true; tries++) {
    assert(tries < 60, 'the server came back unsealed, or not at all')
    await sleep(500)
  }
  for (const share of shares.slice(0, 3)) await person.run(['operator', 'unseal', share], { env })
  assert.equal(await sealed(), false)
  await person.run(['login', '-method=kubernetes'], { env })
  await person.run(['kv', 'put', 'secret/a', 'b=c'], { env })
  await person.run(['setup', 'kubernetes', '-namespace=sealed', '-remove', '-purge'], { env })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function startOutside(port: number): Promise<string> {
  const authority = await createAuthority()
  const leaf = await authority.issue({ commonName: 'outside', names: [nodeIp, '127.0.0.1'] })
  const folder = join(person.home, 'outside')
  mkdirSync(folder, { mode: 0o700 })
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const ca = write('ca.pem', authority.pem)
  const config = write(
    'server.json',
    JSON.stringify({
      listener: {
        tcp: {
          address: `127.0.0.1:${port}`,
          tls_cert_file: write('tls.crt', leaf.cert),
          tls_key_file: write('tls.key', leaf.key),
        },
      },
      storage: { sqlite: { path: join(folder, 'data') } },
      seal: { static: { current_key_id: 'one', current_key: randomBytes(32).toString('base64') } },
      api_addr: `https://${nodeIp}:${port}`,
    }),
  )
  outside = spawn(join(root, 'bin/coffer'), ['server', `-config=${config}`], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    outside!.stdout!.on('data', chunk => String(chunk).includes('server started') && resolve())
    outside!.once('exit', code => reject(new Error(`the server ended with ${code}`)))
  })
  return ca
}

test('with a server outside of the cluster, injector and pods use it, and pods log in by their own tokens', async () => {
  const port = await freePort()
  const ca = await startOutside(port)
  await cluster.expose(port, { host: '127.0.0.1', port })
  const address = `https://127.0.0.1:${port}`
  const env: Record<string, string> = { COFFER_ADDR: address, VAULT_CACERT: ca }
  const init = await person.run(['operator', 'init', '-format=json'], { env })
  env['VAULT_TOKEN'] = (JSON.parse(init.stdout) as { root_token: string }).root_token
  await person.run(['secrets', 'enable', '-path=secret', '-version=2', 'kv'], { env })
  await person.run(['kv', 'put', 'secret/app/db', 'username=app', 'password=outside'], { env })
  await person.run(
    [
      'setup',
      'kubernetes',
      `-image=${cofferImage}`,
      '-namespace=outside',
      `-external-address=https://${nodeIp}:${port}`,
      `-external-ca-cert=${ca}`,
      `-kubernetes-host=${cluster.url}`,
    ],
    { env },
  )
  const namespace = await cluster.newNamespace()
  await person.run(['setup', 'workload', `-namespace=${namespace}`, '-service-account=app', '-read=secret/app/*'], {
    env,
  })
  await apply(namespace, deployment('app', annotated('app')))
  await ready(namespace, 'app')
  assert.equal(await inFile(namespace), 'app:outside')
  await person.run(['kv', 'put', 'secret/app/db', 'username=app', 'password=changed'], { env })
  await untilInFile(namespace, 'app:changed')
})

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from 'esbuild'
import { Client } from 'pg'
import { parse } from 'yaml'
import { type Postgres, startPostgres } from '../databases/postgres.ts'
import { AccountWatch } from './account-watch.ts'
import { type Cluster, nodeIp, startCluster } from './node.ts'
import { type Annotations, buildImage, cofferImage, deployment, Person } from './seed.ts'

// Pods whose accounts in a real PostgreSQL live for seconds: they log in all the time, and must always be let in.

const postgresPort = 5432
const urlForPods = `postgresql://{{username}}:{{password}}@${nodeIp}:${postgresPort}/postgres?sslmode=disable`
const replicas = 3
/** Between one kill and the next. */
const quietMs = 40_000

let cluster: Cluster
let person: Person
let postgres: Postgres
let superuser: Client

before(async () => {
  postgres = await startPostgres()
  superuser = new Client(postgres.url)
  await superuser.connect()
  await superuser.query(
    'CREATE TABLE logins (pod text, account text DEFAULT session_user, at timestamptz DEFAULT now())',
  )
  await superuser.query('GRANT INSERT ON logins TO PUBLIC')
  const builder = new Person({})
  try {
    cluster = await startCluster({ images: [await buildImage(builder)] })
  } finally {
    builder[Symbol.dispose]()
  }
  await cluster.expose(postgresPort, { host: '127.0.0.1', port: postgres.port })
  person = new Person({ KUBECONFIG: cluster.kubeconfig, COFFER_ADDR: 'kube://coffer/coffer' })
  await person.run(['setup', 'kubernetes', `-image=${cofferImage}`, `-keys-out=${join(person.home, 'keys')}`])
  await person.run(['login', '-method=kubernetes'])
  await person.run(['secrets', 'enable', '-path=soak', 'database'])
  await person.run([
    'write',
    'soak/config/app',
    'plugin_name=postgresql-database-plugin',
    `connection_url=${urlForPods}`,
    `username=${postgres.username}`,
    `password=${postgres.password}`,
    'allowed_roles=*',
  ])
})
after(async () => {
  await superuser?.end()
  await postgres?.[Symbol.asyncDispose]()
  person?.[Symbol.dispose]()
  await cluster?.[Symbol.asyncDispose]()
})

const creation = `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`

const writeRole = (name: string, ...ttls: string[]): Promise<unknown> =>
  person.run(['write', `soak/roles/${name}`, 'db_name=app', `creation_statements=${creation}`, ...ttls])

const annotated = (role: string, path: string): Annotations => ({
  'vault.hashicorp.com/agent-inject': 'true',
  'vault.hashicorp.com/role': role,
  'vault.hashicorp.com/agent-inject-secret-db': path,
  'vault.hashicorp.com/agent-inject-template-db': `{{ with secret "${path}" }}{{ .Data.username }}:{{ .Data.password }}{{ end }}`,
  'vault.hashicorp.com/agent-requests-cpu': '10m',
})

/** Its pods log in to the database all the time. */
const loginDeployment: object = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'app' },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'app' } },
    template: {
      metadata: {
        labels: { app: 'app' },
        annotations: {
          ...annotated('app', 'soak/creds/short'),
          'vault.hashicorp.com/agent-revoke-on-shutdown': 'true',
        },
      },
      spec: {
        serviceAccountName: 'app',
        terminationGracePeriodSeconds: 20,
        securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            name: 'app',
            image: cofferImage,
            imagePullPolicy: 'Never',
            command: ['node', '/app-script/app.cjs', nodeIp, `${postgresPort}`],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            volumeMounts: [{ name: 'script', mountPath: '/app-script' }],
          },
        ],
        volumes: [{ name: 'script', configMap: { name: 'script' } }],
      },
    },
  },
}

/** The app with the driver that it needs, as one file. */
async function script(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'login-app.cjs')],
    bundle: true,
    platform: 'node',
    target: 'node26',
    external: ['pg-native'],
    minify: true,
    write: false,
  })
  return outputFiles[0]!.text
}

const logs = async (namespace: string, pod: string, container: string): Promise<string> =>
  (await cluster.kubectl(['logs', pod, '-c', container], { namespace })).stdout

async function podsOf(namespace: string, app: string): Promise<string[]> {
  const { stdout } = await cluster.kubectl(['get', 'pods', '-l', `app=${app}`, '-o', 'name'], { namespace })
  return stdout
    .trim()
    .split('\n')
    .filter(name => name !== '')
}

async function ended(namespace: string, app: string): Promise<void> {
  for (let tries = 0; (await podsOf(namespace, app)).length > 0; tries++) {
    assert(tries < 60, `the pods of ${app} do not end`)
    await sleep(500)
  }
}

const kill = (what: 'server' | 'agent'): Promise<unknown> =>
  cluster.exec(['sh', '-c', `pkill -9 -f "[/]app/coffer.cjs ${what}"`])

const guide = readFileSync(join(import.meta.dirname, '../../docs/guides/dynamic-secrets.md'), 'utf8')
const sectionOf = (title: string): string => guide.split(/^(?=## )/m).find(one => one.startsWith(`## ${title}\n`))!
const shownIn = (section: string, language: string): string =>
  new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(section)![1]!

type Manifest = { spec: { replicas: number; template: { spec: { containers: object[] } } } }

/** The guide's Deployment, with an image that is there. */
function guidesDeployment(): Manifest {
  const manifest = parse(shownIn(sectionOf('In a pod'), 'yaml')) as Manifest
  const [container] = manifest.spec.template.spec.containers
  Object.assign(container!, {
    image: cofferImage,
    imagePullPolicy: 'Never',
    command: ['sh', '-c', 'trap exit TERM; sleep 100000 & wait'],
  })
  return manifest
}

/** The account in a pod's file, which lets in. */
async function accountOf(pod: string): Promise<string> {
  const argv = ['exec', pod, '-c', 'shop', '--', 'cat', '/vault/secrets/db']
  const [user = '', password = ''] = (await cluster.kubectl(argv, { namespace: 'shop' })).stdout.trim().split(':')
  const client = new Client({ host: '127.0.0.1', port: postgres.port, user, password, database: 'postgres' })
  try {
    await client.connect()
    await client.end()
    return user
  } catch {
    return ''
  }
}

async function untilAllHaveAccounts(pods: readonly string[], isNew: (account: string) => boolean): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    const accounts = await Promise.all(pods.map(accountOf))
    if (accounts.every(account => account !== '' && isNew(account))) return accounts
    assert(tries < 40, `accounts: ${accounts.join(', ')}`)
    await sleep(250)
  }
}

test('the guide on credentials that end: from nothing to pods with accounts of their own, and through an incident', async () => {
  await superuser.query("CREATE ROLE coffer SUPERUSER LOGIN PASSWORD 'first'")
  writeFileSync(join(person.home, 'app.sql'), shownIn(guide, 'sql'))
  await cluster.kubectl(['create', 'namespace', 'shop'])
  const manifest = guidesDeployment()
  const values: Record<string, string> = { URL: urlForPods, USERNAME: 'coffer', PASSWORD: 'first' }
  await using watch = new AccountWatch(postgres.url, 'v-%-app-%')
  await watch.start()
  let pods: string[] = []
  let accounts: string[] = []
  const sections = ['A connection', 'Accounts', 'In a pod'].map(sectionOf).join('')
  for (const [, program, line = ''] of sections.matchAll(/^\$ (coffer|kubectl) (.*)$/gm)) {
    // The reader's own account and lease: the isolated test of this guide has them.
    if (/^(?:read|lease (?:lookup|renew|revoke -sync))/.test(line)) continue
    const argv = line.split(' ').map(word => word.replaceAll(/\$([A-Z]+)/g, (_, name: string) => values[name]!))
    if (program === 'coffer') await person.run(argv)
    else await cluster.kubectl([...argv.slice(0, -1), '-'], { input: JSON.stringify(manifest) })
    if (line.startsWith('apply')) {
      await cluster.kubectl(['rollout', 'status', 'deploy/shop', '--timeout=60s'], { namespace: 'shop' })
      pods = await podsOf('shop', 'shop')
      assert.equal(pods.length, manifest.spec.replicas)
      accounts = await untilAllHaveAccounts(pods, () => true)
      assert.equal(new Set(accounts).size, pods.length, 'each pod has an account of its own')
    }
    if (line.startsWith('lease revoke -prefix')) {
      const old = accounts
      accounts = await untilAllHaveAccounts(pods, account => !old.includes(account))
      assert.equal((await watch.look()).size, pods.length)
    }
  }
  await ended('shop', 'shop')
  await watch.until(count => count === 0, 5_000)
})

test('three pods that log in all the time with accounts of twenty seconds are always let in, by kill -9 of server and agents', async () => {
  const namespace = await cluster.newNamespace()
  await person.run(['setup', 'workload', `-namespace=${namespace}`, '-service-account=app', '-read=soak/creds/short'])
  // So that tokens, too, reach their end on the way.
  await person.run(['write', 'auth/kubernetes/role/app', 'token_ttl=40s', 'token_max_ttl=90s'])
  await writeRole('short', 'default_ttl=20s', 'max_ttl=60s')
  const configMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'script' },
    data: { 'app.cjs': await script() },
  }
  const input = [configMap, loginDeployment].map(object => JSON.stringify(object)).join('\n---\n')
  await using watch = new AccountWatch(postgres.url, 'v-%-short-%')
  await watch.start()
  await cluster.kubectl(['create', '-f', '-'], { namespace, input })
  await cluster.kubectl(['rollout', 'status', 'deploy/app', '--timeout=120s'], { namespace, timeoutMs: 130_000 })
  const pods = await podsOf(namespace, 'app')
  assert.equal(pods.length, replicas)

  await sleep(quietMs)
  await kill('server')
  await sleep(quietMs)
  // While a pod changes over, and has two: its next agent must know of both.
  await watch.until(accounts => accounts > replicas, 60_000)
  await kill('agent')
  await sleep(quietMs)

  for (const pod of pods) {
    assert.equal(await logs(namespace, pod, 'app'), '', `${pod}\n${await logs(namespace, pod, 'vault-agent')}`)
    assert.match(await logs(namespace, pod, 'vault-agent'), /token and secrets of the agent before are taken over/)
  }
  await cluster.kubectl(['scale', 'deploy/app', '--replicas=0'], { namespace })
  await ended(namespace, 'app')
  // Their leases would go on for up to twenty seconds.
  await watch.until(accounts => accounts === 0, 5_000)
  await watch.judge()
})

test('a pod that does not ask for it leaves its account behind, which ends with its lease', async () => {
  const namespace = await cluster.newNamespace()
  const flags = [`-namespace=${namespace}`, '-service-account=app', '-role=plain', '-read=soak/creds/plain']
  await person.run(['setup', 'workload', ...flags])
  await writeRole('plain', 'default_ttl=30s')
  await using watch = new AccountWatch(postgres.url, 'v-%-plain-%')
  await watch.start()
  const input = JSON.stringify(deployment('plain', annotated('plain', 'soak/creds/plain')))
  await cluster.kubectl(['create', '-f', '-'], { namespace, input })
  await cluster.kubectl(['rollout', 'status', 'deploy/plain', '--timeout=60s'], { namespace, timeoutMs: 70_000 })
  await cluster.kubectl(['delete', 'deploy/plain'], { namespace })
  await ended(namespace, 'plain')
  await watch.until(accounts => accounts === 1, 0)
  await watch.until(accounts => accounts === 0, 40_000)
})

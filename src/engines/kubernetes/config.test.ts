import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'
import { kubernetesSecretsWith } from './engine.ts'
import { ScriptedCluster } from './scripted-cluster.ts'

const inPod = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT_HTTPS: '443' }

async function open(options: { env?: Record<string, string>; folder?: string } = {}) {
  const cluster = new ScriptedCluster()
  const { env = {}, folder = '/nowhere' } = options
  const engine = kubernetesSecretsWith({ folder, transport: cluster.transport })
  const server = await openTestMount(engine, { services: { environment: env } })
  return { cluster, server }
}

const write = (server: TestServer, body: object) => server.ask('POST', 'kubernetes/config', { body: { ...body } })
const read = (server: TestServer) => server.ask('GET', 'kubernetes/config')
const host = { kubernetes_host: 'https://10.96.0.1:443' }

async function askCreds(server: TestServer) {
  const role = { allowed_kubernetes_namespaces: 'shop', service_account_name: 'app' }
  await server.ask('POST', 'kubernetes/roles/app', { body: role })
  return server.ask('POST', 'kubernetes/creds/app', { body: {} })
}

const wrapped = (text: string): string => `1 error occurred:\n\t* ${text}\n\n`

test('kubernetes secrets config: 404 before it is written and after it is deleted', async () => {
  const { server } = await open()
  await using _ = server
  for (let i = 0; i < 2; i++) {
    const none = await read(server)
    assert.deepEqual([none.status, none.body], [404, { errors: [] }])
    assert.equal((await write(server, host)).status, 204)
    assert.equal((await server.ask('DELETE', 'kubernetes/config')).status, 204)
  }
})

test('kubernetes secrets config: what is not sent stays, also over a restart; the token is never shown', async () => {
  const { server } = await open()
  await using _ = server
  await write(server, { ...host, service_account_jwt: 'canary', disable_local_ca_jwt: 'true' })
  await server.restart()
  await write(server, { kubernetes_host: 'https://other/' })
  const answer = await read(server)
  assert.deepEqual(answer.data, {
    kubernetes_host: 'https://other/',
    kubernetes_ca_cert: '',
    disable_local_ca_jwt: true,
  })
  assert.ok(!answer.text.includes('canary'))
  await write(server, { disable_local_ca_jwt: null })
  assert.equal((await read(server)).text.includes('"disable_local_ca_jwt":false'), true)
})

for (const [rule, body, status, error] of [
  [
    'no host, and none in the environment',
    {},
    500,
    wrapped('kubernetes_host was unset and could not be determined from environment variables'),
  ],
  [
    'a host without scheme',
    { kubernetes_host: '10.96.0.1:443' },
    400,
    'kubernetes_host must be a URL with its scheme, like https://10.96.0.1:443',
  ],
  [
    'a CA that is none',
    { ...host, kubernetes_ca_cert: 'PEM' },
    400,
    'The provided CA PEM data contains no valid certificates',
  ],
] as const) {
  test(`kubernetes secrets config: refused: ${rule}`, async () => {
    const { server } = await open()
    await using _ = server
    const answer = await write(server, body)
    assert.deepEqual([answer.status, answer.errors], [status, [error]])
    assert.equal((await read(server)).status, 404)
  })
}

for (const [rule, env, status, errors] of [
  ['in a pod', inPod, 204, []],
  ['outside', {}, 400, ['Missing environment variables: KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT_HTTPS']],
  ['half', { KUBERNETES_SERVICE_HOST: '::1' }, 400, ['Missing environment variables: KUBERNETES_SERVICE_PORT_HTTPS']],
] as const) {
  test(`kubernetes secrets check: ${rule}`, async () => {
    const { server } = await open({ env })
    await using _ = server
    const answer = await server.ask('GET', 'kubernetes/check')
    assert.deepEqual([answer.status, answer.errors, answer.text === ''], [status, errors, status === 204])
  })
}

test('kubernetes secrets: in a pod its own token asks, and the new one when the kubelet replaced it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-kube-secrets-'))
  try {
    const { server, cluster } = await open({ env: inPod, folder })
    await using _ = server
    cluster.use(server.world.clock)
    await writeFile(join(folder, 'ca.crt'), 'ca')
    await writeFile(join(folder, 'token'), 'first')
    assert.equal((await write(server, {})).status, 204)
    await askCreds(server)
    await writeFile(join(folder, 'token'), 'second')
    await server.world.clock.advance(60_000)
    assert.equal((await askCreds(server)).status, 200)
    assert.deepEqual(
      cluster.asked.map(({ bearer }) => bearer),
      ['first', 'second'],
    )
  } finally {
    await rm(folder, { recursive: true })
  }
})

for (const [rule, config, bearer] of [
  ['the token of the configuration asks', { ...host, service_account_jwt: 'jwt', disable_local_ca_jwt: true }, 'jwt'],
  ['without any token nobody asks', { ...host, disable_local_ca_jwt: true }, ''],
  [
    'a host of plain HTTP needs no CA',
    { kubernetes_host: 'http://127.0.0.1:8001/', service_account_jwt: 'jwt' },
    'jwt',
  ],
] as const) {
  test(`kubernetes secrets: ${rule}`, async () => {
    const { server, cluster } = await open()
    await using _ = server
    cluster.use(server.world.clock)
    await write(server, config)
    assert.equal((await askCreds(server)).status, 200)
    assert.deepEqual(
      cluster.asked.map(ask => ask.bearer),
      [bearer],
    )
  })
}

test('kubernetes secrets: a new configuration counts at once', async () => {
  const { server, cluster } = await open()
  await using _ = server
  cluster.use(server.world.clock)
  for (const jwt of ['one', 'two']) {
    await write(server, { ...host, service_account_jwt: jwt, disable_local_ca_jwt: true })
    await askCreds(server)
  }
  assert.deepEqual(
    cluster.asked.map(({ bearer }) => bearer),
    ['one', 'two'],
  )
})

for (const [rule, prepare, error] of [
  ['no configuration', async () => undefined, /\* could not load backend configuration\n/],
  [
    'a pod without a CA file',
    (server: TestServer) => write(server, { ...host, service_account_jwt: 'jwt' }),
    /\* failed to create a service account token for shop\/app: kubernetes\/config: cannot read \/nowhere\/ca\.crt/,
  ],
  [
    'a host that was cleared outside of a pod',
    async (server: TestServer) => {
      const { view } = server.house.mounts.at('kubernetes/')!
      const { configEntries } = await import('./config.ts')
      const key = configEntries.key('config')
      await view.update(key, () => ({ entry: { host: '', caCert: '', jwt: 'x', disablesLocal: true }, result: null }))
    },
    /\* kubernetes_host was unset and could not determine it from environment variables\n/,
  ],
] as const) {
  test(`kubernetes secrets: no credentials with ${rule}`, async () => {
    const { server } = await open()
    await using _ = server
    await prepare(server)
    const answer = await askCreds(server)
    assert.equal(answer.status, 500)
    assert.match(answer.errors.join(), error)
  })
}

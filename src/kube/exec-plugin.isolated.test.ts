import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock, virtualClock } from '#ground/base/clock.ts'
import { simWorld } from '#ground/base/world.ts'
import type { ExecPlugin, KubeConfig } from './config.ts'
import { credentialsOf } from './credentials.ts'
import { type PluginOptions, runPlugin } from './exec-plugin.ts'

const signal = new AbortController().signal
const options: PluginOptions = { clock: systemClock, env: process.env, cluster: null, isInteractive: false, signal }
const v1 = 'client.authentication.k8s.io/v1'

const plugin = (code: string, more: Partial<ExecPlugin> = {}): ExecPlugin => ({
  apiVersion: v1,
  command: process.execPath,
  args: ['-e', code],
  env: [],
  installHint: null,
  provideClusterInfo: false,
  interactiveMode: 'Never',
  clusterConfig: null,
  ...more,
})

const says = (answer: unknown): string => `process.stdout.write(${JSON.stringify(JSON.stringify(answer))})`
const credential = (status: unknown): string => says({ apiVersion: v1, kind: 'ExecCredential', status })

test('an exec plugin gives a token and its end', async () => {
  const got = await runPlugin(
    plugin(credential({ token: 't', expirationTimestamp: '2026-01-01T00:00:00Z' })),
    'test',
    options,
  )
  assert.equal(got.token?.reveal('test'), 't')
  assert.equal(got.expiresAt, 1_767_225_600_000)
  assert.equal(got.certificate, null)
})

test('an exec plugin gives a client certificate', async () => {
  const code = credential({ clientCertificateData: 'C', clientKeyData: 'K' })
  const got = await runPlugin(plugin(code), 'test', options)
  assert.equal(got.certificate?.certificate, 'C')
  assert.equal(got.certificate.key.reveal('test'), 'K')
})

test('an exec plugin gets its own env, KUBERNETES_EXEC_INFO with the cluster, and no shell', async () => {
  const code = `const i = JSON.parse(process.env.KUBERNETES_EXEC_INFO); process.stdout.write(JSON.stringify({
    apiVersion: i.apiVersion, kind: i.kind, status: {token: JSON.stringify([i.spec, process.env.OWN, process.argv[1]])}}))`
  const one = plugin(code, { env: [['OWN', '$HOME']], provideClusterInfo: true })
  const got = await runPlugin({ ...one, args: [...one.args, '$(id)'] }, 'test', {
    ...options,
    cluster: { server: 'https://k' },
  })
  assert.deepEqual(JSON.parse(got.token?.reveal('test') ?? ''), [
    { cluster: { server: 'https://k' }, interactive: false },
    '$HOME',
    '$(id)',
  ])
})

const refusals: readonly (readonly [rule: string, plugin: ExecPlugin, want: RegExp])[] = [
  [
    'that is missing gives its install hint',
    plugin('', { command: 'coffer-no-such-plugin', installHint: 'See https://x' }),
    /exec plugin "coffer-no-such-plugin" is not installed \(not found in PATH\); See https:\/\/x/,
  ],
  [
    'that fails gives its last words',
    plugin('console.error("please log in"); process.exit(3)'),
    /ended with exit code 3: please log in/,
  ],
  [
    'that prints no JSON is told so, without the text',
    plugin('console.log("tok-secret")'),
    /printed no JSON; it must print an ExecCredential$/,
  ],
  [
    'of another version',
    plugin(
      says({ apiVersion: 'client.authentication.k8s.io/v1beta1', kind: 'ExecCredential', status: { token: 't' } }),
    ),
    /answered apiVersion "client\.authentication\.k8s\.io\/v1beta1", configured is/,
  ],
  ['of another kind', plugin(says({ kind: 'Pod' })), /printed no ExecCredential$/],
  ['without status', plugin(credential(null)), /without status/],
  ['without anything', plugin(credential({})), /gave neither status\.token nor/],
  ['with half a certificate', plugin(credential({ clientCertificateData: 'C' })), /together/],
  ['with a bad end', plugin(credential({ token: 't', expirationTimestamp: 'tomorrow' })), /no RFC 3339 time/],
  [
    'that prints without end',
    plugin('setInterval(() => process.stdout.write("x".repeat(65536)), 1)'),
    /printed more than 1048576 bytes/,
  ],
  ['that needs a terminal', plugin('', { interactiveMode: 'Always' }), /needs a terminal/],
]

for (const [rule, one, want] of refusals) {
  test(`an exec plugin ${rule}`, async () => {
    await assert.rejects(runPlugin(one, 'test', options), want)
  })
}

test('an exec plugin that hangs is killed after a minute', async () => {
  const clock = virtualClock()
  const running = runPlugin(plugin('setInterval(() => {}, 1000)'), 'test', { ...options, clock })
  const refused = assert.rejects(running, /gave no answer within 60 s/)
  await clock.advance(60_000)
  await refused
})

test('a plugin runs once for callers at the same time, and again before its answer ends or after a 401', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'coffer-plugin-'))
  try {
    const path = join(dir, 'plugin')
    const runs = join(dir, 'runs')
    await writeFile(runs, '')
    // 2026-01-01T00:01:00Z is a minute after the virtual clock's beginning.
    await writeFile(
      path,
      `#!${process.execPath}\nconst f = require('fs'); f.appendFileSync(${JSON.stringify(runs)}, 'x'); ${credential({ token: 't', expirationTimestamp: '2026-01-01T00:01:00Z' })}`,
    )
    await chmod(path, 0o755)
    const world = simWorld({ seed: 1 })
    const config: KubeConfig = {
      server: 'https://k',
      ca: { kind: 'system' },
      isInsecure: false,
      serverName: null,
      namespace: 'default',
      auth: { kind: 'exec', plugin: plugin('', { command: path, args: [] }) },
      clientCertificate: null,
      impersonate: null,
      origin: 'test',
    }
    const source = credentialsOf(config, { ...world, env: process.env })
    const count = async (): Promise<number> => (await readFile(runs, 'utf8')).length
    await Promise.all([source.current(), source.current(), source.current()])
    assert.equal(await count(), 1)
    await world.clock.advance(20_000)
    await source.current()
    assert.equal(await count(), 1)
    await world.clock.advance(10_000)
    await source.current()
    assert.equal(await count(), 2)
    source.refused()
    await source.current()
    assert.equal(await count(), 3)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})

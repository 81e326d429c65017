import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Secret } from '#ground/base/secret.ts'
import { simWorld } from '#ground/base/world.ts'
import type { KubeConfig } from './config.ts'
import { credentialsOf } from './credentials.ts'
import { inClusterConfig } from './in-cluster.ts'

const base: KubeConfig = {
  server: 'https://k',
  ca: { kind: 'system' },
  isInsecure: false,
  serverName: null,
  namespace: 'default',
  auth: { kind: 'none' },
  clientCertificate: null,
  impersonate: null,
  origin: 'test',
}

async function folder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'coffer-credentials-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

const shown = (token: Secret | null): string | null => token?.reveal('test') ?? null

test('a token file is read again after ten seconds, and at once after a 401', async () => {
  await using dir = await folder()
  const world = simWorld({ seed: 1 })
  const path = join(dir.path, 'token')
  await writeFile(path, 'one\n')
  const source = credentialsOf({ ...base, auth: { kind: 'token-file', path, fallback: null } }, world)
  assert.equal(shown((await source.current()).token), 'one')
  await writeFile(path, 'two')
  assert.equal(shown((await source.current()).token), 'one')
  await world.clock.advance(10_000)
  assert.equal(shown((await source.current()).token), 'two')
  await writeFile(path, 'three')
  assert.equal(source.refused(), true)
  assert.equal(shown((await source.current()).token), 'three')
})

test('a token file that is gone for a moment leaves the last token', async () => {
  await using dir = await folder()
  const world = simWorld({ seed: 1 })
  const path = join(dir.path, 'token')
  await writeFile(path, 'one')
  const source = credentialsOf({ ...base, auth: { kind: 'token-file', path, fallback: null } }, world)
  await source.current()
  await rename(path, `${path}.old`)
  source.refused()
  assert.equal(shown((await source.current()).token), 'one')
})

test('a token file that was never there names itself, or gives the fallback', async () => {
  const world = simWorld({ seed: 1 })
  const auth = { kind: 'token-file', path: '/nowhere/token', fallback: null } as const
  await assert.rejects(
    credentialsOf({ ...base, auth }, world).current(),
    /test: cannot read token file \/nowhere\/token: ENOENT/,
  )
  const withFallback = credentialsOf({ ...base, auth: { ...auth, fallback: new Secret('f') } }, world)
  assert.equal(shown((await withFallback.current()).token), 'f')
})

test('an empty token file is refused', async () => {
  await using dir = await folder()
  const path = join(dir.path, 'token')
  await writeFile(path, ' \n')
  const source = credentialsOf({ ...base, auth: { kind: 'token-file', path, fallback: null } }, simWorld({ seed: 1 }))
  await assert.rejects(source.current(), /token file .* is empty/)
})

test('a fixed token has nothing else to give after a 401', () => {
  const source = credentialsOf({ ...base, auth: { kind: 'token', token: new Secret('x') } }, simWorld({ seed: 1 }))
  assert.equal(source.refused(), false)
})

test('in a pod, address, account and namespace come from the environment and the mounted folder', async () => {
  await using dir = await folder()
  await writeFile(join(dir.path, 'token'), 't')
  await writeFile(join(dir.path, 'namespace'), 'shop')
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }
  const config = await inClusterConfig(env, dir.path)
  assert.equal(config.server, 'https://[fd00::1]:443')
  assert.equal(config.namespace, 'shop')
  assert.deepEqual(config.ca, { kind: 'file', path: join(dir.path, 'ca.crt') })
  await assert.rejects(inClusterConfig({}, dir.path), /not in a cluster/)
  await assert.rejects(inClusterConfig(env, join(dir.path, 'none')), /mount a service account token/)
})

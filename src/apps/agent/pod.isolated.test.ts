import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { instant, systemClock } from '#ground/base/clock.ts'
import { systemEntropy } from '#ground/base/entropy.ts'
import { silentLog } from '#ground/base/log.ts'
import { issueAuthority, issueLeaf } from '#ground/crypto/issue-certificate.ts'
import { listen } from '#ground/http/server.ts'

// The agent as an injected pod starts it: a role, a token that the kubelet put there, a CA in the environment.

const main = fileURLToPath(new URL('../../main.ts', import.meta.url))
const limit = { signal: AbortSignal.timeout(60_000) }

let folder = ''
let address = ''
let server: ChildProcess

function start(argv: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const { PATH = '' } = process.env
  return spawn(process.execPath, ['--no-warnings', main, ...argv], {
    env: { PATH, HOME: folder, ...env },
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function write(path: string, body: unknown): Promise<void> {
  const headers = { 'X-Vault-Token': 'root' }
  const answer = await fetch(`${address}/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  assert.ok(answer.status < 300, await answer.text())
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const account = { namespace: 'shop', serviceaccount: { name: 'app', uid: 'uid-of-app' } }
const jwt = `${encode({ alg: 'RS256' })}.${encode({ aud: ['api'], 'kubernetes.io': account })}.c2ln`

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-pod-'))
  await writeFile(join(folder, 'jwt'), jwt)
  server = start([
    'server',
    '-dev',
    '-dev-no-store-token',
    '-dev-root-token-id=root',
    '-dev-listen-address=127.0.0.1:0',
  ])
  let said = ''
  for await (const chunk of server.stdout!.iterator({ destroyOnReturn: false })) {
    said += String(chunk)
    address = /Api Address: (\S+)/.exec(said)?.[1] ?? ''
    if (said.includes('server started')) break
  }
  server.stdout!.resume()
  server.stderr!.resume()
  await write('sys/auth/kubernetes', { type: 'kubernetes' })
  // Nobody listens there: what is refused below is refused before the API server is asked.
  await write('auth/kubernetes/config', { kubernetes_host: 'https://127.0.0.1:1', token_reviewer_jwt: 'reviewer' })
  const bound = { bound_service_account_names: 'app', bound_service_account_namespaces: 'shop' }
  await write('auth/kubernetes/role/other-account', { ...bound, bound_service_account_names: 'other' })
  await write('auth/kubernetes/role/other-namespace', { ...bound, bound_service_account_namespaces: 'bank' })
  await write('auth/kubernetes/role/other-audience', { ...bound, audience: 'vault' })
  await write('auth/kubernetes/role/fits', bound)
})
after(async () => {
  server.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

/** As the injector writes it for the init container. */
const config = (role: string, at: string): string =>
  JSON.stringify({
    auto_auth: {
      method: {
        type: 'kubernetes',
        mount_path: 'auth/kubernetes',
        config: { role, token_path: join(folder, 'jwt') },
        min_backoff: '10ms',
      },
      sink: [{ type: 'file', config: { path: join(folder, `${role}.sink`) } }],
    },
    exit_after_auth: true,
    vault: { address: at },
  })

type End = { readonly code: number | null; readonly log: string; readonly told: string }

async function run(name: string, text: string, env: Record<string, string> = {}): Promise<End> {
  const path = join(folder, `${name}.json`)
  const told = join(folder, `${name}.termination-log`)
  await writeFile(path, text)
  await writeFile(told, '')
  const child = start(['agent', `-config=${path}`], { COFFER_TERMINATION_LOG: told, ...env })
  let log = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', chunk => (log += String(chunk)))
  const [code] = (await once(child, 'close', limit)) as [number | null]
  return { code, log, told: readFileSync(told, 'utf8') }
}

for (const [role, code, text, hint] of [
  [
    'nobody',
    400,
    'invalid role name "nobody"',
    /Is the role written, and the annotation vault\.hashicorp\.com\/role right\?/,
  ],
  ['other-account', 403, 'service account name not authorized', /service account is not bound to the role/],
  ['other-namespace', 403, 'namespace not authorized', /namespace is not bound to the role/],
  ['other-audience', 403, 'invalid audience (aud) claim', /audience that the pod's token is not made for/],
  ['fits', 403, 'permission denied', /login refused 3 times/],
] as const) {
  test(
    `agent in a pod: three answers of ${code} end it with 1 and the kubelet is told why: ${text}`,
    limit,
    async () => {
      const { code: ended, log, told } = await run(role, config(role, address))
      assert.equal(ended, 1, log)
      assert.ok(
        told.includes(
          `login refused 3 times: kubernetes role "${role}" at auth/kubernetes: Code: ${code}. Errors: ${text}`,
        ),
        told,
      )
      assert.match(told, hint)
      assert.equal(log.match(/authenticating/g)!.length >= 3, true)
      assert.ok(!log.includes(jwt) && !told.includes(jwt))
    },
  )
}

test('agent in a pod: the address in the environment beats that of the configuration', limit, async () => {
  const { told } = await run('nobody', config('nobody', 'http://127.0.0.1:1'), { VAULT_ADDR: address })
  assert.match(told, /invalid role name "nobody"/)
})

test('agent in a pod: a token file that can not be written ends it before any login', limit, async () => {
  const text = config('fits', address).replace(join(folder, 'fits.sink'), join(folder, 'none', 'sink'))
  const { code, log, told } = await run('fits', text)
  assert.equal(code, 1)
  assert.match(told, /^the token sink .*none\/sink can not be written: ENOENT/)
  assert.ok(!log.includes('authenticating'))
})

test('agent in a pod: the CA is taken from VAULT_CACERT_BYTES, as PEM and as base64 of it', limit, async () => {
  const now = systemClock.now()
  const world = { clock: systemClock, entropy: systemEntropy }
  const validity = { notBefore: instant(now - 60_000), notAfter: instant(now + 3_600_000) }
  const authority = issueAuthority(world, { commonName: 'test CA', ...validity })
  const leaf = issueLeaf(world, authority, {
    commonName: 'vault',
    ipAddresses: ['127.0.0.1'],
    usage: 'server',
    ...validity,
  })
  const body = JSON.stringify({
    auth: { client_token: 'hvs.test', lease_duration: 0, renewable: false, accessor: 'a' },
  })
  const listening = await listen({
    address: { host: '127.0.0.1', port: 0 },
    tls: { certificate: leaf.certificate, key: leaf.key },
    clock: systemClock,
    log: silentLog,
    handler: () => ({ status: 200, headers: [['Content-Type', 'application/json']], body }),
  })
  try {
    const at = `https://127.0.0.1:${'port' in listening.address ? listening.address.port : 0}`
    const base64 = Buffer.from(authority.certificate).toString('base64')
    for (const bytes of [authority.certificate, base64]) {
      const { code, log } = await run('fits', config('fits', at), { VAULT_CACERT_BYTES: bytes })
      assert.equal(code, 0, log)
      assert.equal(readFileSync(join(folder, 'fits.sink'), 'utf8'), 'hvs.test')
      await rm(join(folder, 'fits.sink'))
    }
    const bad = await run('fits', config('fits', at), { VAULT_CACERT_BYTES: 'nonsense' })
    assert.equal(bad.code, 1)
    assert.match(bad.told, /CA certificate bytes: no PEM block found/)
  } finally {
    await listening.close({ graceMs: 0 })
  }
})

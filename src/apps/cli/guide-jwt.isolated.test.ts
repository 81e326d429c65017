import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { simWorld } from '#ground/base/world.ts'
import { systemClock } from '#ground/base/clock.ts'
import { jwtAuth, oidcAuth } from '#auth/jwt/engine.ts'
import { openProvider, providerClient, type RealProvider } from '#auth/jwt/provider.lab.ts'
import { openSigner, openWeb } from '#auth/jwt/signer.lab.ts'
import { kvV2 } from '#engines/kv/v2/engine.ts'
import { startReal } from '#core/testing/real-server.ts'
import { cliCommand } from './command.ts'
import { type Run, runCommand } from './stub-server.ts'

const job = openSigner('job', 'rsa')
const cluster = openSigner('cluster', 'rsa')
const world = { ...simWorld({ seed: 1 }), clock: systemClock }

type Person = { readonly provider: RealProvider; readonly name: string }

/** Runs `login -method=oidc`, and is the person who sees the address on the terminal. */
async function logInAs({ provider, name }: Person, argv: readonly string[], env: Record<string, string>): Promise<Run> {
  let seen = ''
  const address = Promise.withResolvers<string>()
  const run = runCommand(cliCommand('login'), argv, {
    env,
    world,
    stderr(text) {
      seen += text
      const found = /\n {4}(http\S+)\n/.exec(seen)?.[1]
      if (found !== undefined) address.resolve(found)
    },
  })
  const first = await Promise.race([address.promise, run.then(end => end.code)])
  assert.equal(typeof first, 'string', seen)
  const back = await provider.browse(first as string, name)
  await provider.visit(back)
  return run
}

test('the guide on signed tokens: its commands, in their order, with a real provider', async () => {
  const guide = await readFile(join(import.meta.dirname, '../../../docs/guides/jwt.md'), 'utf8')
  const commands = [...guide.matchAll(/^\$ coffer (.*)$/gm)].map(match => match[1]!)
  const folder = await mkdtemp(join(tmpdir(), 'coffer-jwt-'))
  await using web = await openWeb()
  await using provider = await openProvider(['http://localhost:8250/oidc/callback'])
  const now = Math.trunc(systemClock.now() / 1000)
  web.pages.set('/.well-known/openid-configuration', { issuer: web.url, jwks_uri: `${web.url}/keys` })
  web.pages.set('/keys', { keys: [job.jwk] })
  const times = { iat: now, exp: now + 300, aud: 'coffer' }
  const files = {
    'deploy.json': /```json\n([\s\S]*?)```/.exec(guide)![1]!,
    token: job.sign({ ...times, iss: web.url, repository: 'acme/shop', ref: 'refs/tags/v1' }),
    'client-secret': providerClient.oidc_client_secret,
    'jwks.json': JSON.stringify({ keys: [cluster.jwk] }),
    'account-token': cluster.sign({
      ...times,
      iss: 'https://kubernetes.default.svc.cluster.local',
      sub: 'system:serviceaccount:shop:app',
    }),
  }
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
    await using real = await startReal([jwtAuth, oidcAuth], { start: systemClock.now() })
    for (const line of commands) {
      const [name = '', ...argv] = line
        .replaceAll('https://token.actions.githubusercontent.com', web.url)
        .replaceAll('https://login.example.com', provider.issuer)
        .split(' ')
      const isLogin = name === 'login'
      const env = { VAULT_ADDR: real.address, HOME: folder, ...(!isLogin && { VAULT_TOKEN: real.rootToken }) }
      const end = line.includes('-method=oidc')
        ? await logInAs({ provider, name: 'bob' }, [...argv, 'port=0', 'skip_browser=true'], env)
        : await runCommand(cliCommand(name), argv, { env, cwd: folder })
      assert.equal(end.code, 0, `${line}: ${end.stderr}`)
      if (isLogin) assert.match(end.stdout, /\ntoken_meta_role +(deploy|dev|app)\n/)
    }
    const other = await runCommand(cliCommand('login'), ['-method=jwt', 'role=deploy', 'jwt=-'], {
      env: { VAULT_ADDR: real.address, HOME: folder },
      input: job.sign({ ...times, iss: web.url, repository: 'acme/shop', ref: 'refs/heads/x' }),
    })
    assert.equal(other.code, 2)
    assert.match(other.stderr, /claim "ref" does not match any associated bound claim values/)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('the guide on signed tokens: coffer run logs in by the environment', async () => {
  await using real = await startReal([jwtAuth, kvV2], { start: systemClock.now() })
  const operator = { VAULT_ADDR: real.address, VAULT_TOKEN: real.rootToken, HOME: '/nonexistent' }
  for (const line of [
    'auth enable jwt',
    'write auth/jwt/config jwt_validation_pubkeys=@key.pem',
    'write auth/jwt/role/deploy role_type=jwt bound_audiences=coffer user_claim=sub token_policies=deploy',
    'secrets enable -path=secret -version=2 kv',
    'kv put secret/shop word=open',
    'write sys/policies/acl/deploy policy=-',
  ]) {
    const [name = '', ...argv] = line.replace('@key.pem', '-').split(' ')
    const input = line.includes('@key.pem') ? job.publicPem : 'path "secret/data/shop" { capabilities = ["read"] }'
    const end = await runCommand(cliCommand(name), argv, { env: operator, input })
    assert.equal(end.code, 0, `${line}: ${end.stderr}`)
  }
  const now = Math.trunc(systemClock.now() / 1000)
  const login = { VAULT_AUTH_METHOD: 'jwt', VAULT_AUTH_ROLE: 'deploy' }
  const env = { VAULT_ADDR: real.address, HOME: '/nonexistent', PATH: process.env['PATH'], ...login }
  const argv = ['-env', 'WORD=secret/shop#word', '--', 'sh', '-c', 'test "$WORD" = open && test -z "$VAULT_ID_TOKEN"']
  for (const [by, code] of [
    [job, 0],
    [cluster, 2],
  ] as const) {
    const jwt = by.sign({ iat: now, exp: now + 300, aud: 'coffer', sub: 'job' })
    const end = await runCommand(cliCommand('run'), argv, { world, env: { ...env, VAULT_ID_TOKEN: jwt } })
    assert.equal(end.code, code, end.stderr)
    assert.ok(!end.stderr.includes(jwt))
  }
})

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { instant, systemClock } from '#ground/base/clock.ts'
import { systemEntropy } from '#ground/base/entropy.ts'
import { simWorld } from '#ground/base/world.ts'
import { type Compute, computeTasks } from '#ground/compute/tasks.ts'
import { issueAuthority, issueLeaf } from '#ground/crypto/issue-certificate.ts'
import { approleAuth } from '#auth/approle/engine.ts'
import { certAuth } from '#auth/cert/engine.ts'
import { jwtAuth } from '#auth/jwt/engine.ts'
import { openSigner, openWeb } from '#auth/jwt/signer.lab.ts'
import { userpassAuth } from '#auth/userpass/engine.ts'
import { startReal } from '#core/testing/real-server.ts'
import { cliCommand } from './command.ts'
import { type Run, runCommand } from './stub-server.ts'

const guide = await readFile(join(import.meta.dirname, '../../../docs/guides/auth.md'), 'utf8')
/** Each with what it reads, up to RULES, and the file that takes what it prints. */
const commands = [
  ...guide.replaceAll(/\\\n +/g, '').matchAll(/^\$ coffer (.*?)(?: <<RULES\n([^]*?)\nRULES)?(?: > (\S+))?$/gm),
].map(([, line, input, file]) => ({ line: line!, input, file }))

const issuer = 'https://token.actions.githubusercontent.com'
const job = openSigner('job', 'rsa')
const world = { ...simWorld({ seed: 1 }), clock: systemClock }

/** The real hashing of passwords, on this thread. */
const compute: Compute = {
  run: async (task, payload) => (computeTasks[task] as (payload: unknown) => never)(payload),
}

/** Authority, server and client, as the files of the page; what the server needs is handed back. */
async function issueInto(folder: string) {
  const now = systemClock.now()
  const validity = { notBefore: instant(now - 60_000), notAfter: instant(now + 3_600_000) }
  const by = { clock: systemClock, entropy: systemEntropy }
  const ca = issueAuthority(by, { commonName: 'CA', ...validity })
  const client = issueLeaf(by, ca, { commonName: 'web-1', usage: 'client', ...validity })
  await writeFile(join(folder, 'ca.pem'), ca.certificate)
  await writeFile(join(folder, 'web.pem'), client.certificate)
  await writeFile(join(folder, 'web-key.pem'), client.key.reveal('the file of a test'))
  const { certificate, key } = issueLeaf(by, ca, {
    commonName: 'coffer',
    usage: 'server',
    ipAddresses: ['127.0.0.1'],
    ...validity,
  })
  return { certificate, key }
}

test('the guide on auth methods: its commands, in their order, over TLS', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-auth-'))
  try {
    await using web = await openWeb()
    const now = Math.trunc(systemClock.now() / 1000)
    web.pages.set('/.well-known/openid-configuration', { issuer: web.url, jwks_uri: `${web.url}/keys` })
    web.pages.set('/keys', { keys: [job.jwk] })
    const claims = { iss: web.url, aud: 'coffer', sub: 'repo:acme/shop:ref:refs/heads/main', repository: 'acme/shop' }
    await writeFile(join(folder, 'job-token'), job.sign({ ...claims, iat: now, exp: now + 300 }))
    await writeFile(join(folder, 'password'), 's3cret')
    const tls = await issueInto(folder)
    await using real = await startReal([jwtAuth, approleAuth, certAuth, userpassAuth], { tls, services: { compute } })
    const run = (line: string, isLogin: boolean, input?: string): Promise<Run> => {
      const [name = '', ...argv] = line
        .replaceAll(issuer, web.url)
        .replaceAll(/(?<==)([\w-]+\.pem)/g, `${folder}/$1`)
        .split(' ')
      const env = { VAULT_ADDR: real.address, VAULT_CACERT: join(folder, 'ca.pem'), HOME: folder }
      return runCommand(cliCommand(name), argv, {
        env: { ...env, ...(!isLogin && { VAULT_TOKEN: real.rootToken }) },
        world,
        cwd: folder,
        ...(input !== undefined && { input }),
      })
    }
    const said: Record<string, string> = {}
    for (const { line, input, file } of commands) {
      if (line.includes('$REQUEST_ID')) continue
      const isLogin = line.startsWith('login')
      const end = await run(line.replace('username=bob', 'username=bob password=s3cret'), isLogin, input)
      assert.equal(end.code, 0, `${line}: ${end.stderr}`)
      if (isLogin) assert.match(end.stdout, /^token_policies +\["app" "default"\]$/m, line)
      if (file !== undefined) await writeFile(join(folder, file), end.stdout)
      said[line.split(' ').slice(0, 2).join(' ')] = end.stdout
    }
    assert.match(said['login -method=approle']!, /^token +hvb\./m)
    assert.match(said['token create']!, /^token +hvb\./m)

    const refused = await run('login -method=approle -no-store role_id=@role-id secret_id=@secret-id', true)
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /invalid role or secret ID/)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('the guide on auth methods: a refused login is explained by its request id', async () => {
  await using real = await startReal([userpassAuth], { services: { compute } })
  const env = { VAULT_ADDR: real.address, VAULT_TOKEN: real.rootToken, HOME: '/nonexistent' }
  const run = async (line: string): Promise<string> => {
    const [name = '', ...argv] = line.split(' ')
    const end = await runCommand(cliCommand(name), argv, { env, world })
    assert.equal(end.code, 0, `${line}: ${end.stderr}`)
    return end.stdout
  }
  await run('auth enable userpass')
  await run('write auth/userpass/users/bob password=s3cret')
  const explain = commands.find(({ line }) => line.includes('$REQUEST_ID'))!.line
  const answers: string[] = []
  const reasons: string[] = []
  for (const name of ['bob', 'nobody']) {
    const address = `${real.address}/v1/auth/userpass/login/${name}`
    const refused = await fetch(address, { method: 'POST', body: '{"password":"wrong"}' })
    answers.push(`${refused.status} ${await refused.text()}`)
    const said = await run(explain.replace('$REQUEST_ID', refused.headers.get('x-coffer-request-id')!))
    reasons.push(/^Reason +(.+)$/m.exec(said)![1]!)
  }
  assert.equal(answers[0], answers[1])
  assert.notEqual(reasons[0], reasons[1])
})

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'yaml'
import { openSigner, openWeb, type Web } from '#auth/jwt/signer.lab.ts'
import { type DevServer, startDev } from './dev-server.lab.ts'
import { guideText, scriptOf, Shell, type ShellEnd } from './guide-shell.lab.ts'

const guide = guideText('ci.md')
const [github, gitlab, tekton] = [...guide.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(match => parse(match[1]!))
const [plain = ''] = [...guide.matchAll(/^```sh\n([^]*?)^```$/gm)].map(match => match[1]!)

const key = openSigner('ci', 'rsa')
const times = { iat: Math.trunc(Date.now() / 1000), exp: Math.trunc(Date.now() / 1000) + 300, aud: 'coffer' }
/** It has the secret, and none of what logs in. */
const deploy = `#!/bin/sh
test "$PASSWORD" = correct-horse && test -z "\${VAULT_ID_TOKEN-}\${VAULT_WRAPPED_SECRET_ID-}\${VAULT_TOKEN-}" && echo deployed
`

type Variables = Readonly<Record<string, string>>

let server: DevServer
let hub: Web
let lab: Web
const shell = new Shell()

before(async () => {
  server = await startDev()
  hub = await openWeb()
  lab = await openWeb()
  for (const { url, pages } of [hub, lab]) {
    pages.set('/.well-known/openid-configuration', { issuer: url, jwks_uri: `${url}/keys` })
    pages.set('/keys', { keys: [key.jwk] })
  }
  writeFileSync(join(shell.folder, 'jwks.json'), JSON.stringify({ keys: [key.jwk] }))
  writeFileSync(join(shell.folder, 'deploy.sh'), deploy, { mode: 0o755 })
  const script = scriptOf('ci.md')
    .replaceAll('https://token.actions.githubusercontent.com', hub.url)
    .replaceAll('https://gitlab.example.org', lab.url)
  const { code, err } = await shell.run(script, { VAULT_ADDR: server.address, VAULT_TOKEN: 'root' })
  assert.equal(code, 0, err)
})
after(async () => {
  shell[Symbol.dispose]()
  await hub[Symbol.asyncDispose]()
  await lab[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

async function tokens(): Promise<number> {
  const root = { VAULT_ADDR: server.address, VAULT_TOKEN: 'root' }
  const { out } = await shell.run('coffer list -format=json auth/token/accessors', root)
  return (JSON.parse(out) as readonly string[]).length
}

/** Runs a job's script as its runner would. */
const job = (script: string, env: Variables): Promise<ShellEnd> =>
  shell.run(script, { ...env, VAULT_ADDR: server.address })

/** It deployed, said nothing secret, and left no token. @param spent how many of those that were there it used up. */
async function deploys(script: string, env: Variables, spent = 0): Promise<void> {
  const had = await tokens()
  const { code, out, err } = await job(script, env)
  assert.deepEqual([code, out], [0, 'deployed\n'], err)
  assert.ok(!err.includes('correct-horse'))
  assert.equal(await tokens(), had - spent)
}

async function isRefused(script: string, env: Variables, why: RegExp): Promise<void> {
  const { code, out, err } = await job(script, env)
  assert.deepEqual([code, out], [2, ''])
  assert.match(err, why)
}

test('pipelines: a runner that vouches for nobody gets a secret id that works once', async () => {
  const script = plain.replace(/^export VAULT_ADDR=.*$/m, '')
  assert.notEqual(script, plain)
  // Of a shell that says what it does: `set -x` of the test would print what it is told to export.
  const quiet = `set +x\n${script}`
  await deploys(quiet, {}, 1)
  await isRefused(quiet, {}, /wrapping token is not valid or does not exist/)
})

test('pipelines: a job of GitHub asks its runner for a token, and has the secret for its one command', async () => {
  const { env, steps } = github.jobs.deploy as { env: Variables; steps: readonly { run: string }[] }
  const claims = { ...times, iss: hub.url, repository: 'acme/shop' }
  const own = {
    ...env,
    ACTIONS_ID_TOKEN_REQUEST_URL: `${hub.url}/token?job=1`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-the-runner',
  }
  hub.pages.set('/token?job=1&audience=coffer', { value: key.sign({ ...claims, ref: 'refs/heads/main' }) })
  await deploys(steps[0]!.run, own)
  hub.pages.set('/token?job=1&audience=coffer', { value: key.sign({ ...claims, ref: 'refs/heads/fork' }) })
  await isRefused(steps[0]!.run, own, /claim "ref" does not match any associated bound claim values/)
})

test('pipelines: a job of GitLab gets its token as a variable', async () => {
  const { id_tokens: asked, variables, script } = gitlab.deploy
  assert.deepEqual(asked, { VAULT_ID_TOKEN: { aud: times.aud } })
  const claims = { ...times, iss: lab.url, project_path: 'acme/shop', ref: 'main' }
  await deploys(script[0], { ...variables, VAULT_ID_TOKEN: key.sign({ ...claims, ref_protected: 'true' }) })
  const free = { ...variables, VAULT_ID_TOKEN: key.sign({ ...claims, ref_protected: 'false' }) }
  await isRefused(script[0], free, /claim "ref_protected" does not match/)
})

test('pipelines: a task of Tekton reads the token that the kubelet keeps for it', async () => {
  const [step] = tekton.taskSpec.steps as readonly { env: readonly { name: string; value: string }[]; script: string }[]
  const env = Object.fromEntries(step!.env.map(({ name, value }) => [name, value]))
  assert.equal(env['VAULT_ID_TOKEN_FILE'], '/var/run/secrets/coffer/token')
  const file = join(shell.folder, 'token')
  const claims = { ...times, iss: 'https://kubernetes.default.svc.cluster.local' }
  writeFileSync(file, key.sign({ ...claims, sub: 'system:serviceaccount:ci:deployer' }))
  await deploys(step!.script, { ...env, VAULT_ID_TOKEN_FILE: file })
  writeFileSync(file, key.sign({ ...claims, sub: 'system:serviceaccount:ci:default' }))
  await isRefused(step!.script, { ...env, VAULT_ID_TOKEN_FILE: file }, /invalid subject \(sub\) claim/)
})

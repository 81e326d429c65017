import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, stat, watch, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../main.ts', import.meta.url))
const limit = { signal: AbortSignal.timeout(60_000) }

let folder = ''
let address = ''
let server: ChildProcess

function start(argv: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const { PATH = '' } = process.env
  return spawn(process.execPath, ['--no-warnings', main, ...argv], {
    env: { PATH, HOME: folder, COFFER_TERMINATION_LOG: join(folder, 'termination-log'), ...env },
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Waits for a text in what the process prints. */
async function printed(child: ChildProcess, wanted: string, unwanted?: string): Promise<void> {
  let text = ''
  for await (const chunk of child.stdout!.iterator({ destroyOnReturn: false })) {
    text += String(chunk)
    assert.ok(unwanted === undefined || !text.includes(unwanted), text)
    if (text.includes(wanted)) return
  }
  assert.fail(`"${wanted}" was not printed:\n${text}`)
}

async function codeOf(child: ChildProcess): Promise<number | null> {
  child.stdout!.resume()
  child.stderr!.resume()
  return child.exitCode ?? ((await once(child, 'exit', limit))[0] as number | null)
}

async function fileSays(path: string, wanted: string): Promise<void> {
  const changes = watch(folder, limit)
  const says = (): boolean => existsSync(path) && readFileSync(path, 'utf8') === wanted
  if (says()) return
  for await (const _ of changes) if (says()) return
}

async function put(value: string, name = 'app', field = 'pw'): Promise<void> {
  const answer = await fetch(`${address}/v1/secret/data/${name}`, {
    method: 'PUT',
    headers: { 'X-Vault-Token': 'root' },
    body: JSON.stringify({ data: { [field]: value } }),
  })
  assert.equal(answer.status, 200)
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  return port
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-agent-'))
  await writeFile(join(folder, 'token'), 'root')
  await writeFile(join(folder, 'termination-log'), '')
  const port = await freePort()
  address = `http://127.0.0.1:${port}`
  server = start([
    'server',
    '-dev',
    '-dev-no-store-token',
    '-dev-root-token-id=root',
    `-dev-listen-address=127.0.0.1:${port}`,
  ])
  await printed(server, 'server started')
  server.stdout!.resume()
  server.stderr!.resume()
  await put('one')
})
after(async () => {
  server.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

async function config(name: string, more = ''): Promise<string> {
  const path = join(folder, `${name}.hcl`)
  await writeFile(
    path,
    `vault { address = "${address}" }
pid_file = "${join(folder, `${name}.pid`)}"
auto_auth {
  method "token_file" { config = { token_file_path = "${join(folder, 'token')}" } }
  sink "file" { config = { path = "${join(folder, `${name}.sink`)}" } }
}
template {
  contents = "{{ with secret \\"secret/app\\" }}{{ .Data.data.pw }}{{ end }}"
  destination = "${join(folder, `${name}.out`)}"
  perms = "0600"
  ${more}
}
`,
  )
  return path
}

test('the agent renders, follows a change without a poll, and ends orderly by SIGTERM', limit, async () => {
  const child = start(['agent', `-config=${await config('stay')}`, '-log-level=debug'])
  const out = join(folder, 'stay.out')
  await printed(child, 'mode=pushed')
  await fileSays(out, 'one')
  assert.equal((await stat(out)).mode & 0o777, 0o600)
  assert.equal(readFileSync(join(folder, 'stay.sink'), 'utf8'), 'root')
  assert.equal(readFileSync(join(folder, 'stay.pid'), 'utf8').trim(), String(child.pid))
  await put('two')
  await fileSays(out, 'two')
  child.kill('SIGTERM')
  assert.equal(await codeOf(child), 0)
  assert.equal(existsSync(join(folder, 'stay.pid')), false)
})

test('the agent logs in by approle: a role id, and a secret id whose file is gone then', limit, async () => {
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ data: Record<string, string> } | null> => {
    const headers = { 'X-Vault-Token': 'root' }
    const text = body === undefined ? {} : { body: JSON.stringify(body) }
    const answer = await fetch(`${address}/v1/${path}`, { method, headers, ...text })
    assert.ok(answer.ok, `${path}: ${answer.status}`)
    return answer.status === 204 ? null : ((await answer.json()) as { data: Record<string, string> })
  }
  await ask('POST', 'sys/auth/approle', { type: 'approle' })
  await ask('PUT', 'sys/policies/acl/app', { policy: 'path "secret/data/*" { capabilities = ["read"] }' })
  await ask('POST', 'auth/approle/role/app', { token_policies: 'app', secret_id_num_uses: 1 })
  await writeFile(join(folder, 'role-id'), (await ask('GET', 'auth/approle/role/app/role-id'))!.data['role_id']!)
  await writeFile(join(folder, 'secret-id'), (await ask('POST', 'auth/approle/role/app/secret-id'))!.data['secret_id']!)
  const path = await config('approle')
  const method = `method "approle" {
    config = { role_id_file_path = "${join(folder, 'role-id')}", secret_id_file_path = "${join(folder, 'secret-id')}" }
  }`
  await writeFile(path, readFileSync(path, 'utf8').replace(/method "token_file".*/, method))
  assert.equal(await codeOf(start(['agent', `-config=${path}`, '-exit-after-auth'])), 0)
  assert.match(readFileSync(join(folder, 'approle.out'), 'utf8'), /^(?:one|two)$/)
  assert.match(readFileSync(join(folder, 'approle.sink'), 'utf8'), /^hvs\./)
  assert.equal(existsSync(join(folder, 'secret-id')), false)
  assert.ok(existsSync(join(folder, 'role-id')))
})

test('with -exit-after-auth the agent ends with 0 when all is written', limit, async () => {
  const child = start(['agent', `-config=${await config('once')}`, '-exit-after-auth'])
  assert.equal(await codeOf(child), 0)
  assert.match(readFileSync(join(folder, 'once.out'), 'utf8'), /^(?:one|two)$/)
})

test('an init agent hands over to the one that stays, which logs in nowhere and rewrites nothing', limit, async () => {
  const path = await config('pair')
  const handover = `handover { path = "${folder}" }`
  await writeFile(path, `${readFileSync(path, 'utf8')}${handover}`)
  assert.equal(await codeOf(start(['agent', `-config=${path}`, '-exit-after-auth'])), 0)
  const { ino } = await stat(join(folder, 'pair.out'))
  assert.equal((await stat(join(folder, 'handover.json'))).mode & 0o777, 0o600)
  const child = start(['agent', `-config=${path}`, '-log-level=debug'])
  await printed(child, 'mode=pushed', 'authenticating')
  // What is there anyway is not kept, but asked for.
  assert.ok(!readFileSync(join(folder, 'handover.json'), 'utf8').includes('secret/data/app'))
  assert.equal((await stat(join(folder, 'pair.out'))).ino, ino)
  child.kill('SIGKILL')
  await codeOf(child)
  // Killed, it leaves its token to its successor, which looks for what changed meanwhile.
  await put('two')
  const successor = start(['agent', `-config=${path}`, '-log-level=debug'])
  await printed(successor, 'mode=pushed', 'authenticating')
  await fileSays(join(folder, 'pair.out'), 'two')
  successor.kill('SIGTERM')
  assert.equal(await codeOf(successor), 0)
  await put('one')
})

test('a secret of kv version 1 is rendered by its path, and a change follows without a poll', limit, async () => {
  const send = async (path: string, body: unknown): Promise<void> => {
    const headers = { 'X-Vault-Token': 'root' }
    const answer = await fetch(`${address}/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    assert.equal(answer.status, 204)
  }
  await send('sys/mounts/old', { type: 'kv' })
  await send('old/app', { pw: 'first', ttl: '1h' })
  const path = await config('old')
  await writeFile(
    path,
    readFileSync(path, 'utf8').replace('secret/app', 'old/app').replace('.Data.data.pw', '.Data.pw'),
  )
  const child = start(['agent', `-config=${path}`, '-log-level=debug'])
  await printed(child, 'mode=pushed')
  await fileSays(join(folder, 'old.out'), 'first')
  await send('old/app', { pw: 'second' })
  await fileSays(join(folder, 'old.out'), 'second')
  child.kill('SIGTERM')
  assert.equal(await codeOf(child), 0)
})

test('SIGHUP reads the log level anew and leaves all else', limit, async () => {
  const path = await config('level')
  const child = start(['agent', `-config=${path}`])
  await printed(child, 'rendered')
  await writeFile(path, `log_level = "debug"\n${readFileSync(path, 'utf8')}`)
  child.kill('SIGHUP')
  await printed(child, 'log level read anew: level=debug', 'authenticating')
  child.kill('SIGTERM')
  assert.equal(await codeOf(child), 0)
})

test('a template command that fails ends -exit-after-auth with 1, and the kubelet is told why', limit, async () => {
  const child = start(['agent', `-config=${await config('fails', 'command = "exit 3"')}`, '-exit-after-auth'])
  assert.equal(await codeOf(child), 1)
  assert.match(readFileSync(join(folder, 'termination-log'), 'utf8'), /template command failed with exit code 3/)
})

test(
  'a missing field that is an error ends -exit-after-auth with 1, and the kubelet is told its name',
  limit,
  async () => {
    const path = await config('lacks', 'error_on_missing_key = true')
    await writeFile(path, readFileSync(path, 'utf8').replace('.Data.data.pw', '.Data.data.user'))
    const child = start(['agent', `-config=${path}`, '-exit-after-auth'])
    assert.equal(await codeOf(child), 1)
    assert.match(readFileSync(join(folder, 'termination-log'), 'utf8'), /lacks\.out: .*map has no entry for key "user"/)
    assert.ok(!existsSync(join(folder, 'lacks.out')))
  },
)

test('a field that vanishes and must not leaves the file and ends the agent with 1', limit, async () => {
  await put('here', 'other')
  const path = await config('vanishes', 'error_on_missing_key = true')
  const text = readFileSync(path, 'utf8').replace('secret/app', 'secret/other')
  await writeFile(path, `${text}template_config { exit_on_retry_failure = true }\n`)
  const child = start(['agent', `-config=${path}`, '-log-level=debug'])
  await printed(child, 'mode=pushed')
  await fileSays(join(folder, 'vanishes.out'), 'here')
  await put('x', 'other', 'user')
  assert.equal(await codeOf(child), 1)
  assert.match(readFileSync(join(folder, 'termination-log'), 'utf8'), /vanishes\.out: .*map has no entry for key "pw"/)
  assert.equal(readFileSync(join(folder, 'vanishes.out'), 'utf8'), 'here')
})

for (const [rule, argv, env, said] of [
  ['no configuration', [], {}, /Must specify at least one config path using -config/],
  [
    'a CA file that is missing',
    ['-config=stay.hcl'],
    { VAULT_CACERT: '/nonexistent/ca.pem' },
    /CA certificate \/nonexistent\/ca\.pem/,
  ],
  [
    'a log file in no folder',
    ['-config=stay.hcl', '-log-file=none/a.log'],
    {},
    /none\/a\.log can not be written: ENOENT/,
  ],
] as const) {
  test(`the agent ends at once with 1 and says why: ${rule}`, limit, async () => {
    const child = start(['agent', ...argv], env)
    let stderr = ''
    child.stderr!.on('data', chunk => {
      stderr += String(chunk)
    })
    child.stdout!.resume()
    const [code] = (await once(child, 'close', limit)) as [number]
    assert.equal(code, 1)
    assert.match(stderr, said)
    assert.match(readFileSync(join(folder, 'termination-log'), 'utf8'), said)
  })
}

import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { promisify } from 'node:util'
import { createAuthority } from '../test/cluster/certificates.ts'

// The server's hot paths under wrk, on loopback, with the audit file on:
//
//     sh bin/pinned bench/server.ts [seconds of each run, default 10] [secrets, default 100000]
//
// wrk (Debian's package) runs beside the server on the same machine, and so does the API server that reviews logins.

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
const seconds = Number(process.argv[2] ?? 10)
const secrets = Number(process.argv[3] ?? 100_000)
const connections = 32
const folder = mkdtempSync(join(tmpdir(), 'coffer-bench-'))
const state = { process: null as ChildProcess | null, address: '', token: '' }

const say = (text: string): void => void process.stdout.write(`${text}\n`)

async function startServer(): Promise<void> {
  const config = join(folder, 'server.json')
  writeFileSync(
    config,
    JSON.stringify({
      listener: { tcp: { address: '127.0.0.1:0', tls_disable: true } },
      storage: { sqlite: { path: join(folder, 'data') } },
      seal: { static: { current_key_id: 'one', current_key: Buffer.alloc(32, 7).toString('base64') } },
      audit_directory: folder,
      audit: { file: { options: { file_path: join(folder, 'audit.log') } } },
      log_level: 'error',
    }),
  )
  const child = spawn(join(root, 'bin/coffer'), ['server', `-config=${config}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  state.process = child
  let text = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', chunk => {
      text += String(chunk)
      if (text.includes('server started')) resolve()
    })
    child.once('exit', code => reject(new Error(`the server ended with ${code}`)))
  })
  state.address = /Api Address: (\S+)/.exec(text)?.[1] ?? ''
}

async function ask(method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(`${state.address}/v1/${path}`, {
    method,
    headers: { 'X-Vault-Token': state.token },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
  return text === '' ? null : JSON.parse(text)
}

function memory(field: 'VmRSS' | 'RssAnon'): number {
  const status = readFileSync(`/proc/${state.process!.pid}/status`, 'utf8')
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024
}

async function load(name: string, script: string): Promise<void> {
  const file = join(folder, 'wrk.lua')
  writeFileSync(file, `wrk.headers["X-Vault-Token"] = "${state.token}"\n${script}`)
  const before = cpuSeconds()
  const { stdout } = await run('wrk', [
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--latency',
    '-s',
    file,
    state.address,
  ])
  const used = cpuSeconds() - before
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? '?'
  const p99 = /99%\s+(\S+)/.exec(stdout)?.[1] ?? '?'
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? '0'
  say(
    `${name.padEnd(38)} ${rate.padStart(10)}/s   p99 ${p99.padStart(8)}   server CPU ${used.toFixed(1)} s   errors ${bad}`,
  )
}

function cpuSeconds(): number {
  const fields = readFileSync(`/proc/${state.process!.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

const toReviewer: Server = createServer((request, response) => {
  request.resume().on('end', () => {
    const user = { username: 'system:serviceaccount:default:app', uid: 'u-1', groups: [] }
    response.setHeader('Content-Type', 'application/json')
    response.end(
      JSON.stringify({
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        status: { authenticated: true, user, audiences: ['coffer'] },
      }),
    )
  })
})

async function prepareLogin(): Promise<string> {
  toReviewer.listen(0, '127.0.0.1')
  await once(toReviewer, 'listening')
  const { port } = toReviewer.address() as AddressInfo
  await ask('POST', 'sys/auth/kubernetes', { type: 'kubernetes' })
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = {
    iss: 'bench',
    aud: ['coffer'],
    exp: 4_000_000_000,
    sub: 'system:serviceaccount:default:app',
    'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'app', uid: 'u-1' } },
  }
  const jwt = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.c2ln`
  await ask('POST', 'auth/kubernetes/config', {
    kubernetes_host: `http://127.0.0.1:${port}`,
    kubernetes_ca_cert: (await createAuthority()).pem,
    token_reviewer_jwt: jwt,
    disable_local_ca_jwt: true,
  })
  await ask('POST', 'auth/kubernetes/role/app', {
    bound_service_account_names: 'app',
    bound_service_account_namespaces: 'default',
    audience: 'coffer',
    ttl: '1h',
  })
  return JSON.stringify({ role: 'app', jwt })
}

async function fill(): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < secrets) {
      const n = next++
      await ask('POST', `secret/data/cold/${n}`, { data: { username: `user-${n}`, password: 'x'.repeat(32) } })
      if (n % 20_000 === 0) process.stderr.write(`${n} secrets\n`)
    }
  }
  await Promise.all(Array.from({ length: connections }, worker))
}

/** Runs while `work` does: what one tenant may do to all others. */
async function beside(hostile: () => Promise<unknown>, width: number, work: () => Promise<void>): Promise<void> {
  const done = new AbortController()
  const loops = Array.from({ length: width }, async () => {
    while (!done.signal.aborted) await hostile().catch(() => undefined)
  })
  await work()
  done.abort()
  await Promise.all(loops)
}

try {
  say(
    `${cpus().length} CPUs, ${cpus()[0]?.model ?? ''}; ${connections} connections, ${seconds} s each, ${secrets} secrets`,
  )
  await startServer()
  const init = (await ask('PUT', 'sys/init', { recovery_shares: 1, recovery_threshold: 1 })) as { root_token: string }
  state.token = init.root_token
  say(
    `idle, just initialised: ${memory('VmRSS').toFixed(0)} MB resident, ${memory('RssAnon').toFixed(0)} MB of it its own`,
  )
  await ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } })
  await ask('POST', 'secret/data/hot', { data: { username: 'app', password: 's3cr3t' } })
  await load('kv read, one secret', 'wrk.path = "/v1/secret/data/hot"')
  await load('kv read, wrapped', 'wrk.path = "/v1/secret/data/hot"\nwrk.headers["X-Vault-Wrap-TTL"] = "60"')
  await load('token lookup-self', 'wrk.path = "/v1/auth/token/lookup-self"')
  await load(
    'kv write, durable',
    `wrk.method = "POST"\nwrk.body = '{"data":{"username":"app","password":"s3cr3t"}}'\nlocal n = 0\nrequest = function() n = n + 1 return wrk.format(nil, "/v1/secret/data/w/" .. (n % 5000)) end`,
  )
  const login = await prepareLogin()
  await load(
    'kubernetes login, immediate reviewer',
    `wrk.method = "POST"\nwrk.path = "/v1/auth/kubernetes/login"\nwrk.body = '${login}'`,
  )
  await fill()
  await load(
    'kv read, all secrets at random',
    `request = function() return wrk.format("GET", "/v1/secret/data/cold/" .. math.random(0, ${secrets - 1})) end`,
  )
  const hot = (name: string) => () => load(name, 'wrk.path = "/v1/secret/data/hot"')
  const big = { data: { text: 'x'.repeat(30 << 20) } }
  await beside(() => ask('POST', 'secret/data/big', big), 2, hot('kv read, beside writes of 30 MiB'))
  await ask('POST', 'sys/auth/userpass', { type: 'userpass' })
  await ask('POST', 'auth/userpass/users/u', { password: 'right' })
  await beside(
    () => ask('POST', 'auth/userpass/login/u', { password: 'wrong' }),
    8,
    hot('kv read, beside logins by bcrypt'),
  )
  say(`after all of it: ${memory('VmRSS').toFixed(0)} MB resident, ${memory('RssAnon').toFixed(0)} MB of it its own`)
  state.process!.kill('SIGKILL')
  await once(state.process!, 'exit')
  const started = performance.now()
  await startServer()
  await ask('GET', `secret/data/cold/${secrets - 1}`)
  say(
    `after kill -9, a read with a token from before: ${(performance.now() - started).toFixed(0)} ms from the start of the process`,
  )
} finally {
  state.process?.kill('SIGKILL')
  toReviewer.close()
  rmSync(folder, { recursive: true, force: true })
}

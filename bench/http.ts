import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { prepareLogin, reviewer } from './reviewer.ts'

// One or two running servers that speak Vault's API, under wrk; two are driven in turn, round by round.
//
//     COFFER_BENCH_TOKEN=… sh bin/pinned bench/http.ts -address=http://127.0.0.1:8200 -pid=123
//         [-other=… -other-pid=…] [-seconds=5] [-rounds=2]
//
// Needs wrk (apt-get install wrk). Tokens (the other's: COFFER_BENCH_OTHER_TOKEN) come from the environment, so that
// they are in no process list. It mounts a KV engine and kubernetes auth at bench-kv/ and takes them away at the end. With a pid of this
// machine it also prints CPU seconds per 1,000 requests and resident memory.

type Target = { readonly name: string; readonly address: string; readonly token: string; readonly pid: number }

const run = promisify(execFile)
const connections = 32
const mount = 'bench-kv'
const hot = `/v1/${mount}/data/hot`
const toReviewer = reviewer()
const renewed = 200
const body = '{"data":{"username":"app","password":"s3cr3t"}}'
const scenarios = [
  ['kv read, hot', `wrk.path = "${hot}"`],
  ['token lookup-self', 'wrk.path = "/v1/auth/token/lookup-self"'],
  [
    'kv write, durable',
    `wrk.method = "POST"\nwrk.body = '${body}'\nlocal n = 0\n` +
      `request = function() n = n + 1 return wrk.format(nil, "/v1/${mount}/data/w/" .. (n % 5000)) end`,
  ],
  [
    'token create',
    'wrk.method = "POST"\nwrk.path = "/v1/auth/token/create"\nwrk.body = \'{"ttl":"1h","policies":["default"]}\'',
  ],
  ['renew-self', ({ tokens }) => renewScript(tokens)],
  [
    'kubernetes login',
    ({ login }) => `wrk.method = "POST"\nwrk.path = "/v1/auth/${mount}/login"\nwrk.body = '${login}'`,
  ],
] as readonly (readonly [string, string | ((prepared: Prepared) => string)])[]

/** What a server was given before it is measured. */
type Prepared = { readonly target: Target; readonly tokens: readonly string[]; readonly login: string }

const renewScript = (tokens: readonly string[]): string =>
  `local tokens = {${tokens.map(one => `"${one}"`).join(',')}}\nlocal n = 0\nrequest = function() n = n + 1 return ` +
  `wrk.format("POST", "/v1/auth/token/renew-self", {["X-Vault-Token"] = tokens[n % ${tokens.length} + 1]}, "{}") end`

const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function ask(target: Target, method: string, path: string, sent?: string): Promise<string> {
  const answer = await fetch(`${target.address}${path}`, {
    method,
    headers: { 'X-Vault-Token': target.token },
    ...(sent !== undefined && { body: sent }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${target.name}: ${method} ${path} answered ${answer.status} ${text.trim()}`)
  return text
}

async function prepare(target: Target): Promise<Prepared> {
  await ask(target, 'POST', hot, body)
  const tokens: string[] = []
  for (let i = 0; i < renewed; i++) {
    const made = await ask(target, 'POST', '/v1/auth/token/create', '{"ttl":"1h","policies":["default"]}')
    tokens.push((JSON.parse(made) as { auth: { client_token: string } }).auth.client_token)
  }
  const asked = {
    ask: (method: string, path: string, sent: object) => ask(target, method, `/v1/${path}`, JSON.stringify(sent)),
  }
  return { target, tokens, login: await prepareLogin(asked, toReviewer, mount) }
}

/** User and system time of the process so far; Linux counts it in hundredths. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function residentMegabytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
}

async function load(target: Target, name: string, script: string, seconds: number, folder: string): Promise<void> {
  const file = join(folder, 'script.lua')
  writeFileSync(file, `wrk.headers["X-Vault-Token"] = "${target.token}"\n${script}`, { mode: 0o600 })
  // wrk's own --latency stops at p90 and p99; 95 is asked for at the end.
  const done =
    'done = function(summary, latency) local e = summary.errors ' +
    'io.write(string.format("@ %d %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50), ' +
    'latency:percentile(95), latency:percentile(99), e.status + e.connect + e.read + e.write + e.timeout)) end'
  writeFileSync(file, `\n${done}\n`, { flag: 'a' })
  const before = target.pid > 0 ? cpuSeconds(target.pid) : 0
  const { stdout } = await run('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', file, target.address])
  const numbers = (/^@ (.+)$/m.exec(stdout)?.[1] ?? '').split(' ').map(Number)
  const [requests = 0, micros = 1, p50 = 0, p95 = 0, p99 = 0, errors = 0] = numbers
  const rate = Math.round((requests * 1e6) / micros)
  const cost =
    target.pid > 0
      ? `  ${(((cpuSeconds(target.pid) - before) * 1000) / Math.max(1, requests)).toFixed(3)} CPU-s/1,000` +
        `  ${residentMegabytes(target.pid).toFixed(0)} MB`
      : ''
  const waits = [p50, p95, p99].map(wait => (wait / 1000).toFixed(2)).join(' / ')
  say(`${name.padEnd(20)} ${target.name.padEnd(8)} ${String(rate).padStart(7)}/s  ${waits} ms${cost}  errors ${errors}`)
}

const { values } = parseArgs({
  // The flags have one dash, as those of the program.
  args: process.argv.slice(2).map(flag => flag.replace(/^-(?=[a-z])/, '--')),
  options: {
    address: { type: 'string' },
    pid: { type: 'string', default: '0' },
    other: { type: 'string' },
    'other-pid': { type: 'string', default: '0' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '2' },
  },
})
const environment = process.env
const targets: Target[] = []
if (values.address !== undefined) {
  const token = environment['COFFER_BENCH_TOKEN'] ?? ''
  targets.push({ name: 'address', address: values.address, token, pid: Number(values.pid) })
}
if (values.other !== undefined) {
  const token = environment['COFFER_BENCH_OTHER_TOKEN'] ?? ''
  targets.push({ name: 'other', address: values.other, token, pid: Number(values['other-pid']) })
}

if (spawnSync('wrk', ['-v']).error !== undefined) {
  process.stderr.write('wrk is not installed: apt-get install wrk\n')
  process.exitCode = 1
} else if (values.address === undefined || targets.some(target => target.token === '')) {
  process.stderr.write('give -address=http://HOST:PORT, and a token in COFFER_BENCH_TOKEN (COFFER_BENCH_OTHER_TOKEN)\n')
  process.exitCode = 1
} else {
  const folder = mkdtempSync(join(tmpdir(), 'coffer-bench-'))
  const mounted: Target[] = []
  const prepared: Prepared[] = []
  try {
    for (const target of targets) {
      await ask(target, 'POST', `/v1/sys/mounts/${mount}`, '{"type":"kv","options":{"version":"2"}}')
      mounted.push(target)
      prepared.push(await prepare(target))
    }
    say('scenario, server, requests, p50 / p95 / p99')
    for (const [name, script] of scenarios) {
      for (let round = 0; round < Number(values.rounds); round++) {
        for (const one of prepared) {
          const text = typeof script === 'string' ? script : script(one)
          await load(one.target, name, text, Number(values.seconds), folder)
        }
      }
    }
  } finally {
    for (const target of mounted) {
      await ask(target, 'DELETE', `/v1/sys/mounts/${mount}`)
      await ask(target, 'DELETE', `/v1/sys/auth/${mount}`)
    }
    toReviewer.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

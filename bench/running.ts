import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')

export const say = (text: string): void => void process.stdout.write(`${text}\n`)

/** Of the static seal of these servers: 32 times the same byte. */
export const sealKey = Buffer.alloc(32, 7)

export type Load = { readonly rate: number; readonly p99Ms: number; readonly failed: number }

/** The program as a process, over a folder of its own, with the audit file on; and wrk beside it. */
export class Running {
  readonly folder = mkdtempSync(join(tmpdir(), 'coffer-bench-'))
  readonly #more: object
  #process: ChildProcess | null = null
  address = ''
  token = ''

  /** @param more of the configuration */
  constructor(more: object = {}) {
    this.#more = more
  }

  get data(): string {
    return join(this.folder, 'data')
  }

  get pid(): number {
    return this.#process!.pid!
  }

  /** @returns ms until it said that it is there */
  async start(): Promise<number> {
    const config = join(this.folder, 'server.json')
    writeFileSync(
      config,
      JSON.stringify({
        listener: { tcp: { address: '127.0.0.1:0', tls_disable: true } },
        storage: { sqlite: { path: this.data } },
        seal: { static: { current_key_id: 'one', current_key: sealKey.toString('base64') } },
        audit_directory: this.folder,
        audit: { file: { options: { file_path: join(this.folder, 'audit.log') } } },
        log_level: 'error',
        ...this.#more,
      }),
    )
    const began = performance.now()
    const child = spawn(join(root, 'bin/coffer'), ['server', `-config=${config}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#process = child
    let text = ''
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', chunk => {
        text += String(chunk)
        if (text.includes('server started')) resolve()
      })
      child.once('exit', code => reject(new Error(`the server ended with ${code}`)))
    })
    this.address = /Api Address: (\S+)/.exec(text)?.[1] ?? ''
    return performance.now() - began
  }

  async kill(): Promise<void> {
    const child = this.#process
    this.#process = null
    if (child === null || child.exitCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async init(): Promise<void> {
    const init = (await this.ask('PUT', 'sys/init', { recovery_shares: 1, recovery_threshold: 1 })) as {
      root_token: string
    }
    this.token = init.root_token
  }

  async ask(method: string, path: string, body?: object): Promise<unknown> {
    const text = await this.text(method, path, body)
    return text === '' ? null : JSON.parse(text)
  }

  async text(method: string, path: string, body?: object): Promise<string> {
    const answer = await fetch(`${this.address}/v1/${path}`, {
      method,
      headers: { 'X-Vault-Token': this.token },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
    return text
  }

  /** MB; `RssAnon` is what no file stands behind. */
  memory(field: 'VmRSS' | 'RssAnon'): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024
  }

  sayMemory(when: string): void {
    say(
      `${when}: ${this.memory('VmRSS').toFixed(0)} MB resident, ${this.memory('RssAnon').toFixed(0)} MB of it its own`,
    )
  }

  cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  }

  /** wrk with one thread. @param script Lua that makes the requests */
  async load(name: string, script: string, { seconds, connections = 32 }: { seconds: number; connections?: number }) {
    const file = join(this.folder, 'wrk.lua')
    const done =
      'done = function(s, l) io.write(string.format("@ %d %d %d %d\\n", s.requests, s.duration, ' +
      'l:percentile(99), s.errors.status + s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout)) end'
    writeFileSync(file, `wrk.headers["X-Vault-Token"] = "${this.token}"\n${script}\n${done}\n`, { mode: 0o600 })
    const before = this.cpuSeconds()
    const { stdout } = await run('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', file, this.address])
    const used = this.cpuSeconds() - before
    const [requests = 0, micros = 1, p99 = 0, failed = 0] = (/^@ (.+)$/m.exec(stdout)?.[1] ?? '').split(' ').map(Number)
    const load: Load = { rate: (requests * 1e6) / micros, p99Ms: p99 / 1000, failed }
    say(
      `${name.padEnd(42)} ${load.rate.toFixed(0).padStart(7)}/s   p99 ${load.p99Ms.toFixed(1).padStart(7)} ms   server CPU ${used.toFixed(1)} s   errors ${failed}`,
    )
    return load
  }

  async end(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

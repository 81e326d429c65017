import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededEntropy } from '#ground/base/entropy.ts'

const root = join(import.meta.dirname, '../..')
const writers = 8
const keysEach = 3
const killAfterMsMin = 20
const firstAnswerTriesMax = 1_000
const killAfterMsSpan = 220

type Answer = {
  status: number
  body: Record<string, never> & {
    data?: Record<string, unknown>
    auth?: Record<string, string>
    wrap_info?: { token: string }
  }
}

/** A server of its own folder and port, killed and started anew on the same data. */
class Server implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'coffer-crash-'))
  #process: ChildProcess | null = null
  #address = ''
  token = ''

  async start(): Promise<void> {
    const config = join(this.#folder, 'server.json')
    writeFileSync(
      config,
      JSON.stringify({
        listener: { tcp: { address: '127.0.0.1:0', tls_disable: true } },
        storage: { sqlite: { path: join(this.#folder, 'data') } },
        seal: { static: { current_key_id: 'one', current_key: Buffer.alloc(32, 7).toString('base64') } },
        audit_directory: this.#folder,
        audit: { file: { options: { file_path: join(this.#folder, 'audit.log') } } },
      }),
    )
    const child = spawn(join(root, 'bin/coffer'), ['server', `-config=${config}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.#process = child
    let said = ''
    child.stderr.on('data', chunk => (said += String(chunk)))
    await new Promise<void>((resolve, reject) => {
      let text = ''
      child.stdout.on('data', chunk => {
        text += String(chunk)
        if (!text.includes('server started')) return
        this.#address = /Api Address: (\S+)/.exec(text)?.[1] ?? ''
        resolve()
      })
      child.once('exit', code => reject(new Error(`the server ended with ${code}: ${said}`)))
    })
  }

  async kill(): Promise<void> {
    const child = this.#process!
    const ended = once(child, 'exit')
    process.kill(-child.pid!, 'SIGKILL')
    await ended
    this.#process = null
  }

  /** Lines of the audit file, of which a kill may have cut the last. */
  audit(): string[] {
    return readFileSync(join(this.#folder, 'audit.log'), 'utf8').split('\n')
  }

  /** @returns null when no answer came: then nobody knows whether it was done. */
  async ask(method: string, path: string, body?: object, token = this.token): Promise<Answer | null> {
    try {
      const answer = await fetch(`${this.#address}/v1/${path}`, {
        method,
        headers: {
          'X-Vault-Token': token,
          ...(path === 'sys/wrapping/wrap' && { 'X-Vault-Wrap-TTL': '1h' }),
          'Content-Type': `application/${method === 'PATCH' ? 'merge-patch+json' : 'json'}`,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const text = await answer.text()
      return { status: answer.status, body: text === '' ? {} : JSON.parse(text) }
    } catch {
      return null
    }
  }

  async must(method: string, path: string, body?: object): Promise<Answer['body']> {
    const answer = await this.ask(method, path, body)
    assert(answer !== null && answer.status < 300, `${method} ${path}: ${JSON.stringify(answer)}`)
    return answer.body
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process !== null) await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** What one writer knows of one secret: the newest version that was acknowledged, and what it sent without an answer. */
type Known = { acknowledged: number; sent: number; isDeleted: boolean | null; destroyed: number[] }

const acknowledgedIn = (secrets: ReadonlyMap<string, Known>): number =>
  [...secrets.values()].reduce((sum, one) => sum + one.acknowledged, 0)

type TokenKnown = { token: string; accessor: string; isRevoked: boolean | null }

type WrappedKnown = { token: string; n: number; isUsed: boolean | null }

/** How much a round did before the server was killed; for tests that check that there was load. */
export type Round = { readonly acknowledged: number; readonly tokens: number }

/**
 * Mixed load, `kill -9` in the middle of it, a new start on the same data: every acknowledged write is there, none is
 * half made, and what wasn't answered is there whole or not at all.
 * @throws AssertionError naming the seed's first broken promise
 */
export async function killUnderLoad(seed: number): Promise<Round> {
  const entropy = seededEntropy(seed)
  await using server = new Server()
  await server.start()
  const made = await server.must('PUT', 'sys/init', { recovery_shares: 1, recovery_threshold: 1 })
  server.token = (made as unknown as { root_token: string }).root_token
  await server.must('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } })

  const secrets = new Map<string, Known>()
  const tokens: TokenKnown[] = []
  const stop = new AbortController()
  const wrapped: WrappedKnown[] = []
  const load = Array.from({ length: writers }, (_, writer) => write(server, writer, secrets, tokens, stop.signal))
  load.push(wrap(server, wrapped, stop.signal))
  const settings = new Map<string, boolean | null>()
  load.push(administer(server, settings, stop.signal))
  // A busy machine may take its time until the first answer: only from there on is there load.
  for (let tries = 0; acknowledgedIn(secrets) === 0 && tries < firstAnswerTriesMax; tries++) await sleep(10)
  await sleep(killAfterMsMin + Math.floor(entropy.fraction() * killAfterMsSpan))
  await server.kill()
  stop.abort()
  await Promise.all(load)
  const audited = server.audit()

  await server.start()
  for (const [path, known] of secrets) await checkSecret(server, path, known)
  for (const token of tokens) await checkToken(server, token)
  for (const known of wrapped) await checkWrapped(server, known)
  for (const [path, isThere] of settings) await checkSetting(server, path, isThere, audited)
  // It takes writes again, and goes on counting where it was.
  await server.must('POST', 'secret/data/after', { data: { n: 1 } })
  return { acknowledged: acknowledgedIn(secrets), tokens: tokens.length }
}

async function write(
  server: Server,
  writer: number,
  secrets: Map<string, Known>,
  tokens: TokenKnown[],
  signal: AbortSignal,
): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    const path = `w${writer}/k${turn % keysEach}`
    const known = secrets.get(path) ?? { acknowledged: 0, sent: 0, isDeleted: false, destroyed: [] }
    secrets.set(path, known)
    const method = turn % 2 === 1 && known.acknowledged > 0 && known.isDeleted === false ? 'PATCH' : 'POST'
    known.sent++
    known.isDeleted = null
    const value = { n: known.sent, text: `${path} ${known.sent} `.repeat(50) }
    if ((await server.ask(method, `secret/data/${path}`, { data: value }))?.status !== 200) return
    known.acknowledged = known.sent
    known.isDeleted = false
    if (turn % 5 === 4) {
      known.isDeleted = null
      if ((await server.ask('DELETE', `secret/data/${path}`))?.status !== 204) return
      known.isDeleted = true
    }
    if (turn % 7 === 6) {
      const version = known.acknowledged - 1
      if ((await server.ask('PUT', `secret/destroy/${path}`, { versions: [version] }))?.status !== 204) return
      known.destroyed.push(version)
    }
    if (turn % 4 === 3) await useToken(server, tokens, turn % 8 === 7)
  }
}

/** Wraps and unwraps every other: what was fetched is spent, what was not is there. */
async function wrap(server: Server, wrapped: WrappedKnown[], signal: AbortSignal): Promise<void> {
  for (let n = 0; !signal.aborted; n++) {
    const token = (await server.ask('POST', 'sys/wrapping/wrap', { n }))?.body.wrap_info?.token
    if (token === undefined) return
    const known: WrappedKnown = { token, n, isUsed: false }
    wrapped.push(known)
    if (n % 2 === 0) continue
    known.isUsed = null
    if ((await server.ask('POST', 'sys/wrapping/unwrap', {}, token))?.status === 200) known.isUsed = true
  }
}

async function checkWrapped(server: Server, { token, n, isUsed }: WrappedKnown): Promise<void> {
  const first = await server.ask('POST', 'sys/wrapping/unwrap', {}, token)
  if (isUsed !== null)
    assert.equal(first?.status, isUsed ? 400 : 200, isUsed ? 'unwrapped twice' : 'a wrapped answer is lost')
  if (first?.status === 200) assert.deepEqual(first.body.data, { n })
  assert.equal((await server.ask('POST', 'sys/wrapping/unwrap', {}, token))?.status, 400)
}

/** Policies and mounts: a path is there (true), gone (false), or nobody knows (null). */
async function administer(server: Server, settings: Map<string, boolean | null>, signal: AbortSignal): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    const policy = `sys/policies/acl/p${turn}`
    settings.set(policy, null)
    if ((await server.ask('POST', policy, { policy: 'path "a" { capabilities = ["read"] }' }))?.status !== 204) return
    settings.set(policy, true)
    const mount = `sys/mounts/m${turn}`
    settings.set(mount, null)
    if ((await server.ask('POST', mount, { type: 'kv', options: { version: '1' } }))?.status !== 204) return
    settings.set(mount, true)
    if (turn % 2 === 0) continue
    settings.set(mount, null)
    if ((await server.ask('DELETE', mount))?.status !== 204) return
    settings.set(mount, false)
  }
}

async function checkSetting(server: Server, path: string, isThere: boolean | null, audited: string[]): Promise<void> {
  if (isThere === null) return
  const found = (await server.ask('GET', path))?.status === 200
  assert.equal(found, isThere, `${path}: what was acknowledged is lost`)
  // The request's line and the answer's, once for each thing that was done.
  const lines = audited.filter(line => line.includes(`"path":"${path}"`)).length
  assert(lines >= (isThere ? 2 : 4), `${path} was acknowledged, but has ${lines} audit lines`)
}

async function useToken(server: Server, tokens: TokenKnown[], revokes: boolean): Promise<void> {
  const answer = await server.ask('POST', 'auth/token/create', { policies: ['default'], ttl: '1h' })
  if (answer?.status !== 200) return
  const { client_token: token = '', accessor = '' } = answer.body.auth ?? {}
  const known: TokenKnown = { token, accessor, isRevoked: false }
  tokens.push(known)
  if (!revokes) return
  known.isRevoked = null
  if ((await server.ask('POST', 'auth/token/revoke-accessor', { accessor }))?.status === 204) known.isRevoked = true
}

async function checkSecret(server: Server, path: string, known: Known): Promise<void> {
  const metadata = await server.ask('GET', `secret/metadata/${path}`)
  if (known.acknowledged === 0 && metadata?.status === 404) return
  assert.equal(metadata?.status, 200, `${path} is lost, of which version ${known.acknowledged} was acknowledged`)
  const current = Number(metadata.body.data?.['current_version'])
  assert(current >= known.acknowledged, `${path}: version ${known.acknowledged} was acknowledged, ${current} is there`)
  assert(current <= known.sent, `${path}: version ${current} was never sent`)
  const versions = metadata.body.data?.['versions'] as Record<string, { destroyed: boolean }>
  for (const version of known.destroyed) {
    // The oldest are dropped when there are more than max_versions.
    assert(versions[version]?.destroyed !== false, `${path}: an acknowledged destruction of ${version} is lost`)
  }
  const read = await server.ask('GET', `secret/data/${path}`)
  if (known.isDeleted === true) assert.equal(read?.status, 404, `${path}: an acknowledged deletion is lost`)
  if (known.isDeleted === false && current === known.acknowledged) assert.equal(read?.status, 200, `${path} is gone`)
  if (read?.status !== 200) return
  const { n, text } = (read.body.data as unknown as { data: { n: number; text: string } }).data
  assert.equal(n, current)
  assert.equal(text, `${path} ${current} `.repeat(50), `${path}: half a value`)
}

async function checkToken(server: Server, { token, accessor, isRevoked }: TokenKnown): Promise<void> {
  const own = await server.ask('GET', 'auth/token/lookup-self', undefined, token)
  const byAccessor = await server.ask('POST', 'auth/token/lookup-accessor', { accessor })
  if (isRevoked === false) assert.equal(own?.status, 200, 'an acknowledged token is lost')
  if (isRevoked === true) assert.equal(own?.status, 403, 'an acknowledged revocation is lost')
  // Token and accessor are one write: either both are there or neither is.
  assert.equal(byAccessor?.status === 200, own?.status === 200, 'a token without its accessor, or the reverse')
}

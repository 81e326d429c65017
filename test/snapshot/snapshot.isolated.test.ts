import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

// Real servers on real disks, and the commands that their operators type.

const root = join(import.meta.dirname, '../..')

/** A server that unseals by a key of its configuration; started again on the same data after a kill. */
class Server implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'coffer-snapshot-'))
  #process: ChildProcess | null = null
  address = ''
  token = ''

  async start(): Promise<void> {
    const config = join(this.folder, 'server.json')
    const settings = {
      listener: { tcp: { address: '127.0.0.1:0', tls_disable: true } },
      storage: { sqlite: { path: join(this.folder, 'data') } },
      seal: { static: { current_key_id: 'one', current_key: Buffer.alloc(32, 7).toString('base64') } },
    }
    writeFileSync(config, JSON.stringify(settings))
    const child = spawn(join(root, 'bin/coffer'), ['server', `-config=${config}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.#process = child
    let said = ''
    child.stderr.on('data', chunk => (said += String(chunk)))
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', chunk => {
        said += String(chunk)
        if (!said.includes('server started')) return
        this.address = /Api Address: (\S+)/.exec(said)![1]!
        resolve()
      })
      child.once('exit', code => reject(new Error(`the server ended with ${code}: ${said}`)))
    })
  }

  async initialise(): Promise<void> {
    const { body } = await this.ask('PUT', 'sys/init', { recovery_shares: 0, recovery_threshold: 0 }, '')
    this.token = (body as { root_token: string }).root_token
    assert.equal((await this.ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } })).status, 204)
  }

  async kill(): Promise<void> {
    const ended = once(this.#process!, 'exit')
    process.kill(-this.#process!.pid!, 'SIGKILL')
    await ended
    this.#process = null
  }

  async ask(
    method: string,
    path: string,
    body?: object,
    token = this.token,
  ): Promise<{ status: number; body: unknown }> {
    const answer = await fetch(`${this.address}/v1/${path}`, {
      method,
      headers: { 'X-Vault-Token': token },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    return { status: answer.status, body: text === '' ? null : JSON.parse(text) }
  }

  async read(path: string): Promise<unknown> {
    const { body } = await this.ask('GET', `secret/data/${path}`)
    return (body as { data?: { data: unknown } }).data?.data ?? null
  }

  write(path: string, data: object): Promise<{ status: number }> {
    return this.ask('POST', `secret/data/${path}`, { data })
  }

  /** The CLI, as the server's operator. */
  async run(...argv: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: this.folder,
      VAULT_ADDR: this.address,
      VAULT_TOKEN: this.token,
    }
    const child = spawn(join(root, 'bin/coffer'), argv, { env, cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', chunk => (stdout += String(chunk)))
    child.stderr.on('data', chunk => (stderr += String(chunk)))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, stdout, stderr }
  }

  async isReady(): Promise<void> {
    for (let turn = 0; (await this.ask('GET', 'sys/health').catch(() => null))?.status !== 200; turn++) {
      assert.ok(turn < 10_000, 'the server comes back')
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process !== null) await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

async function started(): Promise<Server> {
  const server = new Server()
  await server.start()
  await server.initialise()
  return server
}

test('snapshot: saved while writes go on, checked, and restored into an empty server', async () => {
  await using source = await started()
  const large = 'x'.repeat(300_000)
  await source.write('large', { large })
  for (let n = 0; n < 200; n++) await source.write(`app/${n}`, { n })
  const writing = new AbortController()
  let written = 0
  const writer = (async () => {
    while (!writing.signal.aborted) await source.write('counter', { n: ++written })
  })()
  for (const name of ['operator snapshot', 'operator raft snapshot']) {
    const saved = await source.run(...name.split(' '), 'save', 'backup.snap')
    assert.match(saved.stdout, /^Success! Saved a snapshot to backup\.snap: \d+ entries of \d{4}-/)
    assert.deepEqual([saved.code, saved.stderr], [0, ''])
  }
  writing.abort()
  await writer
  const file = join(source.folder, 'backup.snap')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.ok(!existsSync(`${file}.partial`))
  assert.ok(!readFileSync(file).includes('counter'), 'names are compressed, values are sealed')
  const inspected = await source.run('operator', 'snapshot', 'inspect', '-format=json', 'backup.snap')
  assert.equal((JSON.parse(inspected.stdout) as { storage_type: string }).storage_type, 'sqlite')

  await using target = await started()
  const refused = await target.run('operator', 'snapshot', 'restore', file)
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /possibly the snapshot is using a different set of unseal keys/)
  const restored = await target.run('operator', 'snapshot', 'restore', '-force', file)
  assert.deepEqual(restored, { code: 0, stdout: `Success! Restored the snapshot ${file}\n`, stderr: '' })
  await target.isReady()
  assert.equal((await target.ask('GET', 'secret/data/large')).status, 403, 'its own root token is of what was there')
  target.token = source.token
  assert.deepEqual(await target.read('large'), { large })
  for (const n of [0, 199]) assert.deepEqual(await target.read(`app/${n}`), { n })
  assert.ok(((await target.read('counter')) as { n: number }).n <= written)
  assert.equal((await target.write('after', { a: 'b' })).status, 200)
})

test('the guide on the server: its commands on snapshots, in their order', async () => {
  await using server = await started()
  const guide = readFileSync(join(root, 'docs/guides/server.md'), 'utf8')
  const commands = [...guide.matchAll(/^\$ coffer (operator snapshot .*)$/gm)].map(match => match[1]!.split(' '))
  assert.equal(commands.length, 4)
  for (const argv of commands) {
    const end = await server.run(...argv)
    assert.deepEqual([end.code, end.stderr], [0, ''], argv.join(' '))
    await server.isReady()
  }
})

test('snapshot: an acknowledged restore survives kill -9 at once, and one that is not acknowledged is all or nothing', async () => {
  await using server = await started()
  await server.write('a', { is: 'old' })
  await server.run('operator', 'snapshot', 'save', 'old.snap')
  await server.write('a', { is: 'new' })
  const answer = await fetch(`${server.address}/v1/sys/storage/raft/snapshot`, {
    method: 'POST',
    headers: { 'X-Vault-Token': server.token },
    body: readFileSync(join(server.folder, 'old.snap')),
  })
  await server.kill()
  assert.equal(answer.status, 204)
  await server.start()
  assert.deepEqual(await server.read('a'), { is: 'old' })

  for (const waitMs of [0, 1, 3, 10, 30]) {
    await server.write('a', { is: 'new' })
    const restoring = fetch(`${server.address}/v1/sys/storage/raft/snapshot`, {
      method: 'POST',
      headers: { 'X-Vault-Token': server.token },
      body: readFileSync(join(server.folder, 'old.snap')),
    }).then(
      ({ status }) => status,
      () => null,
    )
    // When it is killed is the matter of the test.
    await new Promise(resolve => setTimeout(resolve, waitMs))
    await server.kill()
    const status = await restoring
    await server.start()
    const { is } = (await server.read('a')) as { is: string }
    if (status === 204) assert.equal(is, 'old')
    else assert.ok(is === 'old' || is === 'new')
    assert.equal((await server.write('b', { c: 'd' })).status, 200)
  }
})

for (const [what, bytes, text] of [
  ['no snapshot', Buffer.from('hello'), /Error reading the snapshot: the snapshot is damaged/],
  ['nothing', Buffer.alloc(0), /Error reading the snapshot: the snapshot is damaged/],
  ['a file that is not there', null, /Error reading the snapshot: ENOENT/],
] as const) {
  test(`snapshot: restoring ${what} is refused before the server is asked`, async () => {
    await using server = new Server()
    server.address = 'http://127.0.0.1:1'
    const file = join(server.folder, 'x.snap')
    if (bytes !== null) writeFileSync(file, bytes)
    const end = await server.run('operator', 'snapshot', 'restore', file)
    assert.equal(end.code, 2)
    assert.match(end.stderr, text)
  })
}

test('snapshot: a save that fails leaves no file, and what was there before', async () => {
  await using server = new Server()
  server.address = 'http://127.0.0.1:1'
  writeFileSync(join(server.folder, 'backup.snap'), 'an older one')
  const end = await server.run('operator', 'snapshot', 'save', 'backup.snap')
  assert.equal(end.code, 2)
  assert.match(end.stderr, /^Error taking the snapshot: .*connection refused/)
  assert.equal(readFileSync(join(server.folder, 'backup.snap'), 'utf8'), 'an older one')
  assert.ok(!existsSync(join(server.folder, 'backup.snap.partial')))
})

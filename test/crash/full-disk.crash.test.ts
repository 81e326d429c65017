import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

const root = join(import.meta.dirname, '../..')
const diskBytes = 4 << 20
const writesMax = 2_000
const triesMax = 100

type Answer = { readonly status: number; readonly body: Record<string, never> & { data?: { data?: { n?: number } } } }

/** A server whose storage is a file system of its own, of 4 MiB, in a mount namespace that ends with it. */
async function startSmall(folder: string) {
  const disk = join(folder, 'disk')
  const config = join(folder, 'server.json')
  writeFileSync(
    config,
    JSON.stringify({
      listener: { tcp: { address: '127.0.0.1:0', tls_disable: true } },
      storage: { sqlite: { path: disk } },
      seal: { static: { current_key_id: 'one', current_key: Buffer.alloc(32, 7).toString('base64') } },
    }),
  )
  const script = 'mkdir -p "$0" && mount -t tmpfs -o size="$1" none "$0" && exec "$2" server -config="$3"'
  const arguments_ = ['-Urm', 'sh', '-c', script, disk, String(diskBytes), join(root, 'bin/coffer'), config]
  const child = spawn('unshare', arguments_, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const said: string[] = []
  child.stderr.on('data', chunk => said.push(String(chunk)))
  const address = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.stdout.on('data', chunk => {
      text += String(chunk)
      said.push(String(chunk))
      if (text.includes('server started')) resolve(/Api Address: (\S+)/.exec(text)?.[1] ?? '')
    })
    child.once('exit', code => reject(new Error(`the server ended with ${code}: ${said.join('')}`)))
  })
  const server = {
    said: () => said.join(''),
    token: '',
    async ask(method: string, path: string, body?: object): Promise<Answer> {
      const answer = await fetch(`${address}/v1/${path}`, {
        method,
        headers: { 'X-Vault-Token': server.token },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const text = await answer.text()
      return { status: answer.status, body: text === '' ? {} : JSON.parse(text) }
    },
    /** On the server's disk, which nobody else sees. */
    inside: (name: string): string => `/proc/${child.pid}/root${disk}/${name}`,
    async [Symbol.asyncDispose](): Promise<void> {
      const ended = once(child, 'exit')
      process.kill(-child.pid!, 'SIGKILL')
      await ended
    },
  }
  return server
}

test('a real full disk: writes are 507, reads go on, what was acknowledged is there, room is enough to go on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'coffer-full-'))
  try {
    await using server = await startSmall(folder)
    const made = await server.ask('PUT', 'sys/init', { recovery_shares: 1, recovery_threshold: 1 })
    server.token = made.body['root_token'] as unknown as string
    assert.equal((await server.ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } })).status, 204)
    const write = (n: number): Promise<Answer> =>
      server.ask('POST', `secret/data/k${n}`, { data: { n, text: 'x'.repeat(5_000) } })
    const check = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        const { status, body } = await server.ask('GET', `secret/data/k${n}`)
        assert.equal(status, 200, `k${n} was acknowledged and is gone`)
        assert.equal(body.data?.data?.n, n)
      }
    }
    for (let n = 0; n < 20; n++) assert.equal((await write(n)).status, 200)
    // Somebody else fills what is left, to the last byte.
    const filler = server.inside('filler')
    assert.throws(() => writeFileSync(filler, Buffer.alloc(diskBytes)), { code: 'ENOSPC' })
    let acknowledged = 20
    let refused: Answer | null = null
    for (let n = acknowledged; refused === null && n < writesMax; n++) {
      const answer = await write(n)
      if (answer.status === 200) acknowledged++
      else refused = answer
    }
    assert.equal(refused?.status, 507, JSON.stringify(refused))
    await check(acknowledged)
    assert.equal((await server.ask('GET', `secret/data/k${acknowledged}`)).status, 404)

    rmSync(filler)
    let status = 0
    for (let attempt = 0; status !== 200 && attempt < triesMax; attempt++) {
      status = (await write(acknowledged)).status
      if (status !== 200) await sleep(100)
    }
    assert.equal(status, 200, server.said())
    await check(acknowledged + 1)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { systemClock } from '#ground/base/clock.ts'
import { ComputePool, type PoolOptions } from './pool.ts'

type Trial = {
  add(numbers: readonly number[]): number
  fail(text: string): never
  spin(nothing: null): never
  exit(code: number): never
  late(value: string): Promise<string>
}

const folder = mkdtempSync(join(tmpdir(), 'coffer-pool-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const entry = join(folder, 'trial.mjs')
writeFileSync(
  entry,
  `import { serveTasks } from ${JSON.stringify(new URL('./serve.ts', import.meta.url).href)}
serveTasks({
  add: numbers => numbers.reduce((a, b) => a + b, 0),
  fail: text => { throw new Error(text) },
  spin: () => { for (;;); },
  exit: code => process.exit(code),
  late: value => Promise.resolve(value),
})
`,
)

function trialPool(options: Partial<PoolOptions> = {}): ComputePool<Trial> {
  return new ComputePool<Trial>({
    clock: systemClock,
    width: 1,
    waitingMax: 8,
    timeoutMs: 60_000,
    entry: pathToFileURL(entry),
    ...options,
  })
}

const fails = (code: string, message?: RegExp): object => ({ name: 'ComputeError', code, ...(message && { message }) })

test('compute: the pool of the product answers', async () => {
  await using pool = new ComputePool({ clock: systemClock, width: 1, waitingMax: 1, timeoutMs: 60_000 })
  assert.equal(await pool.run('ping', { text: 'there' }), 'there')
  const password = new TextEncoder().encode('x')
  const hash = await pool.run('bcryptHash', { password, salt: new Uint8Array(16), cost: 4 })
  assert.equal(await pool.run('bcryptCheck', { password, hash, floor: 4 }), true)
})

test('compute: more tasks than threads are all answered, each its own', async () => {
  await using pool = trialPool({ width: 2, waitingMax: 20 })
  const sums = await Promise.all(Array.from({ length: 20 }, (_, n) => pool.run('add', [n, 1])))
  assert.deepEqual(
    sums,
    Array.from({ length: 20 }, (_, n) => n + 1),
  )
  assert.equal(await pool.run('late', 'x'), 'x')
})

test('compute: a task that throws fails alone', async () => {
  await using pool = trialPool()
  await assert.rejects(pool.run('fail', 'no luck'), fails('failed', /^no luck$/))
  assert.equal(await pool.run('add', [1, 2]), 3)
})

test('compute: a full queue refuses', async () => {
  await using pool = trialPool({ waitingMax: 1 })
  const first = pool.run('add', [1])
  const second = pool.run('add', [2])
  await assert.rejects(pool.run('add', [3]), fails('busy'))
  assert.deepEqual(await Promise.all([first, second]), [1, 2])
})

test('compute: a task that spins is ended at its time, and what waited goes on', async () => {
  await using pool = trialPool({ timeoutMs: 1500 })
  const spinning = pool.run('spin', null)
  const waiting = pool.run('add', [1, 1])
  await assert.rejects(spinning, fails('timeout', /^spin took longer than 1500 ms$/))
  assert.equal(await waiting, 2)
})

test('compute: a thread that dies fails its task only', async () => {
  await using pool = trialPool()
  const dying = pool.run('exit', 3)
  const waiting = pool.run('add', [1, 1])
  await assert.rejects(dying, fails('failed'))
  assert.equal(await waiting, 2)
})

test('compute: an abort ends a running task, and takes a waiting one out', async () => {
  await using pool = trialPool()
  const running = new AbortController()
  const waiting = new AbortController()
  const spinning = pool.run('spin', null, running.signal)
  const queued = pool.run('add', [1], waiting.signal)
  waiting.abort(new Error('not wanted'))
  await assert.rejects(queued, /not wanted/)
  running.abort(new Error('enough'))
  await assert.rejects(spinning, /enough/)
  assert.equal(await pool.run('add', [2]), 2)
})

test('compute: a payload that can not be copied fails alone', async () => {
  await using pool = trialPool()
  await assert.rejects(pool.run('add', [(() => 1) as unknown as number]), /could not be cloned/)
  assert.equal(await pool.run('add', [2]), 2)
})

test('compute: closing fails what runs and what waits, and later tasks', async () => {
  const pool = trialPool()
  const results = Promise.allSettled([pool.run('spin', null), pool.run('add', [1])])
  await pool.close()
  for (const result of await results) assert.equal(result.status === 'rejected' && result.reason.code, 'closed')
  await assert.rejects(pool.run('add', [1]), fails('closed'))
})

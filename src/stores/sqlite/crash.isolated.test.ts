import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '#ground/base/clock.ts'
import { silentLog } from '#ground/base/log.ts'
import { isCode, never, put } from '#stores/store.lab.ts'
import type { Store } from '#stores/store.ts'
import { openSqliteStore } from './sqlite.ts'
import { type WriterMode, writerCommits, writerPath } from './writer.lab.ts'

const open = (path: string): Promise<Store> => openSqliteStore({ path, world: { clock: systemClock, log: silentLog } })

function temporary(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'coffer-crash-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

/** What the writer said before its end. */
type Told = { readonly lines: readonly string[]; readonly acknowledged: ReadonlySet<number>; readonly term: number }

function told(output: string): Told {
  // The last line may be cut.
  const lines = output.split('\n').slice(0, -1)
  const numbers = (word: string): number[] =>
    lines.filter(line => line.startsWith(`${word} `)).map(line => Number(line.slice(word.length + 1)))
  return { lines, acknowledged: new Set(numbers('acknowledged')), term: numbers('term')[0] ?? 0 }
}

/** The acknowledged is there, nothing is there by half or out of order, and a new term writes on. */
async function inspect(path: string, { acknowledged, term: lastTerm }: Told): Promise<void> {
  const store = await open(path)
  try {
    let present = 0
    for (let i = 0; i < writerCommits; i++) {
      const [a, b] = [await store.get(`a/${i}`), await store.get(`b/${i}`)]
      assert.deepEqual(a, b, `commit ${i} is there by half`)
      assert.ok(a || !acknowledged.has(i), `commit ${i} was acknowledged and is gone`)
      if (a) assert.equal(i, present++, `commit ${i} is there without the one before`)
    }
    const last = await store.get('last')
    assert.equal(last && Buffer.from(last).toString(), present === 0 ? null : String(present - 1))
    const term = await store.campaign(never)
    assert.ok(term.term > lastTerm)
    await store.commit([put('after')], term)
  } finally {
    await store.close()
  }
}

const kills: readonly (readonly [WriterMode, number])[] = (['before', 'sent', 'acknowledged'] as const).flatMap(mode =>
  [1, 2, 3, 7].map(at => [mode, at] as const),
)
for (const [mode, at] of kills) {
  test(`sqlite store: kill -9 with commit ${at} ${mode} loses nothing acknowledged and halves nothing`, async () => {
    using folder = temporary()
    const child = spawnSync(process.execPath, ['--no-warnings', writerPath, folder.path, mode, String(at)])
    assert.equal(child.signal, 'SIGKILL')
    await inspect(folder.path, told(child.stdout.toString()))
  })
}

// The kernel refuses to let any file of the writer grow past the limit: the n-th write fails, for some n each.
for (const kilobytes of [48, 100, 200, 350, 500]) {
  test(`sqlite store: a disk that takes no more after ${kilobytes} kB fails every later call and loses nothing`, async () => {
    using folder = temporary()
    const command = `ulimit -f ${kilobytes * 2}; exec "$0" --no-warnings "$1" "$2" never`
    const child = spawnSync('sh', ['-c', command, process.execPath, writerPath, folder.path])
    const output = told(child.stdout.toString())
    const failure = output.lines.findIndex(line => line.endsWith(' failed'))
    assert.ok(failure >= 0, output.lines.join('\n') + child.stderr.toString())
    assert.deepEqual(output.lines.slice(failure), ['write failed', 'read failed', 'commit failed', 'closed'])
    await inspect(folder.path, output)
  })
}

test('sqlite store: another process is told who holds it, and a killed holder holds nothing', async () => {
  using folder = temporary()
  const holder = spawn(process.execPath, ['--no-warnings', writerPath, folder.path, 'hold'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(holder, 'exit')
  try {
    await once(holder.stdout, 'data')
    await assert.rejects(open(folder.path), error => {
      assert.ok(isCode('busy')(error) && error instanceof Error)
      assert.match(error.message, new RegExp(`by process ${holder.pid} on \\S+$`))
      return true
    })
  } finally {
    holder.kill('SIGKILL')
    await ended
  }
  const store = await open(folder.path)
  await store.commit([put('a')], await store.campaign(never))
  await store.close()
})

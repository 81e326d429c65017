import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '#ground/base/clock.ts'
import { seededEntropy } from '#ground/base/entropy.ts'
import { silentLog } from '#ground/base/log.ts'
import { openSqliteStore } from '#stores/sqlite/sqlite.ts'
import type { Fence, Store } from '#stores/store.ts'

// What the SQLite store does without HTTP: durable commits in a closed loop, then point reads.
// bin/pinned bench/store.ts [folder] [seconds a run]
// A KV write is one new row and one overwritten. The bytes differ each time, as ciphertext does: SQLite writes no page
// for a value that is overwritten by itself.

const parent = process.argv[2] ?? tmpdir()
const secondsPerRun = Number(process.argv[3] ?? 3)
const valueBytes = 280
const keyCount = 200_000
const entropy = seededEntropy(1)

const oldKeys = Array.from({ length: keyCount }, (_, i) => `logical/${String(i).padStart(8, '0')}/current`)
const oldKey = (): string => oldKeys[entropy.below(keyCount)]!
let made = 0
// Scattered over the key space, never twice.
const newKey = (): string => `logical/${(Math.imul(++made, 2_654_435_761) >>> 0).toString().padStart(10, '0')}/version`

const kinds = {
  '2 new rows': () => [newKey(), newKey()],
  '1 new, 1 overwritten': () => [oldKey(), newKey()],
  '2 overwritten': () => [oldKey(), oldKey()],
} as const
const values = Array.from({ length: 1_024 }, () => entropy.bytes(valueBytes))
let taken = 0
const value = (): Uint8Array => values[taken++ % values.length]!
const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

/** Main-thread and whole-process CPU, microseconds, since the call. */
function meter(): () => { main: number; all: number } {
  const main = process.threadCpuUsage()
  const all = process.cpuUsage()
  return () => {
    const m = process.threadCpuUsage(main)
    const a = process.cpuUsage(all)
    return { main: m.user + m.system, all: a.user + a.system }
  }
}

async function writes(store: Store, fence: Fence, kind: keyof typeof kinds, width: number): Promise<void> {
  const until = performance.now() + secondsPerRun * 1_000
  const began = performance.now()
  const used = meter()
  const waits: number[] = []
  const loop = async (): Promise<void> => {
    while (performance.now() < until) {
      const sent = performance.now()
      const batch = kinds[kind]().map(key => ({ key, value: value() }))
      await store.commit(batch, fence)
      waits.push(performance.now() - sent)
    }
  }
  await Promise.all(Array.from({ length: width }, loop))
  const count = waits.length
  const { main, all } = used()
  waits.sort((a, b) => a - b)
  const at = (share: number): string => waits[Math.floor(share * (count - 1))]!.toFixed(1)
  const rate = Math.round((count / (performance.now() - began)) * 1_000)
  print(
    `commit, ${kind}, ${width} at a time: ${rate}/s · p50 ${at(0.5)} p99 ${at(0.99)} ms · main ${(main / count).toFixed(1)} all ${(all / count).toFixed(1)} µs each`,
  )
}

async function reads(store: Store, perTick: number): Promise<void> {
  const until = performance.now() + secondsPerRun * 1_000
  const used = meter()
  const began = performance.now()
  let count = 0
  while (performance.now() < until) {
    for (let i = 0; i < perTick; i++) void store.get(oldKey())
    count += perTick
    await new Promise(resolve => setImmediate(resolve))
  }
  const rate = Math.round((count / (performance.now() - began)) * 1_000)
  print(`point read, ${perTick} a tick: ${rate}/s · main ${(used().main / count).toFixed(1)} µs each`)
}

const path = mkdtempSync(join(parent, 'coffer-bench-'))
try {
  const store = await openSqliteStore({ path, world: { clock: systemClock, log: silentLog } })
  const term = await store.campaign(new AbortController().signal)
  for (let i = 0; i < keyCount; i += 100 * 32) {
    await Promise.all(
      Array.from({ length: 32 }, (_, j) =>
        store.commit(
          oldKeys.slice(i + j * 100, i + (j + 1) * 100).map(key => ({ key, value: value() })),
          term,
        ),
      ),
    )
  }
  print(`filled ${keyCount} keys · RSS ${Math.round(process.memoryUsage().rss / 1e6)} MB`)
  for (const kind of ['2 new rows', '1 new, 1 overwritten', '2 overwritten'] as const)
    await writes(store, term, kind, 32)
  for (const width of [1, 256]) await writes(store, term, '1 new, 1 overwritten', width)
  for (const perTick of [1, 32]) await reads(store, perTick)
  const megabytes = (file: string): number => Math.round(statSync(join(path, file)).size / 1e6)
  print(
    `database ${megabytes('coffer.db')} MB · log ${megabytes('coffer.db-wal')} MB · RSS ${Math.round(process.memoryUsage().rss / 1e6)} MB`,
  )
  await store.close()
} finally {
  rmSync(path, { recursive: true })
}

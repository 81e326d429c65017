import { spawn } from 'node:child_process'
import { relative } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Told } from './reporter.ts'

export type SuiteResult = {
  passed: number
  failed: number
  /** Reason → how many tests were skipped for it. */
  skipped: Map<string, number>
}

export type RunOptions = {
  name: string
  cwd: string
  flags: readonly string[]
  files: readonly string[]
  silenceMs: number
  /** Takes failures and the output of tests as they come. */
  print: (text: string) => void
}

const outputBytesMax = 4 * 1024 * 1024
const reporter = new URL('./reporter.ts', import.meta.url).href

/**
 * Runs `node --test` in a process group of its own and counts. node:test alone isn't safe: a test that calls
 * `process.exit(0)` makes the run end green, and one that spins is never killed. So a run without a summary has
 * failed, an exit code without a failed test has failed, and silence is ended by SIGKILL to the whole group.
 *
 * node:test also loses the end of a file now and then, since it ends a file's process before all that it told is
 * through. Such a file is run once more by itself; one that is cut again has failed.
 */
export async function runSuite(options: RunOptions): Promise<SuiteResult> {
  const first = await runOnce(options)
  if (first.cut.length === 0 || first.failed > 0) return summed(first)
  options.print(`\n${options.name}: not all of ${first.cut.join(', ')} was told; run again\n`)
  const second = await runOnce({ ...options, files: first.cut })
  const whole = summed(first, second)
  if (second.cut.length === 0 || second.failed > 0) return whole
  options.print(`\n✖ ${options.name}: some tests of ${second.cut.join(', ')} were not told of\n`)
  return { ...whole, failed: whole.failed + 1 }
}

function summed(...runs: readonly Once[]): SuiteResult {
  const sum: SuiteResult = { passed: 0, failed: 0, skipped: new Map() }
  for (const { passed, failed, skipped } of runs) {
    sum.passed += passed
    sum.failed += failed
    for (const [reason, count] of skipped) sum.skipped.set(reason, (sum.skipped.get(reason) ?? 0) + count)
  }
  return sum
}

/** `cut`: files whose end was not told; nothing of theirs is in `passed`. */
type Once = SuiteResult & { readonly cut: readonly string[] }

async function runOnce(options: RunOptions): Promise<Once> {
  const result: SuiteResult = { passed: 0, failed: 0, skipped: new Map() }
  const isByFile = options.flags.includes('--test-isolation=process')
  const { NODE_TEST_CONTEXT: _outer, ...env } = process.env
  const child = spawn(
    process.execPath,
    ['--no-warnings', '--test', `--test-reporter=${reporter}`, ...options.flags, ...options.files],
    { cwd: options.cwd, detached: true, env, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] },
  )
  let ended = false
  let silent = false
  const cut = new Set(isByFile ? options.files : [])
  const killGroup = (): void => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      // The group is gone already.
    }
  }
  const watchdog = setTimeout(() => {
    silent = true
    killGroup()
  }, options.silenceMs)
  process.once('exit', killGroup)

  forward(child.stdout!, options.print, () => watchdog.refresh())
  forward(child.stderr!, options.print, () => watchdog.refresh())
  const lines = createInterface({ input: child.stdio[3] as Readable })
  lines.on('line', line => {
    watchdog.refresh()
    const event = JSON.parse(line) as Told
    if (event.kind === 'summary') ended = true
    else if (event.kind === 'file') {
      // A file that has a process of its own is counted whole, once it has told its end.
      if (cut.delete(relative(options.cwd, event.file))) result.passed += event.passed
    } else if (event.kind !== 'passed' || !isByFile) count(event, result, options.print)
  })
  const exit = await new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal }))
    // A grandchild may hold the pipes open for ever; the run is over when the runner is.
    child.once('exit', () => setTimeout(killGroup, 500))
  })
  clearTimeout(watchdog)
  process.off('exit', killGroup)

  const trouble = judge(exit, {
    ended,
    silent,
    isCut: cut.size > 0,
    failed: result.failed,
    silenceMs: options.silenceMs,
  })
  if (trouble) {
    result.failed++
    options.print(`\n✖ ${options.name}: ${trouble}\n`)
  }
  return { ...result, cut: [...cut] }
}

function count(
  event: Exclude<Told, { kind: 'summary' | 'file' }>,
  result: SuiteResult,
  print: (text: string) => void,
): void {
  switch (event.kind) {
    case 'passed':
      result.passed++
      return
    case 'skipped':
      result.skipped.set(event.reason, (result.skipped.get(event.reason) ?? 0) + 1)
      return
    case 'failed':
      result.failed++
      print(`\n✖ ${event.name}\n  ${event.where}\n${event.detail.replace(/^/gm, '    ')}\n`)
  }
}

function judge(
  exit: { code: number | null; signal: string | null },
  run: { ended: boolean; silent: boolean; isCut: boolean; failed: number; silenceMs: number },
): string | null {
  if (run.silent) return `killed after ${run.silenceMs / 1000} s of silence: a test spins, or a handle keeps it alive`
  if (exit.signal) return `killed by ${exit.signal}`
  if (!run.ended) return `ended with exit code ${exit.code} and without a summary: a test called process.exit()`
  if (exit.code !== 0 && run.failed === 0 && !run.isCut)
    return `exit code ${exit.code} though no test failed: an error after a test's end`
  return null
}

function forward(stream: Readable, print: (text: string) => void, onData: () => void): void {
  let left = outputBytesMax
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    onData()
    if (left <= 0) return
    left -= text.length
    print(left > 0 ? text : `${text}\n… further output is left out\n`)
  })
}

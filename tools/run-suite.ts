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
 */
export async function runSuite(options: RunOptions): Promise<SuiteResult> {
  const result: SuiteResult = { passed: 0, failed: 0, skipped: new Map() }
  const { NODE_TEST_CONTEXT: _outer, ...env } = process.env
  const child = spawn(
    process.execPath,
    ['--no-warnings', '--test', `--test-reporter=${reporter}`, ...options.flags, ...options.files],
    { cwd: options.cwd, detached: true, env, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] },
  )
  let ended = false
  let silent = false
  const cut = new Set(options.flags.includes('--test-isolation=process') ? options.files : [])
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
    else if (event.kind === 'file') cut.delete(relative(options.cwd, event.file))
    else count(event, result, options.print)
  })
  const exit = await new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal }))
    // A grandchild may hold the pipes open for ever; the run is over when the runner is.
    child.once('exit', () => setTimeout(killGroup, 500))
  })
  clearTimeout(watchdog)
  process.off('exit', killGroup)

  const trouble = judge(exit, { ended, silent, cut, failed: result.failed, silenceMs: options.silenceMs })
  if (trouble) {
    result.failed++
    options.print(`\n✖ ${options.name}: ${trouble}\n`)
  }
  return result
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
  run: { ended: boolean; silent: boolean; cut: ReadonlySet<string>; failed: number; silenceMs: number },
): string | null {
  if (run.silent) return `killed after ${run.silenceMs / 1000} s of silence: a test spins, or a handle keeps it alive`
  if (exit.signal) return `killed by ${exit.signal}`
  if (!run.ended) return `ended with exit code ${exit.code} and without a summary: a test called process.exit()`
  // node:test itself has been seen to lose the end of a file, and to call the run green.
  if (run.cut.size > 0 && run.failed === 0)
    return `some tests of ${[...run.cut].join(', ')} were not told of: run it again by itself`
  if (exit.code !== 0 && run.failed === 0)
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

import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** How a process ended. */
export type Ending = { code: number | null; signal: NodeJS.Signals | null }

/** A long-lived process of a cluster. It can't outlive this one: the kernel kills it (PR_SET_PDEATHSIG). */
export type Running = {
  name: string
  pid: number
  /** Path of the file that holds its stdout and stderr. */
  log: string
  exited: Promise<Ending>
  isRunning(): boolean
}

/** Where a process runs: in the machine's own namespaces, or in those of the process with this pid. */
export type Where = { initPid?: number }

export type StartOptions = Where & { folder: string; env?: Record<string, string>; stdio?: (number | 'ignore')[] }

const baseEnv = (): Record<string, string> => ({ PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' })

/** `argv` as it is to be spawned so that it dies with us, in the namespaces asked for. */
export function bound(argv: readonly string[], where: Where = {}): string[] {
  // nsenter forks, because a process can't change its own PID namespace; it waits and passes on the exit status. Its
  // child has no death signal of its own, but dies with the namespaces' first process.
  const enter = where.initPid === undefined ? [] : ['nsenter', '-t', `${where.initPid}`, '-m', '-p', '-n', '--']
  return ['setpriv', '--pdeathsig', 'KILL', '--', ...enter, ...argv]
}

/**
 * Starts a process whose output goes to `log/NAME.log` in the folder.
 * @param options.stdio further descriptors that the child gets, from 3 on.
 * @throws Error when it can't be spawned.
 */
export async function start(name: string, argv: readonly string[], options: StartOptions): Promise<Running> {
  const log = join(options.folder, 'log', `${name}.log`)
  const output = openSync(log, 'a', 0o600)
  const [program = '', ...args] = bound(argv, options)
  const child = spawn(program, args, {
    stdio: ['ignore', output, output, ...(options.stdio ?? [])],
    env: { ...baseEnv(), HOME: options.folder, ...options.env },
    cwd: options.folder,
  })
  closeSync(output)
  const exited = ending(child)
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  return {
    name,
    pid: child.pid ?? -1,
    log,
    exited,
    isRunning: () => child.exitCode === null && child.signalCode === null,
  }
}

function ending(child: ChildProcess): Promise<Ending> {
  return new Promise(resolve => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', () => resolve({ code: -1, signal: null }))
  })
}

/** Ends a process and waits until it is gone. SIGKILL: an API server with open watches takes 15 s for a SIGTERM. */
export async function stop(running: Running): Promise<void> {
  if (running.isRunning()) {
    // Of a process in other namespaces we hold nsenter, which passes no signals on.
    for (const pid of children(running.pid)) kill(pid)
    kill(running.pid)
  }
  await running.exited
}

/** The children of a process's main thread; none when it is gone. */
export function children(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return text.split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** SIGKILL; nothing happens when there is no such process any more. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}

/**
 * When a process started, in clock ticks since boot (`proc(5)`, stat field 22); null when there is none. With the pid
 * it names a process for good: pids are used again. What has ended and waits for its parent to notice counts as gone.
 */
export function startTime(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the command's name in brackets, and may itself hold spaces and brackets.
    const [state, ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' || state === 'X' ? null : (fields[18] ?? null)
  } catch {
    return null
  }
}

/** The last lines of a log, for an error's text. */
export function tail(log: string, lines = 15): string {
  try {
    return readFileSync(log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  } catch {
    return '(no log)'
  }
}

export type Output = { code: number; stdout: string; stderr: string }

export type CaptureOptions = Where & {
  input?: string | Uint8Array
  env?: Record<string, string>
  cwd?: string
  /** Default 60,000. Then SIGKILL, and an error. */
  timeoutMs?: number
  /** Whole environment of ours too? Default: only PATH. */
  inheritEnv?: true
  /** Called with each piece of stderr as it comes. */
  onStderr?: (text: string) => void
  signal?: AbortSignal
}

/**
 * Runs a short command to its end.
 * @returns its output, whatever the exit code.
 * @throws Error when it can't be spawned or exceeds its time.
 */
export async function capture(argv: readonly string[], options: CaptureOptions = {}): Promise<Output> {
  const [program = '', ...args] = bound(argv, options)
  const timeoutMs = options.timeoutMs ?? 60_000
  const limit = AbortSignal.timeout(timeoutMs)
  const child = spawn(program, args, {
    env: { ...(options.inheritEnv ? process.env : baseEnv()), ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    signal: options.signal ? AbortSignal.any([limit, options.signal]) : limit,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    options.onStderr?.(text)
  })
  // A command that ends without reading its input is no error of ours.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', error => {
      reject(limit.aborted ? new Error(`${argv.join(' ')}: no end after ${timeoutMs} ms\n${stderr}`) : error)
    })
    child.once('close', (exitCode, signal) => resolve(exitCode ?? (signal ? 128 : 1)))
  })
  return { code, stdout, stderr }
}

/** Like `capture`, but an exit code other than 0 is an error that holds the command's stderr. */
export async function must(argv: readonly string[], options: CaptureOptions = {}): Promise<Output> {
  const output = await capture(argv, options)
  if (output.code !== 0) {
    throw new Error(`${argv.join(' ')}: exit code ${output.code}\n${output.stderr || output.stdout}`)
  }
  return output
}

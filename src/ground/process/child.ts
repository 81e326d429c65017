import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { Bytes } from '#ground/base/brand.ts'
import type { Clock } from '#ground/base/clock.ts'

type Environment = Readonly<Record<string, string | undefined>>

export type ChildOptions = {
  /** All that the child gets; undefined entries and what belongs to our own Node are left out. */
  readonly env: Environment
  readonly cwd?: string
  /** Written to its standard input, which is empty otherwise. */
  readonly input?: Bytes
  /** `inherit`: ours (default). `capture`: kept, up to `outputBytesMax` each. */
  readonly output?: 'inherit' | 'capture' | 'ignore'
  /** Default 1 MiB; what goes beyond is dropped and told. */
  readonly outputBytesMax?: number
  /** Ours in all but name: our standard input, our terminal and our process group; signals reach itself only. */
  readonly isForeground?: true
}

export type ChildEnd = {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Empty unless captured. */
  readonly stdout: Buffer
  readonly stderr: Buffer
  /** Some output was dropped. */
  readonly isCut: boolean
}

/** The child could not be started: the text names the command, never its arguments (they may hold secrets). */
export class ChildError extends Error {
  override readonly name = 'ChildError'
  /** As a shell would say: 127 not found, 126 not executable. */
  readonly exitCode: number

  constructor(command: string, cause: NodeJS.ErrnoException) {
    const why = { ENOENT: 'not found', EACCES: 'not executable' }[cause.code ?? ''] ?? cause.message
    super(`can't start ${JSON.stringify(command)}: ${why}`, { cause })
    this.exitCode = cause.code === 'ENOENT' ? 127 : 126
  }
}

const outputBytesMaxDefault = 1024 * 1024
// After its end a child's output may be held open by what it left running; we don't wait for that.
const drainMs = 1000

/** A child in a process group of its own unless it is a foreground one, started without a shell. */
export class Child {
  readonly pid: number
  /** Resolves when it has ended, by itself or not. */
  readonly ended: Promise<ChildEnd>
  readonly #clock: Clock
  readonly #process: ChildProcess
  readonly #target: number
  #isRunning = true

  private constructor(clock: Clock, started: ChildProcess & { readonly pid: number }, options: ChildOptions) {
    this.pid = started.pid
    this.#clock = clock
    this.#process = started
    this.#target = options.isForeground ? started.pid : -started.pid
    this.ended = this.#watch(options)
  }

  /** @throws ChildError when there is no such command. */
  static async start(clock: Clock, argv: readonly string[], options: ChildOptions): Promise<Child> {
    const [command = '', ...rest] = argv
    const flow = { inherit: 'inherit', capture: 'pipe', ignore: 'ignore' } as const
    const output = flow[options.output ?? 'inherit']
    const started = spawn(command, rest, {
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      env: childEnvironment(options.env),
      // A group of its own: what it starts in turn is reached by one signal.
      detached: !options.isForeground,
      stdio: [options.input !== undefined ? 'pipe' : options.isForeground ? 'inherit' : 'ignore', output, output],
    })
    if (hasPid(started)) return new Child(clock, started, options)
    const error = await new Promise<NodeJS.ErrnoException>(resolve => started.once('error', resolve))
    throw new ChildError(command, error)
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** Signals the child and all in its group; nothing when it has ended. */
  signal(name: NodeJS.Signals): void {
    if (!this.#isRunning) return
    try {
      process.kill(this.#target, name)
    } catch {
      // It ended just now.
    }
  }

  /** Asks the group to end by `signal`, ends it by SIGKILL after `graceMs`. */
  async stop(options: { readonly signal: NodeJS.Signals; readonly graceMs: number }): Promise<ChildEnd> {
    this.signal(options.signal)
    using _kill = this.#clock.after(options.graceMs, () => this.signal('SIGKILL'), { keepAlive: true })
    return await this.ended
  }

  async #watch(options: ChildOptions): Promise<ChildEnd> {
    const max = options.outputBytesMax ?? outputBytesMaxDefault
    const stdout = new Captured(this.#process.stdout, max)
    const stderr = new Captured(this.#process.stderr, max)
    // The child may end without reading: EPIPE is no failure of ours.
    this.#process.stdin?.on('error', () => undefined).end(options.input)
    const closed = new Promise<void>(resolve => this.#process.once('close', resolve))
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>(resolve =>
      this.#process.once('exit', (...end) => resolve(end)),
    )
    this.#isRunning = false
    await this.#drain(closed)
    return { code, signal, stdout: stdout.bytes(), stderr: stderr.bytes(), isCut: stdout.isCut || stderr.isCut }
  }

  async #drain(closed: Promise<void>): Promise<void> {
    const late = Promise.withResolvers<void>()
    using _late = this.#clock.after(drainMs, late.resolve, { keepAlive: true })
    await Promise.race([closed, late.promise])
    this.#process.stdout?.destroy()
    this.#process.stderr?.destroy()
  }
}

export type RunOptions = ChildOptions & {
  readonly clock: Clock
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Sent first, at the timeout or an abort; default SIGTERM. */
  readonly killSignal?: NodeJS.Signals
  /** Then SIGKILL, default after 5 s. */
  readonly killAfterMs?: number
}

/**
 * Runs a command to its end. At the timeout, and when `signal` is aborted, its whole group is ended.
 * @returns how it ended; `isTimedOut` when we ended it for its time.
 * @throws ChildError, or the signal's reason
 */
export async function runToEnd(
  argv: readonly string[],
  options: RunOptions,
): Promise<ChildEnd & { readonly isTimedOut: boolean }> {
  options.signal.throwIfAborted()
  const child = await Child.start(options.clock, argv, options)
  const ending = { signal: options.killSignal ?? 'SIGTERM', graceMs: options.killAfterMs ?? 5000 } as const
  let isTimedOut = false
  const onAbort = (): void => void child.stop(ending)
  options.signal.addEventListener('abort', onAbort, { once: true })
  using _timeout = options.clock.after(options.timeoutMs, () => {
    isTimedOut = true
    void child.stop(ending)
  })
  try {
    if (options.signal.aborted) onAbort()
    const end = await child.ended
    options.signal.throwIfAborted()
    return { ...end, isTimedOut }
  } finally {
    options.signal.removeEventListener('abort', onAbort)
  }
}

const hasPid = (child: ChildProcess): child is ChildProcess & { readonly pid: number } => child.pid !== undefined

// The launcher's own: a Node child would write its cache into our folder, or think that it was called as we were.
const ours: ReadonlySet<string> = new Set(['NODE_COMPILE_CACHE', 'COFFER_CALLED_AS'])

export function childEnvironment(env: Environment): Record<string, string> {
  const clean: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) if (value !== undefined && !ours.has(name)) clean[name] = value
  return clean
}

class Captured {
  readonly #chunks: Buffer[] = []
  #left: number
  isCut = false

  constructor(stream: Readable | null, bytesMax: number) {
    this.#left = bytesMax
    stream?.on('data', (chunk: Buffer) => {
      if (chunk.length > this.#left) this.isCut = true
      if (this.#left > 0) this.#chunks.push(chunk.subarray(0, this.#left))
      this.#left = Math.max(0, this.#left - chunk.length)
    })
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}

import { Worker } from 'node:worker_threads'
import type { Clock } from '#ground/base/clock.ts'
import type { Answer, Ask } from './messages.ts'
import type { ComputeTasks } from './tasks.ts'
import { workerUrl } from './worker-url.ts'

/**
 * - `busy`: the queue is full; the caller answers "try again".
 * - `timeout`: it took longer than it may; its thread was ended.
 * - `failed`: the task threw, or its thread died.
 * - `closed`: the pool is.
 */
export class ComputeError extends Error {
  override readonly name = 'ComputeError'
  readonly code: 'busy' | 'timeout' | 'failed' | 'closed'

  constructor(code: ComputeError['code'], message: string) {
    super(message)
    this.code = code
  }
}

export type PoolOptions = {
  readonly clock: Clock
  /** Threads at most; each starts with the first task that needs it. */
  readonly width: number
  /** Tasks that may wait. */
  readonly waitingMax: number
  /** How long one task may run, ms. */
  readonly timeoutMs: number
  /** The worker's module; default: `compute.worker`. */
  readonly entry?: URL
}

type Job = {
  readonly ask: Ask
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

/** A thread and what it works on. */
type Thread = { readonly worker: Worker; job: Job | null; timer: Disposable | null }

/** Runs tasks of type `T` off the main thread. Threads that are idle don't keep the process alive. */
export class ComputePool<T extends { [name in keyof T]: (payload: never) => unknown } = ComputeTasks> {
  readonly #options: PoolOptions
  readonly #threads = new Set<Thread>()
  readonly #waiting: Job[] = []
  #asked = 0
  #isClosed = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /**
   * @param payload is copied.
   * @throws ComputeError, or the signal's reason; a task that runs is ended by an abort, with its thread.
   */
  async run<K extends keyof T & string>(
    task: K,
    payload: Parameters<T[K]>[0],
    signal?: AbortSignal,
  ): Promise<Awaited<ReturnType<T[K]>>> {
    signal?.throwIfAborted()
    if (this.#isClosed) throw new ComputeError('closed', 'the compute pool is closed')
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const job: Job = { ask: { id: ++this.#asked, task, payload }, resolve, reject }
    const thread = this.#idle()
    if (thread) this.#give(thread, job)
    else if (this.#waiting.length < this.#options.waitingMax) this.#waiting.push(job)
    else throw new ComputeError('busy', `${this.#waiting.length} tasks wait already`)
    const onAbort = (): void => this.#abandon(job, signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return (await promise) as Awaited<ReturnType<T[K]>>
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Ends all threads; what waits or runs fails with `closed`. */
  async close(): Promise<void> {
    this.#isClosed = true
    const closed = new ComputeError('closed', 'the compute pool is closed')
    for (const job of this.#waiting.splice(0)) job.reject(closed)
    await Promise.all([...this.#threads].map(thread => this.#end(thread, closed)))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #idle(): Thread | null {
    for (const thread of this.#threads) if (!thread.job) return thread
    return this.#threads.size < this.#options.width ? this.#start() : null
  }

  #start(): Thread {
    const worker = new Worker(this.#options.entry ?? workerUrl('compute', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: 128 },
    })
    const thread: Thread = { worker, job: null, timer: null }
    this.#threads.add(thread)
    worker.unref()
    worker.on('message', (answer: Answer) => this.#took(thread, answer))
    worker.on('error', error => {
      const message = error instanceof Error ? error.message : String(error)
      void this.#end(thread, new ComputeError('failed', `compute thread died: ${message}`))
    })
    worker.on('exit', () => void this.#end(thread, new ComputeError('failed', 'compute thread ended')))
    return thread
  }

  #give(thread: Thread, job: Job): void {
    thread.job = job
    thread.worker.ref()
    thread.timer = this.#options.clock.after(this.#options.timeoutMs, () => {
      const message = `${job.ask.task} took longer than ${this.#options.timeoutMs} ms`
      void this.#end(thread, new ComputeError('timeout', message))
    })
    try {
      thread.worker.postMessage(job.ask, [])
    } catch (error) {
      // A payload that can't be copied: the thread has not seen it.
      this.#free(thread)
      job.reject(error)
      this.#next()
    }
  }

  #took(thread: Thread, answer: Answer): void {
    const { job } = thread
    if (job?.ask.id !== answer.id) return
    this.#free(thread)
    if (answer.ok) job.resolve(answer.result)
    else job.reject(new ComputeError('failed', answer.message))
    this.#next()
  }

  #free(thread: Thread): void {
    thread.timer?.[Symbol.dispose]()
    thread.timer = null
    thread.job = null
    thread.worker.unref()
  }

  #next(): void {
    if (this.#waiting.length === 0 || this.#isClosed) return
    const thread = this.#idle()
    if (thread) this.#give(thread, this.#waiting.shift()!)
  }

  async #end(thread: Thread, error: unknown): Promise<void> {
    if (!this.#threads.delete(thread)) return
    const { job } = thread
    this.#free(thread)
    job?.reject(error)
    this.#next()
    await thread.worker.terminate()
  }

  #abandon(job: Job, reason: unknown): void {
    const at = this.#waiting.indexOf(job)
    if (at !== -1) this.#waiting.splice(at, 1)
    for (const thread of this.#threads) if (thread.job === job) void this.#end(thread, reason)
    job.reject(reason)
  }
}

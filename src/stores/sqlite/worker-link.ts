import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Answer, WorkerData } from './messages.ts'
import { type SqliteFailure, sqliteFailure } from './sqlite-error.ts'

/** What a worker failed with. */
export class WorkerFailure extends Error {
  override readonly name = 'WorkerFailure'
  readonly failure: SqliteFailure

  constructor(failure: SqliteFailure) {
    super(failure.message)
    this.failure = failure
  }
}

type Waiting<Reply> = { readonly resolve: (reply: Reply) => void; readonly reject: (error: WorkerFailure) => void }

export type WorkerOptions = {
  /** `committer` for `committer.worker.ts`. */
  readonly name: string
  readonly data: WorkerData
  readonly env: NodeJS.ProcessEnv
  /** The thread ended though nobody asked it to. */
  readonly onDeath: (failure: SqliteFailure) => void
}

/**
 * Asks a worker and gets its answers in order. The process stays alive for as long as an answer is due and no longer.
 * Few asks are under way at a time: one group, one checkpoint, the closing.
 */
export class WorkerLink<Opened, Ask, Reply> {
  /** The worker's first word. */
  readonly opened: Promise<Opened>
  readonly #worker: Worker
  readonly #waiting: Waiting<unknown>[] = []
  #death: SqliteFailure | null = null

  constructor(options: WorkerOptions) {
    const here = import.meta.url
    this.#worker = new Worker(new URL(`./${options.name}.worker${extname(here)}`, here), {
      name: options.name,
      workerData: options.data,
      env: options.env,
      execArgv: ['--no-warnings'],
    })
    this.opened = this.#await<Opened>()
    this.#worker.on('message', (answer: Answer<unknown>) => this.#onAnswer(answer))
    const die = (message: string): void => {
      if (this.#death) return
      const failure = { code: 0, message: `the ${options.name} thread ended: ${message}` }
      this.#die(failure)
      options.onDeath(failure)
    }
    this.#worker.on('error', error => die(error instanceof Error ? error.message : String(error)))
    this.#worker.on('exit', code => die(`exit code ${code}`))
  }

  /** @throws WorkerFailure */
  call(ask: Ask, transfer: readonly ArrayBuffer[] = []): Promise<Reply> {
    if (this.#death) return Promise.reject(new WorkerFailure(this.#death))
    const reply = this.#await<Reply>()
    this.#worker.postMessage(ask, transfer)
    return reply
  }

  /** Ends the thread; what waits for it is refused. */
  async end(): Promise<void> {
    this.#die({ code: 0, message: 'the thread was ended' })
    await this.#worker.terminate()
  }

  #die(failure: SqliteFailure): void {
    this.#death ??= failure
    for (const waiting of this.#waiting.splice(0)) waiting.reject(new WorkerFailure(this.#death))
  }

  #await<T>(): Promise<T> {
    if (this.#waiting.length === 0) this.#worker.ref()
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ resolve: resolve as (reply: unknown) => void, reject })
    })
  }

  #onAnswer(answer: Answer<unknown>): void {
    const waiting = this.#waiting.shift()
    if (this.#waiting.length === 0) this.#worker.unref()
    if ('reply' in answer) waiting?.resolve(answer.reply)
    else waiting?.reject(new WorkerFailure(answer.failure))
  }
}

/** What went wrong, whether here or in a worker. */
export function failureOf(error: unknown): SqliteFailure {
  return error instanceof WorkerFailure ? error.failure : sqliteFailure(error)
}

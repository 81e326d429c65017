import { parentPort } from 'node:worker_threads'
import { assert } from '#ground/base/assert.ts'
import type { Answer } from './messages.ts'
import { sqliteFailure } from './sqlite-error.ts'

export type Served = {
  /** The first word to the other side. */
  readonly opened: unknown
  /** @param ask of the type that the other side's `WorkerLink` names */
  answer(ask: never): { readonly reply: unknown; readonly transfer?: ArrayBuffer }
}

/** The worker's side of `WorkerLink`: says what `open` gives, or why it failed; then answers each ask in order. */
export function serve(open: () => Served): void {
  const port = parentPort
  assert(port, 'a worker has a parent')
  const attempt = (work: () => { reply: unknown; transfer?: ArrayBuffer }): void => {
    try {
      const { reply, transfer } = work()
      port.postMessage({ reply } satisfies Answer<unknown>, transfer ? [transfer] : [])
    } catch (error) {
      port.postMessage({ failure: sqliteFailure(error) } satisfies Answer<unknown>)
    }
  }
  attempt(() => {
    const served = open()
    port.on('message', ask => attempt(() => served.answer(ask as never)))
    return { reply: served.opened }
  })
}

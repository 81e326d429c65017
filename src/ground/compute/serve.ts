import { parentPort } from 'node:worker_threads'
import { assert } from '#ground/base/assert.ts'
import type { Answer, Ask } from './messages.ts'

/** Tasks by name; each may take its time, as nothing else runs on its thread. */
export type Tasks = Readonly<Record<string, (payload: never) => unknown>>

/** The worker's side: answers one task after the other. */
export function serveTasks(tasks: Tasks): void {
  assert(parentPort, 'tasks are served in a worker')
  const port = parentPort
  port.on('message', (ask: Ask) => {
    void answer(tasks, ask).then(said => port.postMessage(said))
  })
}

async function answer(tasks: Tasks, { id, task, payload }: Ask): Promise<Answer> {
  try {
    assert(Object.hasOwn(tasks, task), `there is no task ${task}`)
    return { id, ok: true, result: await tasks[task]!(payload as never) }
  } catch (error) {
    return { id, ok: false, message: error instanceof Error ? error.message : String(error) }
  }
}

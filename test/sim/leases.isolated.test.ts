import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { Answer, Ask } from './seed-worker.ts'

// The test runner follows each promise, which makes a simulation three times as slow: it runs in threads without it.
const width = 2
const idle: Worker[] = []

async function play(ask: Ask): Promise<Exclude<Answer, { fault: string }>> {
  const worker = idle.pop() ?? new Worker(new URL('./seed-worker.ts', import.meta.url))
  const answered = once(worker, 'message')
  worker.postMessage(ask, [])
  const [answer] = (await answered) as [Answer]
  idle.push(worker)
  if ('fault' in answer) assert.fail(answer.fault)
  return answer
}

after(() => Promise.all(idle.map(worker => worker.terminate())))

describe('30 days with leases of an hour, in all weathers', { concurrency: width }, () => {
  for (let seed = 1; seed <= 30; seed++) {
    test(`never a dead credential while a live one could be had, never three leases: seed ${seed}`, async () => {
      const { leases, events } = await play({ seed, days: 30 })
      assert.ok(leases > 2 && events > 10)
    })
  }
})

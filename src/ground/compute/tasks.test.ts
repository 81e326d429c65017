import assert from 'node:assert/strict'
import { test } from 'node:test'
import { computeTasks } from './tasks.ts'

const password = new TextEncoder().encode('right')
const wrong = new TextEncoder().encode('wrong')
const hashOf = (cost: number): string => computeTasks.bcryptHash({ password, salt: new Uint8Array(16).fill(7), cost })

test('compute: a password is checked against its hash, and against nobody', () => {
  const hash = hashOf(4)
  assert.equal(computeTasks.bcryptCheck({ password, hash, floor: 5 }), true)
  assert.equal(computeTasks.bcryptCheck({ password: wrong, hash, floor: 5 }), false)
  assert.equal(computeTasks.bcryptCheck({ password, hash: null, floor: 5 }), false)
})

test('compute: a refused password takes as long for nobody as for a cheap hash and for a dear one', () => {
  const floor = 9
  const kinds = [null, hashOf(5), hashOf(8), hashOf(floor)]
  // The least of several runs, in time of this thread: other work on the machine doesn't count.
  const times = kinds.map(hash => {
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < 5; i++) {
      const before = process.threadCpuUsage()
      computeTasks.bcryptCheck({ password: wrong, hash, floor })
      const { user, system } = process.threadCpuUsage(before)
      least = Math.min(least, (user + system) / 1000)
    }
    return least
  })
  const [low, high] = [Math.min(...times), Math.max(...times)]
  // Without the filling up a hash of cost 5 would take a sixteenth.
  assert.ok(high < low * 1.6, `took ${times.map(ms => ms.toFixed(1)).join(', ')} ms`)
})

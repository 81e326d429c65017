import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '#ground/base/log.ts'
import { simWorld } from '#ground/base/world.ts'
import { type Space, watchVolume } from './volume.ts'

function world(): { lines: string[]; world: ReturnType<typeof simWorld> } {
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'standard', write: line => lines.push(line), now: () => 0 })
  return { lines, world: simWorld({ seed: 1, log }) }
}

test('a volume that is full to 80 % is warned of every ten minutes, and no sooner', async () => {
  const { lines, world: sim } = world()
  let space: Space = { blocks: 100, bavail: 21 }
  watchVolume('/audit', sim, () => space)
  assert.deepEqual(lines, [])
  space = { blocks: 100, bavail: 20 }
  await sim.clock.advance(600_000)
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /\[WARN\].*folder=\/audit used=80%/)
  await sim.clock.advance(599_999)
  assert.equal(lines.length, 1)
  await sim.clock.advance(1)
  assert.equal(lines.length, 2)
})

test('a volume that can not be asked is told, and asked again', async () => {
  const { lines, world: sim } = world()
  watchVolume('/audit', sim, () => {
    throw new Error('ENOENT')
  })
  assert.match(lines[0] ?? '', /can not be told/)
  await sim.clock.advance(600_000)
  assert.equal(lines.length, 2)
})

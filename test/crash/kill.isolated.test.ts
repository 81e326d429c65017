import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killUnderLoad } from './killed-server.ts'

for (let seed = 1; seed <= 12; seed++) {
  test(`kill -9 under load loses nothing that was acknowledged (seed ${seed})`, async () => {
    const round = await killUnderLoad(seed)
    assert(round.acknowledged > 0, 'there was no load')
  })
}

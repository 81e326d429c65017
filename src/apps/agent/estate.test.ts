import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '#ground/base/log.ts'
import { Secret } from '#ground/base/secret.ts'
import { simWorld } from '#ground/base/world.ts'
import { Estate } from './estate.ts'
import { type HandoverPlace, takeOver } from './handover.ts'

/** An estate whose token is `hvs.1`, `hvs.2` … at each writing; `fails` makes the place fail. */
function start() {
  const state = { text: null as string | null, written: 0, fails: false, lines: '' }
  const place: HandoverPlace = {
    read: async () => state.text,
    async write(text) {
      if (state.fails) throw new Error('no space left on device')
      state.text = text
      state.written++
    },
    async remove() {
      state.text = null
    },
  }
  const write = (line: string): void => {
    state.lines += line
  }
  const world = simWorld({ seed: 1, log: createLog({ level: 'trace', format: 'standard', write, now: () => 0 }) })
  let asked = 0
  const estate = new Estate(world, place, () => ({
    held: { token: new Secret(`hvs.${++asked}`), expiresAtMs: null, isRenewable: true },
    before: [],
    fetched: new Map(),
  }))
  const token = async (): Promise<string | undefined> => (await takeOver(world, place))?.held.token.reveal('a test')
  return { state, estate, token }
}

test('what changes together is kept once, as it was last, and what changes later again', async () => {
  const { state, estate, token } = start()
  estate.changed()
  estate.changed()
  await estate.settled()
  assert.deepEqual([state.written, await token()], [1, 'hvs.1'])
  estate.changed()
  await estate.settled()
  assert.deepEqual([state.written, await token()], [2, 'hvs.2'])
})

test('a change while one is written is kept after it', async () => {
  const { state, estate, token } = start()
  estate.changed()
  await Promise.resolve()
  estate.changed()
  await estate.settled()
  assert.deepEqual([state.written, await token()], [2, 'hvs.2'])
})

test('a place that fails is told once, without a word of what was to be kept, and used again later', async () => {
  const { state, estate, token } = start()
  state.fails = true
  for (let i = 0; i < 3; i++) {
    estate.changed()
    await estate.settled()
  }
  assert.equal(state.lines.match(/no space left on device/g)?.length, 1)
  assert.ok(!state.lines.includes('hvs.'))
  state.fails = false
  estate.changed()
  await estate.settled()
  assert.equal(await token(), 'hvs.4')
})

test('an agent that revokes what it holds leaves nothing to go on with', async () => {
  const { estate, token } = start()
  estate.changed()
  await estate.forget()
  assert.equal(await token(), undefined)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectError } from './api-error.ts'
import { scriptedClient, type ScriptedAnswer } from './scripted-wire.ts'
import { ServerReturn } from './server-return.ts'

const fine: ScriptedAnswer = { status: 200, body: '{"sealed":false}' }
const refused = new ConnectError('', '', 'connection refused', { isRetryable: true })

function start() {
  const state: { health: ScriptedAnswer } = { health: fine }
  const run = scriptedClient(() => state.health)
  const server = new ServerReturn(run.world, run.client)
  const stop = new AbortController()
  const wait = (ms: number, error: unknown): { isOver: boolean; done: Promise<void> } => {
    const waited = { isOver: false, done: Promise.resolve() }
    waited.done = server.wait(ms, error, stop.signal).then(() => void (waited.isOver = true))
    return waited
  }
  return { ...run, state, wait, stop }
}

test('a wait for a server that was away ends soon after it is back, for all that wait, by one question', async () => {
  for (const away of [{ error: 'connection refused' }, { status: 503, body: '{"sealed":true}' }]) {
    const { world, state, wait, sent } = start()
    state.health = away
    const waits = [wait(300_000, refused), wait(300_000, new Error('500'))]
    await world.clock.advance(60_000)
    assert.deepEqual([waits[0]!.isOver, waits[1]!.isOver], [false, false])
    assert.ok(sent.length <= 9, `${sent.length} questions in a minute`)
    assert.ok(sent.every(({ headers }) => headers.every(([name]) => name !== 'X-Vault-Token')))
    state.health = fine
    await world.clock.advance(13_000)
    assert.deepEqual([waits[0]!.isOver, waits[1]!.isOver], [true, true])
    assert.equal(world.clock.waiting, 0)
  }
})

test('a server that is there and refuses is waited for as long as was said', async () => {
  const { world, wait } = start()
  const waited = wait(300_000, new Error('500'))
  await world.clock.advance(299_000)
  assert.equal(waited.isOver, false)
  await world.clock.advance(1_000)
  assert.equal(waited.isOver, true)
})

test('a short wait asks nothing, and a stop ends any wait', async () => {
  const { world, wait, stop, sent } = start()
  const short = wait(5_000, refused)
  await world.clock.advance(5_000)
  assert.deepEqual([short.isOver, sent.length], [true, 0])
  const long = wait(300_000, refused)
  await world.clock.advance(0)
  stop.abort()
  await long.done
  await world.clock.advance(0)
  assert.equal(world.clock.waiting, 0)
})

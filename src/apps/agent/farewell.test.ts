import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import { Secret } from '#ground/base/secret.ts'
import { type ScriptedAnswer, type SentRequest, scriptedClient } from '#client/scripted-wire.ts'
import { Farewell } from './farewell.ts'

const tokenOf = ({ headers }: SentRequest): string => headers.find(([name]) => name === 'X-Vault-Token')?.[1] ?? ''

async function revoked(
  answer: ScriptedAnswer,
  lifetimesMs: readonly (number | null)[],
  prefix = 't',
): Promise<readonly string[]> {
  const { client, world, sent } = scriptedClient(() => answer)
  const farewell = new Farewell(world, client)
  const now = world.clock.now()
  lifetimesMs.forEach((ms, i) =>
    farewell.met({
      token: new Secret(`${prefix}${i + 1}`),
      expiresAtMs: ms === null ? null : now + ms,
      isRenewable: true,
    }),
  )
  await world.clock.advance(1000)
  const done = farewell.revoke(seconds(5))
  await world.clock.advance(4_999)
  assert.equal(sent.length, 0, 'the grace is not over')
  for (let i = 0; i < 40; i++) await world.clock.advance(1000)
  await done
  assert.ok(sent.every(({ target }) => target === '/v1/auth/token/revoke-self'))
  return sent.map(tokenOf)
}

test('an agent that ends revokes the tokens that still live, after the grace', async () => {
  assert.deepEqual(await revoked({ status: 204 }, [500, 60_000, null]), ['t2', 't3'])
})

test('an agent that ends leaves batch tokens alone: no server revokes them', async () => {
  for (const prefix of ['hvb.', 'b.']) assert.deepEqual(await revoked({ status: 400 }, [60_000, 90_000], prefix), [])
})

for (const [rule, answer] of [
  ['refuses', { status: 403, body: '{"errors":["permission denied"]}' }],
  ['does not answer', 'hang'],
  ['is not there', { error: 'connection refused', isRetryable: false }],
] as const) {
  test(`an agent that ends is not held up by a server that ${rule}`, async () => {
    assert.deepEqual(await revoked(answer, [60_000]), ['t1'])
  })
}

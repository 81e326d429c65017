import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEnvelope } from '#protocol/envelope.ts'
import { keepLease, keepToken } from './keep-token.ts'
import { authOf } from './login/login.ts'
import { scriptedClient } from './scripted-wire.ts'

const auth = { client_token: 'hvs.mine', lease_duration: 60, renewable: true }
const login = authOf(parseEnvelope({ auth }) ?? assert.fail('no envelope'))
const renewed = JSON.stringify({ auth })

test('a token is renewed with itself, unwrapped, until it is stopped', async () => {
  const { client, sent, world } = scriptedClient([{ status: 200, body: renewed }], { wrapTtlSeconds: 60 })
  const stop = new AbortController()
  const end = keepToken(world, client, login, { signal: stop.signal, incrementSeconds: 30 })
  await world.clock.advance(0)
  assert.equal(sent[0]?.target, '/v1/auth/token/renew-self')
  assert.equal(sent[0]?.body, '{"increment":30}')
  assert.deepEqual(
    sent[0]?.headers.filter(([name]) => name.startsWith('X-Vault-T') || name === 'X-Vault-Wrap-TTL'),
    [['X-Vault-Token', 'hvs.mine']],
  )
  stop.abort()
  assert.deepEqual(await end, { kind: 'stopped' })
  assert.equal(world.clock.waiting, 0)
})

test('a batch token is never renewed, and there is time for another login before its end', async () => {
  const { client, sent, world } = scriptedClient([{ status: 400 }])
  const batch = { client_token: 'hvb.mine', lease_duration: 600, renewable: false, token_type: 'batch' }
  const mine = authOf(parseEnvelope({ auth: batch }) ?? assert.fail('no envelope'))
  const start = world.clock.now()
  const end = keepToken(world, client, mine, { signal: world.signal }).then(kind => ({ kind, at: world.clock.now() }))
  for (let i = 0; i < 60; i++) await world.clock.advance(10_000)
  const { kind, at } = await end
  assert.equal(kind.kind, 'near-expiry')
  assert.ok(at - start > 200_000 && at - start < 570_000, String(at - start))
  assert.equal(sent.length, 0)
})

for (const [rule, body, kind] of [
  [
    'a revoked token ends the watch at once',
    '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n',
    'gone',
  ],
  ["a policy that forbids renewal doesn't", '1 error occurred:\n\t* permission denied\n\n', 'near-expiry'],
] as const) {
  test(rule, async () => {
    const { client, settle, world } = scriptedClient([{ status: 403, body: JSON.stringify({ errors: [body] }) }])
    const end = await settle(keepToken(world, client, login, { signal: world.signal }))
    assert.equal(end.kind, kind)
  })
}

const lease = { leaseId: 'database/creds/app/x', ttlSeconds: 60, isRenewable: true }

for (const [rule, status, text, kind] of [
  ['a lease that is not found is gone', 400, 'lease not found', 'gone'],
  ['any other failure ends the watch of a lease', 400, 'past the max TTL, cannot renew', 'failed'],
] as const) {
  test(rule, async () => {
    const { client, sent, settle, world } = scriptedClient([{ status, body: JSON.stringify({ errors: [text] }) }])
    const end = await settle(keepLease(world, client, lease, { signal: world.signal }))
    assert.equal(end.kind, kind)
    assert.equal(sent[0]?.body, '{"lease_id":"database/creds/app/x","increment":0}')
  })
}

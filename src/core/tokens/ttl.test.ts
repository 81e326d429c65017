import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { seconds } from '#ground/base/clock.ts'
import { doorman } from '#core/testing/engines.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'

type Body = Readonly<Record<string, Json>>
const settings = { defaultLeaseTtl: seconds(3_600), maxLeaseTtl: seconds(36_000) }
const open = (): Promise<TestServer> => openTestMount(doorman(), { settings })

const granted: readonly (readonly [rule: string, body: Body, ttl: number, warning: string | null])[] = [
  ['nothing asked: the default', {}, 3_600, null],
  ['a duration', { ttl: '90m' }, 5_400, null],
  ['seconds as a number', { ttl: 90 }, 90, null],
  ['seconds as text', { ttl: '90' }, 90, null],
  ['days', { ttl: '0d' }, 3_600, null],
  ['lease, the old name', { lease: '2h' }, 7_200, null],
  ['ttl beats lease', { ttl: '1h', lease: '2h' }, 3_600, null],
  [
    'over the maximum',
    { ttl: '1000h' },
    36_000,
    'TTL of "1000h" exceeded the effective max_ttl of "10h"; TTL value is capped accordingly',
  ],
  [
    'over its own maximum',
    { ttl: '3h', explicit_max_ttl: '2h' },
    7_200,
    'TTL of "3h" exceeded the effective max_ttl of "2h"; TTL value is capped accordingly',
  ],
  [
    'an own maximum under the default',
    { explicit_max_ttl: '30m' },
    1_800,
    'TTL of "1h" exceeded the effective max_ttl of "30m"; TTL value is capped accordingly',
  ],
  [
    "an own maximum over the system's counts for nothing",
    { ttl: '20h', explicit_max_ttl: '30h' },
    36_000,
    'TTL of "20h" exceeded the effective max_ttl of "10h"; TTL value is capped accordingly',
  ],
  ['a period', { period: '2h', ttl: '1h' }, 7_200, null],
  [
    'a period over the maximum',
    { period: '20h' },
    36_000,
    'period of "20h" exceeded the effective max_ttl of "10h"; period value is capped accordingly',
  ],
  ['a fraction of a second is cut', { ttl: '90500ms' }, 90, null],
]
for (const [rule, body, ttl, warning] of granted) {
  test(`token ttl: ${rule}`, async () => {
    await using server = await open()
    const answer = await server.ask('POST', 'auth/token/create', { body: { policies: ['default'], ...body } })
    const { auth, warnings } = answer.body as {
      auth: { lease_duration: number; client_token: string }
      warnings: unknown
    }
    assert.equal(auth.lease_duration, ttl)
    assert.deepEqual(warnings, warning === null ? null : [warning])
    const at = server.world.clock.now()
    await server.world.clock.advance(ttl * 1000 - 1)
    assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token: auth.client_token })).status, 200)
    await server.world.clock.advance(1)
    assert.equal(server.world.clock.now() - at, ttl * 1000)
    assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token: auth.client_token })).status, 403)
  })
}

const roots: readonly (readonly [rule: string, body: Body, ttl: number])[] = [
  ['asked for nothing, never ends', {}, 0],
  ['with a ttl ends', { ttl: '1h' }, 3_600],
  ['with a maximum and no ttl ends then', { explicit_max_ttl: '2h' }, 7_200],
]
for (const [rule, body, ttl] of roots) {
  test(`token ttl: root, ${rule}`, async () => {
    await using server = await open()
    const answer = await server.ask('POST', 'auth/token/create', { body: { policies: ['root'], ...body } })
    const { auth } = answer.body as { auth: { lease_duration: number; renewable: boolean; client_token: string } }
    assert.deepEqual([auth.lease_duration, auth.renewable], [ttl, ttl > 0])
    await server.world.clock.advance(40 * 86_400_000)
    const { status } = await server.ask('GET', 'auth/token/lookup-self', { token: auth.client_token })
    assert.equal(status, ttl > 0 ? 403 : 200)
  })
}

test('token ttl: what ran out is gone from the store, and stays gone after a restart', async () => {
  await using server = await open()
  const token = await server.tokenWith('path "x" { capabilities = ["read"] }', { ttl: 60 })
  const accessors = async (): Promise<number> =>
    ((await server.ask('LIST', 'auth/token/accessors')).data as { keys: unknown[] }).keys.length
  assert.equal(await accessors(), 2)
  await server.world.clock.advance(61_000)
  assert.equal(await accessors(), 1)
  await server.restart()
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 403)
  assert.equal(await accessors(), 1)
})

test('token ttl: what ran out while the server was down does not come back', async () => {
  await using server = await open()
  const token = await server.tokenWith('path "x" { capabilities = ["read"] }', { ttl: 60 })
  await server.node.seal()
  await server.world.clock.advance(61_000)
  await server.restart()
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 403)
})

test("token ttl: a mount's own maximum may pass the system's", async () => {
  await using server = await open()
  await server.ask('POST', 'sys/auth/token/tune', { body: { max_lease_ttl: '100h' } })
  const answer = await server.ask('POST', 'auth/token/create', { body: { policies: ['default'], ttl: '50h' } })
  assert.equal((answer.body as { auth: { lease_duration: number } }).auth.lease_duration, 180_000)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'

async function open() {
  const outside = new Outside()
  const server = await openTestMount(accountsEngine(outside))
  const take = async (query = 'ttl=60', role = 'app', token?: string): Promise<string> => {
    const answer = await server.ask('GET', `accounts/creds/${role}?${query}`, token === undefined ? {} : { token })
    return (answer.body as { lease_id: string }).lease_id
  }
  return { outside, server, take, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

async function newToken(server: TestServer, more: Record<string, Json> = {}): Promise<string> {
  const answer = await server.ask('POST', 'auth/token/create', { body: { policies: ['root'], ttl: '1h', ...more } })
  return (answer.body as { auth: { client_token: string } }).auth.client_token
}

const keys = async (server: TestServer, prefix: string): Promise<Json> => {
  const answer = await server.ask('LIST', `sys/leases/lookup/${prefix}`)
  return answer.status === 404 ? null : (answer.data as { keys: Json }).keys
}

test('leases/lookup: times, and what is left of them', async () => {
  await using run = await open()
  const id = await run.take()
  await run.server.world.clock.advance(10_500)
  const { data } = await run.server.ask('PUT', 'sys/leases/lookup', { body: { lease_id: id } })
  assert.deepEqual(data, {
    id,
    issue_time: '2026-01-01T00:00:00Z',
    expire_time: '2026-01-01T00:01:00Z',
    last_renewal: null,
    renewable: true,
    ttl: 50,
  })
})

for (const [rule, path, body, text] of [
  ['of an unknown lease', 'sys/leases/lookup', { lease_id: 'accounts/creds/app/x' }, 'invalid lease'],
  ['without an id', 'sys/leases/lookup', {}, 'lease_id must be specified'],
  ['renewing an unknown lease', 'sys/leases/renew', { lease_id: 'accounts/creds/app/x' }, 'lease not found'],
  ['renewing without an id', 'sys/leases/renew', {}, 'lease_id must be specified'],
  ['revoking without an id', 'sys/leases/revoke', {}, 'lease_id must be specified'],
  ['an id that climbs', 'sys/leases/lookup', { lease_id: '../sys/x' }, 'invalid lease'],
] as const) {
  test(`leases: refused ${rule}, in one bare text`, async () => {
    await using run = await open()
    const { status, errors } = await run.server.ask('PUT', path, { body })
    assert.deepEqual([status, errors], [400, [text]])
  })
}

for (const [path, body] of [
  ['sys/leases/renew', true],
  ['sys/leases/renew/', false],
  ['sys/renew', true],
  ['sys/renew/', false],
] as const) {
  test(`leases: renewed through ${path}${body ? '' : 'ID'}, it keeps its id and gets a new time`, async () => {
    await using run = await open()
    const id = await run.take()
    await run.server.world.clock.advance(50_000)
    const answer = await run.server.ask('PUT', body ? path : path + id, {
      body: { increment: 120, ...(body && { lease_id: id }) },
    })
    const { lease_id, lease_duration, renewable, data } = answer.body as Record<string, Json>
    assert.deepEqual([lease_id, lease_duration, renewable, data], [id, 120, true, null])
    const looked = await run.server.ask('PUT', 'sys/leases/lookup', { body: { lease_id: id } })
    assert.equal((looked.data as { last_renewal: Json }).last_renewal, '2026-01-01T00:00:50Z')
  })
}

for (const path of ['sys/leases/revoke', 'sys/leases/revoke/', 'sys/revoke', 'sys/revoke/']) {
  test(`leases: revoked through ${path}, its account is gone when the answer comes; twice is no error`, async () => {
    await using run = await open()
    const id = await run.take()
    const inBody = !path.endsWith('/')
    const ask = { body: inBody ? { lease_id: id } : {} }
    assert.equal((await run.server.ask('PUT', inBody ? path : path + id, ask)).status, 204)
    assert.equal(run.outside.accounts.size, 0)
    assert.equal((await run.server.ask('PUT', inBody ? path : path + id, ask)).status, 204)
  })
}

test('leases: the id in the body counts before the one in the path', async () => {
  await using run = await open()
  const [one, other] = [await run.take(), await run.take()]
  await run.server.ask('PUT', `sys/leases/revoke/${one}`, { body: { lease_id: other } })
  const found = async (id: string) =>
    (await run.server.ask('PUT', 'sys/leases/lookup', { body: { lease_id: id } })).status
  assert.deepEqual([await found(one), await found(other)], [200, 400])
})

test('leases: what can not be revoked is said in the words of its system, and tried again by itself', async () => {
  await using run = await open()
  const id = await run.take()
  run.outside.failures.set('drop', new Error('FATAL: the database is gone'))
  const { status, errors } = await run.server.ask('PUT', 'sys/leases/revoke', { body: { lease_id: id } })
  assert.deepEqual([status, errors], [400, ['failed to revoke entry: FATAL: the database is gone']])
  run.outside.failures.clear()
  await run.server.world.clock.advance(60_000)
  assert.equal(run.outside.accounts.size, 0)
})

test('leases: sync=false answers 202 at once, and it is gone after a restart', async () => {
  await using run = await open()
  const id = await run.take('ttl=3600')
  run.outside.failures.set('drop', new Error('down'))
  const { status } = await run.server.ask('PUT', 'sys/leases/revoke', { body: { lease_id: id, sync: false } })
  assert.equal(status, 202)
  run.outside.failures.clear()
  await run.server.restart()
  await run.server.world.clock.advance(60_000)
  assert.equal(run.outside.accounts.size, 0)
})

test('leases: listed one level at a time, tokens among them', async () => {
  await using run = await open()
  const id = await run.take()
  await run.take('ttl=60', 'other')
  await newToken(run.server)
  assert.deepEqual(await keys(run.server, ''), ['accounts/', 'auth/'])
  assert.deepEqual(await keys(run.server, 'accounts/creds'), ['app/', 'other/'])
  assert.deepEqual(await keys(run.server, 'accounts/creds/app/'), [id.slice('accounts/creds/app/'.length)])
  assert.deepEqual(await keys(run.server, 'auth/token'), ['create/'])
  assert.equal(await keys(run.server, 'nobody/'), null)
})

test("leases: a token's is looked up and revoked like others, and not renewed", async () => {
  await using run = await open()
  const token = await newToken(run.server)
  const [leaf] = (await keys(run.server, 'auth/token/create')) as string[]
  const lease_id = `auth/token/create/${leaf}`
  const looked = await run.server.ask('PUT', 'sys/leases/lookup', { body: { lease_id } })
  assert.deepEqual([looked.status, (looked.data as { ttl: number }).ttl], [200, 3600])
  const renewed = await run.server.ask('PUT', 'sys/leases/renew', { body: { lease_id } })
  assert.deepEqual(renewed.errors, ['tokens cannot be renewed through this endpoint'])
  assert.equal((await run.server.ask('PUT', 'sys/leases/revoke', { body: { lease_id } })).status, 204)
  assert.equal((await run.server.ask('GET', 'auth/token/lookup-self', { token })).status, 403)
})

test('leases/revoke-prefix: all below a path, tokens too, and nothing beside it', async () => {
  await using run = await open()
  for (let i = 0; i < 250; i++) await run.take()
  const kept = await run.take('ttl=60', 'app2')
  assert.equal((await run.server.ask('PUT', 'sys/leases/revoke-prefix/accounts/creds/app')).status, 204)
  assert.equal(run.outside.accounts.size, 1)
  assert.equal((await run.server.ask('PUT', 'sys/leases/lookup', { body: { lease_id: kept } })).status, 200)
  const token = await newToken(run.server)
  await run.server.ask('PUT', 'sys/leases/revoke-prefix/auth/token/create')
  assert.equal((await run.server.ask('GET', 'auth/token/lookup-self', { token })).status, 403)
})

test('leases/revoke-prefix: an id without a slash behind it is that lease alone', async () => {
  await using run = await open()
  const [one] = [await run.take(), await run.take()]
  assert.equal((await run.server.ask('PUT', `sys/revoke-prefix/${one}`)).status, 204)
  assert.equal(run.outside.accounts.size, 1)
})

test('leases/revoke-prefix: one that can not be revoked keeps no other from it, and the answer counts', async () => {
  await using run = await open()
  const ids = [await run.take(), await run.take(), await run.take()]
  const entry = (await run.server.house.leases.get(ids[1]!))!
  run.outside.refuses = (entry.internal as { name: string }).name
  const { status, errors } = await run.server.ask('PUT', 'sys/leases/revoke-prefix/accounts')
  assert.deepEqual([status, errors], [400, [`failed to revoke "${ids[1]}" (1 of 3): it is in use`]])
  assert.equal(run.outside.accounts.size, 1)
})

test('leases/revoke-force: what can not be revoked is forgotten, and its account stays behind', async () => {
  await using run = await open()
  await run.take()
  run.outside.failures.set('drop', new Error('gone for good'))
  assert.equal((await run.server.ask('PUT', 'sys/leases/revoke-force/accounts')).status, 204)
  assert.deepEqual([run.outside.accounts.size, await keys(run.server, 'accounts/creds/app')], [1, null])
  run.outside.failures.clear()
  assert.equal((await run.server.ask('DELETE', 'sys/mounts/accounts')).status, 204)
})

test('leases/revoke-prefix: a call whose time is up says so, and another goes on', async () => {
  await using run = await open()
  for (let i = 0; i < 5; i++) await run.take('ttl=3600')
  run.outside.hangs.set('drop', new Promise<void>(() => undefined))
  const asked = run.server.ask('PUT', 'sys/leases/revoke-prefix/accounts')
  for (let i = 0; i < 4; i++) await run.server.world.clock.advance(30_000)
  const { status } = await asked
  assert.ok(status === 503 || status === 400, `${status}`)
  run.outside.hangs.clear()
  assert.equal((await run.server.ask('PUT', 'sys/leases/revoke-prefix/accounts')).status, 204)
  assert.equal(run.outside.accounts.size, 0)
})

test('leases: irrevocable ones are counted by mount and listed with their error, and cut with a warning', async () => {
  await using run = await open()
  run.outside.failures.set('drop', new Error('gone for good'))
  const ids = [await run.take(), await run.take()].sort()
  await run.server.world.clock.advance(3_600_000)
  const { accessor } = run.server.house.mounts.at('accounts/')!.entry
  assert.deepEqual((await run.server.ask('GET', 'sys/leases/count?type=irrevocable')).data, {
    lease_count: 2,
    counts: { [accessor]: 2 },
  })
  const listed = await run.server.ask('GET', 'sys/leases?type=irrevocable')
  assert.deepEqual(listed.data, {
    lease_count: 2,
    leases: ids.map(lease_id => ({ lease_id, mount_id: accessor, error: 'gone for good' })),
  })
  const cut = await run.server.ask('GET', 'sys/leases?type=irrevocable&limit=1')
  assert.match(((cut.body as { warnings: string[] }).warnings ?? []).join(), /more than 1 irrevocable/)
  const { data } = await run.server.ask('PUT', 'sys/leases/lookup', { body: { lease_id: ids[0]! } })
  assert.deepEqual(
    [(data as Record<string, Json>)['revoke_error'], (data as Record<string, Json>)['renewable']],
    ['gone for good', false],
  )
})

for (const [path, text] of [
  ['sys/leases/count', /invalid lease type ""/],
  ['sys/leases/count?type=all', /invalid lease type "all"/],
  ['sys/leases?type=irrevocable&limit=few', /limit "few" must be a number/],
] as const) {
  test(`leases: refused is GET ${path}`, async () => {
    await using run = await open()
    const { status, errors } = await run.server.ask('GET', path)
    assert.equal(status, 400)
    assert.match(errors.join(), text)
  })
}

test('leases/tidy: started once, it ends leases whose token is gone', async () => {
  await using run = await open()
  const answer = await run.server.ask('POST', 'sys/leases/tidy')
  assert.equal(answer.status, 202)
  assert.match((answer.body as { warnings: string[] }).warnings.join(), /^Tidy operation successfully started\./)
})

test('leases: lookup and renewal are for everybody, lists and prefixes ask for sudo', async () => {
  await using run = await open()
  const id = await run.take()
  const token = await run.server.tokenWith('path "sys/leases/*" { capabilities = ["create","read","update","list"] }')
  const status = async (method: string, path: string, body: Json = {}) =>
    (await run.server.ask(method, path, { token, body })).status
  assert.equal(await status('PUT', 'sys/leases/lookup', { lease_id: id }), 200)
  assert.equal(await status('PUT', 'sys/leases/renew', { lease_id: id }), 200)
  assert.equal(await status('LIST', 'sys/leases/lookup/accounts'), 403)
  assert.equal(await status('PUT', 'sys/leases/revoke-prefix/accounts'), 403)
  assert.equal(await status('PUT', 'sys/leases/revoke-force/accounts'), 403)
  assert.equal(await status('GET', 'sys/leases?type=irrevocable'), 403)
})

type Part = { ended: number; failed: number; error: string | null; next: string | null }

async function inParts(server: TestServer, path: string, more: Record<string, Json> = {}): Promise<readonly Part[]> {
  const parts: Part[] = []
  for (let after = ''; parts.length < 100; ) {
    const answer = await server.ask('PUT', path, { body: { batch: 20, after, ...more } })
    assert.equal(answer.status, 200, answer.errors.join())
    const part = answer.data as Part
    parts.push(part)
    if (part.next === null) return parts
    after = part.next
  }
  return parts
}

test('leases/revoke-prefix: in parts that say how far it is, what fails is met once', async () => {
  await using run = await open()
  for (let i = 0; i < 90; i++) await run.take('ttl=3600')
  const [first] = (await keys(run.server, 'accounts/creds/app')) as string[]
  const entry = (await run.server.house.leases.get(`accounts/creds/app/${first}`))!
  run.outside.refuses = (entry.internal as { name: string }).name
  const parts = await inParts(run.server, 'sys/leases/revoke-prefix/accounts')
  assert.ok(parts.length >= 3, `${parts.length} parts`)
  assert.equal(
    parts.reduce((sum, part) => sum + part.ended, 0),
    89,
  )
  assert.deepEqual([parts.at(-1)!.failed, parts[0]!.failed], [0, 1])
  assert.equal(parts[0]!.error, `${entry.id}: it is in use`)
  assert.equal(run.outside.accounts.size, 1)
})

test('leases/revoke-prefix: in parts, begun again after it was broken off, it goes on with what is left', async () => {
  await using run = await open()
  for (let i = 0; i < 60; i++) await run.take('ttl=3600')
  await run.server.ask('PUT', 'sys/leases/revoke-prefix/accounts', { body: { batch: 20 } })
  const left = run.outside.accounts.size
  assert.ok(left > 0 && left < 60, `${left} left`)
  await run.server.restart()
  await inParts(run.server, 'sys/leases/revoke-prefix/accounts')
  assert.equal(run.outside.accounts.size, 0)
})

test('leases/revoke-prefix: tokens in parts, too', async () => {
  await using run = await open()
  const tokens: string[] = []
  for (let i = 0; i < 250; i++) tokens.push(await newToken(run.server))
  await run.take()
  const parts = await inParts(run.server, 'sys/leases/revoke-prefix/auth/token')
  assert.equal(
    parts.reduce((sum, part) => sum + part.ended, 0),
    250,
  )
  assert.equal((await run.server.ask('GET', 'auth/token/lookup-self', { token: tokens[99]! })).status, 403)
  assert.equal(run.outside.accounts.size, 1)
})

test('leases/revoke-prefix: a system that hangs ends a part early, and the next one goes on behind it', async () => {
  await using run = await open()
  for (let i = 0; i < 40; i++) await run.take('ttl=3600')
  run.outside.hangs.set('drop', new Promise<void>(() => undefined))
  const asked = run.server.ask('PUT', 'sys/leases/revoke-prefix/accounts', { body: { batch: 40 } })
  for (let i = 0; i < 3; i++) await run.server.world.clock.advance(15_000)
  const { status, data } = await asked
  const { failed, error, next } = data as Part
  assert.deepEqual([status, failed], [200, 16])
  assert.match(error!, /no answer within 30 s/)
  run.outside.hangs.clear()
  const rest = await run.server.ask('PUT', 'sys/leases/revoke-prefix/accounts', { body: { batch: 40, after: next } })
  assert.deepEqual(rest.data, { ended: 24, failed: 0, error: null, next: null })
})

test('leases/revoke-prefix: with sync=false all is marked in the store when the answer comes, and goes on after a crash', async () => {
  await using run = await open()
  for (let i = 0; i < 150; i++) await run.take('ttl=3600')
  run.outside.failures.set('drop', new Error('down'))
  const { status } = await run.server.ask('PUT', 'sys/leases/revoke-prefix/accounts', { body: { sync: false } })
  assert.equal(status, 202)
  run.outside.failures.clear()
  await run.server.restart()
  await run.server.world.clock.advance(120_000)
  assert.equal(run.outside.accounts.size, 0)
})

for (const [what, body, text] of [
  ['a negative batch', { batch: -1 }, '"batch" must be a number above 0'],
  ['an after of nowhere', { batch: 1, after: 'x' }, '"after" must be the "next" of the call before'],
] as const) {
  test(`leases/revoke-prefix: refused is ${what}`, async () => {
    await using run = await open()
    const { status, errors } = await run.server.ask('PUT', 'sys/leases/revoke-prefix/accounts', { body })
    assert.deepEqual([status, errors], [400, [text]])
  })
}

test('leases/forecast: what the rate of a mount comes to, its roles, logins and quotas', async () => {
  await using run = await open()
  await run.server.ask('POST', 'sys/quotas/lease-count/db', { body: { max_leases: 100, path: 'accounts' } })
  for (let i = 0; i < 30; i++) {
    await run.take('ttl=3600', i % 3 === 0 ? 'web' : 'app')
    await run.server.world.clock.advance(10_000)
  }
  await newToken(run.server)
  const { status, data } = await run.server.ask('GET', 'sys/leases/forecast')
  assert.equal(status, 200)
  const { mounts, quotas } = data as Record<string, Record<string, Record<string, Json>>>
  const { roles, ...accounts } = mounts!['accounts/']!
  assert.deepEqual(accounts, {
    leases: 30,
    leases_per_hour: 360,
    ttl: 3600,
    forecast: 360,
    forecast_if_renewed: 276_480,
  })
  assert.deepEqual(Object.keys(roles as object).sort(), ['app', 'web'])
  assert.equal(mounts!['auth/token/']!['leases'], 1)
  assert.deepEqual([quotas!['db']!['max_leases'], quotas!['db']!['full_in']], [100, 764])
  const below = await run.server.ask('GET', 'sys/leases/forecast?prefix=auth')
  assert.deepEqual(Object.keys((below.data as { mounts: object }).mounts), ['auth/token/'])
})

test('leases/forecast: leases of a batch token are renewed up to its end, and no further', async () => {
  await using run = await open()
  await run.server.ask('PUT', 'sys/policies/acl/all', { body: { policy: 'path "*" { capabilities = ["read"] }' } })
  const body = { policies: ['all'], type: 'batch', ttl: '2h', no_parent: true }
  const made = await run.server.ask('POST', 'auth/token/create', { body })
  const { client_token: token } = (made.body as { auth: { client_token: string } }).auth
  for (let i = 0; i < 6; i++) await run.server.ask('GET', 'accounts/creds/app?ttl=3600', { token })
  const { data } = await run.server.ask('GET', 'sys/leases/forecast?prefix=accounts')
  const { mounts } = data as { mounts: Record<string, Record<string, number>> }
  const { forecast, forecast_if_renewed: renewed } = mounts['accounts/']!
  assert.equal(renewed, forecast! * 2)
})

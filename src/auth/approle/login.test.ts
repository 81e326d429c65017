import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { authOf, type Body, Lab } from './approle.lab.ts'

test('approle: a login gives the token that the role says, and metadata of role and secret id', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('App', { token_policies: 'dev', token_ttl: '10m', token_max_ttl: '1h' })
  const { secret_id } = await lab.secretId('app', { metadata: '{"team":"a","role_name":"admin"}' })
  const { client_token, accessor, entity_id, ...auth } = authOf(
    await lab.login({ role_id: ` ${role_id}\n`, secret_id: `${secret_id} ` }),
  )
  assert.ok(accessor !== '' && entity_id !== '')
  assert.deepEqual(auth, {
    policies: ['default', 'dev'],
    token_policies: ['default', 'dev'],
    metadata: { role_name: 'app', team: 'a' },
    lease_duration: 600,
    renewable: true,
    token_type: 'service',
    orphan: true,
    mfa_requirement: null,
    num_uses: 0,
  })
  const seen = (await lab.server.ask('GET', 'auth/token/lookup-self', { token: client_token })).data as Body
  assert.deepEqual([seen['display_name'], seen['path']], ['approle', 'auth/approle/login'])
})

test('approle: logins of one role are one entity, whatever the secret id; another role is another', async () => {
  await using lab = await Lab.open()
  const ids: Json[] = []
  for (const name of ['app', 'app', 'other']) {
    const role_id = await lab.role(name)
    const { secret_id } = await lab.secretId(name)
    ids.push(authOf(await lab.login({ role_id, secret_id }))['entity_id']!)
  }
  assert.equal(ids[0], ids[1])
  assert.notEqual(ids[0], ids[2])
})

const none = 'invalid role or secret ID'
for (const [what, change, status, text] of [
  ['no role id', { role_id: '' }, 500, 'missing role_id'],
  ['a role id that nobody has', { role_id: 'x' }, 400, none],
  ['a role id that nobody has, and nothing else', { role_id: 'x', secret_id: '' }, 400, none],
  ['no secret id', { secret_id: '' }, 400, 'missing secret_id'],
  ['a wrong secret id', { secret_id: 'x' }, 400, none],
  ['an endless secret id', { secret_id: 'x'.repeat(5000) }, 400, none],
] as readonly (readonly [string, Body, number, string])[]) {
  test(`approle: a login with ${what} is refused`, async () => {
    await using lab = await Lab.open()
    const role_id = await lab.role('app')
    const { secret_id } = await lab.secretId('app')
    const answer = await lab.login({ role_id, secret_id, ...change })
    assert.deepEqual([answer.status, answer.errors], [status, [text]])
  })
}

test('approle: without lockout a login without role id is 400', async () => {
  await using lab = await Lab.open()
  await lab.server.ask('POST', 'sys/auth/approle/tune', { body: { user_lockout_config: { lockout_disable: true } } })
  const answer = await lab.login({ secret_id: 'x' })
  assert.deepEqual([answer.status, answer.errors], [400, ['missing role_id']])
})

test('approle: wrong, over, used up, destroyed and of another role: one answer for every secret id', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app')
  await lab.role('other')
  const [over, used, gone, foreign] = [
    await lab.secretId('app', { ttl: 10 }),
    await lab.secretId('app', { num_uses: 1 }),
    await lab.secretId('app'),
    await lab.secretId('other'),
  ]
  authOf(await lab.login({ role_id, secret_id: used.secret_id }))
  await lab.post('role/app/secret-id/destroy', { secret_id: gone.secret_id })
  await lab.server.world.clock.advance(10_000)
  const answers: [number, Json][] = []
  for (const secret_id of ['wrong', over.secret_id, used.secret_id]) {
    const { status, body } = await lab.login({ role_id, secret_id })
    answers.push([status, body])
  }
  // Not so many in a row that the role is locked out.
  authOf(await lab.login({ role_id, secret_id: (await lab.secretId('app')).secret_id }))
  for (const secret_id of [gone.secret_id, foreign.secret_id]) {
    const { status, body } = await lab.login({ role_id, secret_id })
    answers.push([status, body])
  }
  const nobody = await lab.login({ role_id: 'nobody', secret_id: 'wrong' })
  answers.push([nobody.status, nobody.body])
  assert.deepEqual(answers, Array(6).fill([400, { errors: [none] }]))
})

test('approle: who may ask is told why a login was refused', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app')
  for (const [body, want] of [
    [{ role_id: 'x', secret_id: 'x' }, 'no role has this role id'],
    [{ role_id, secret_id: 'x' }, 'the secret id is none of role "app": it never was, is over, used up or destroyed'],
  ] as const) {
    const id = (await lab.login(body)).headers.get('x-coffer-request-id') ?? ''
    const explained = await lab.server.ask('POST', 'sys/policies/explain', { body: { request_id: id } })
    assert.equal((explained.data as { reason: Json }).reason, want)
  }
})

test('approle: a secret id is good for just as many logins as it has uses, however many come at once', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app')
  await lab.post('role/app/token-num-uses', { token_num_uses: 1 })
  await lab.server.ask('POST', 'sys/auth/approle/tune', { body: { user_lockout_config: { lockout_disable: true } } })
  for (const uses of [1, 3]) {
    const { secret_id } = await lab.secretId('app', { num_uses: uses })
    const answers = await Promise.all(Array.from({ length: 50 }, () => lab.login({ role_id, secret_id })))
    assert.equal(answers.filter(({ status }) => status === 200).length, uses)
    assert.ok(answers.every(({ status }) => status === 200 || status === 400))
    assert.equal((await lab.post('role/app/secret-id/lookup', { secret_id })).status, 204)
  }
  assert.equal((await lab.ask('LIST', 'role/app/secret-id')).status, 404)
})

test('approle: a use that was taken stays taken after a restart', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app')
  const { secret_id } = await lab.secretId('app', { num_uses: 2 })
  await lab.server.world.clock.advance(5000)
  authOf(await lab.login({ role_id, secret_id }))
  await lab.server.restart()
  const {
    secret_id_num_uses: left,
    creation_time,
    last_updated_time,
  } = (await lab.post('role/app/secret-id/lookup', { secret_id })).data as Body
  assert.deepEqual([left, creation_time !== last_updated_time], [1, true])
  authOf(await lab.login({ role_id, secret_id }))
  await lab.server.restart()
  assert.equal((await lab.login({ role_id, secret_id })).status, 400)
})

test('approle: a login that is counted is durable before its answer', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app')
  const { secret_id } = await lab.secretId('app', { num_uses: 1 })
  const first = lab.login({ role_id, secret_id })
  await first
  await lab.server.restart()
  assert.deepEqual([(await first).status, (await lab.login({ role_id, secret_id })).status], [200, 400])
})

test('approle: from outside of its addresses a secret id is refused, and its use is taken', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app')
  const { secret_id } = await lab.secretId('app', { num_uses: 2, cidr_list: '10.0.0.0/8' })
  const away = await lab.login({ role_id, secret_id }, '192.0.2.1')
  assert.deepEqual(
    [away.status, away.errors],
    [400, ['source address "192.0.2.1" unauthorized by CIDR restrictions on the secret ID: %!w(<nil>)']],
  )
  authOf(await lab.login({ role_id, secret_id }, '10.9.9.9'))
  assert.equal((await lab.login({ role_id, secret_id }, '10.9.9.9')).status, 400)
})

test('approle: an endless secret id is bound to its addresses, in other words', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app')
  const { secret_id } = await lab.secretId('app', { cidr_list: '10.0.0.0/8' })
  const away = await lab.login({ role_id, secret_id }, '192.0.2.1')
  assert.deepEqual(
    [away.status, away.errors],
    [400, ['source address "192.0.2.1" unauthorized through CIDR restrictions on the secret ID']],
  )
  authOf(await lab.login({ role_id, secret_id }, '10.0.0.1'))
})

test('approle: once the role is narrowed, a secret id that is wider is refused', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app')
  const { secret_id } = await lab.secretId('app', { cidr_list: '10.0.0.0/8' })
  await lab.role('app', { secret_id_bound_cidrs: '192.168.0.0/16' })
  const answer = await lab.login({ role_id, secret_id }, '10.0.0.1')
  assert.equal(answer.status, 500)
  assert.match(answer.errors[0] ?? '', /^failed to verify subset relationship/)
})

test('approle: without bind_secret_id the role id and the address are enough', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app', { bind_secret_id: false, secret_id_bound_cidrs: '10.0.0.0/8' })
  assert.deepEqual(authOf(await lab.login({ role_id }, '10.0.0.1'))['metadata'], { role_name: 'app' })
  authOf(await lab.login({ role_id, secret_id: 'not looked at' }, '10.0.0.1'))
  const away = await lab.login({ role_id }, '192.0.2.1')
  assert.deepEqual(
    [away.status, away.errors],
    [400, ['source address "192.0.2.1" unauthorized by CIDR restrictions on the role: %!w(<nil>)']],
  )
})

test('approle: token addresses of the secret id replace those of the role', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app', { token_bound_cidrs: '10.0.0.0/8' })
  const { secret_id } = await lab.secretId('app', { token_bound_cidrs: '10.1.0.0/16' })
  const away = await lab.login({ role_id, secret_id }, '10.2.0.1')
  assert.deepEqual([away.status, away.errors], [403, ['permission denied']])
  const { client_token: token } = authOf(await lab.login({ role_id, secret_id }, '10.1.0.1'))
  const use = async (address: string): Promise<number> =>
    (await lab.server.ask('GET', 'auth/token/lookup-self', { token, address })).status
  assert.deepEqual([await use('10.1.0.9'), await use('10.2.0.9')], [200, 403])
})

test('approle: a token is renewed as the role says then, and not when it is gone', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app', { token_ttl: 100, token_policies: 'dev' })
  const { secret_id } = await lab.secretId('app')
  const { client_token: token } = authOf(await lab.login({ role_id, secret_id }))
  await lab.post('role/app', { token_ttl: 300, token_policies: 'ops' })
  await lab.server.world.clock.advance(50_000)
  const renew = () => lab.server.ask('POST', 'auth/token/renew-self', { token })
  assert.equal(authOf(await renew())['lease_duration'], 300)
  await lab.ask('DELETE', 'role/app')
  const refused = await renew()
  const text = 'failed to renew entry: role "app" does not exist during renewal'
  assert.deepEqual([refused.status, refused.errors], [500, [text]])
})

test('approle: an old role id logs nobody in', async () => {
  await using lab = await Lab.open()
  await lab.role('app', { role_id: 'old' })
  const { secret_id } = await lab.secretId('app')
  await lab.post('role/app/role-id', { role_id: 'new' })
  assert.equal((await lab.login({ role_id: 'old', secret_id })).status, 400)
  authOf(await lab.login({ role_id: 'new', secret_id }))
})

test('approle: a role with wrong secret ids is locked out, whatever the blanks around its id', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app')
  const { secret_id } = await lab.secretId('app')
  for (const id of [role_id, ` ${role_id}`, `${role_id}\n`, `\t${role_id} `, role_id]) {
    assert.equal((await lab.login({ role_id: id, secret_id: 'x' })).status, 400)
  }
  const locked = await lab.login({ role_id, secret_id })
  assert.deepEqual([locked.status, locked.errors], [403, ['permission denied']])
  const { total, by_namespace } = (await lab.server.ask('GET', 'sys/locked-users')).data as Body
  assert.equal(total, 1)
  const [space] = by_namespace as unknown as {
    mount_accessors: { alias_identifiers: string[]; mount_accessor: string }[]
  }[]
  assert.deepEqual(space!.mount_accessors[0]!.alias_identifiers, [role_id])
  const unlock = `sys/locked-users/${space!.mount_accessors[0]!.mount_accessor}/unlock/${role_id}`
  assert.equal((await lab.server.ask('POST', unlock)).status, 204)
  authOf(await lab.login({ role_id, secret_id }))
})

test('approle: logins count to the quota of their role', async () => {
  await using lab = await Lab.open()
  const role_id = await lab.role('app')
  const quota = { max_leases: 1, path: 'auth/approle', role: 'app' }
  assert.equal((await lab.server.ask('POST', 'sys/quotas/lease-count/q', { body: quota })).status, 204)
  const { secret_id } = await lab.secretId('app')
  authOf(await lab.login({ role_id, secret_id }))
  assert.equal((await lab.login({ role_id, secret_id })).status, 429)
})

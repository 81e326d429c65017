import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bare, type Body, Lab } from './approle.lab.ts'

test('approle: a role is written, shown with all its settings and listed, in lower case', async () => {
  await using lab = await Lab.open()
  const body = {
    token_policies: 'Dev,ops,dev',
    token_ttl: '1h',
    token_max_ttl: 7200,
    secret_id_ttl: '10m',
    secret_id_num_uses: '3',
    secret_id_bound_cidrs: '10.0.0.0/8, 192.168.0.0/16',
    token_bound_cidrs: ['10.1.2.3'],
    local_secret_ids: true,
  }
  await lab.role('Web', body)
  assert.deepEqual(await lab.data('role/wEB'), {
    bind_secret_id: true,
    secret_id_bound_cidrs: ['10.0.0.0/8', '192.168.0.0/16'],
    secret_id_num_uses: 3,
    secret_id_ttl: 600,
    local_secret_ids: true,
    token_bound_cidrs: ['10.1.2.3/32'],
    token_explicit_max_ttl: 0,
    token_max_ttl: 7200,
    token_no_default_policy: false,
    token_num_uses: 0,
    token_period: 0,
    token_policies: ['dev', 'ops'],
    token_ttl: 3600,
    token_type: 'default',
  })
  assert.deepEqual((await lab.ask('LIST', 'role')).data, { keys: ['web'] })
})

test('approle: a role of nothing but its name has a role id by chance and binds to secret ids', async () => {
  await using lab = await Lab.open()
  assert.equal((await lab.ask('LIST', 'role')).status, 404)
  assert.match(await lab.role('app'), /^[0-9a-f]{8}-[0-9a-f-]{27}$/)
  const role = await lab.data('role/app')
  assert.deepEqual([role['bind_secret_id'], role['secret_id_bound_cidrs'], role['secret_id_ttl']], [true, null, 0])
})

test('approle: what a write of a role leaves out stays, the role id too', async () => {
  await using lab = await Lab.open()
  const roleId = await lab.role('app', { secret_id_ttl: 60, policies: 'dev', period: 30 })
  await lab.post('role/app', { token_num_uses: 2 })
  const role = await lab.data('role/app')
  assert.deepEqual(
    [role['secret_id_ttl'], role['token_policies'], role['policies'], role['period'], role['token_num_uses']],
    [60, ['dev'], ['dev'], 30, 2],
  )
  assert.equal(await lab.role('app'), roleId)
})

for (const [what, body, status, text] of [
  [
    'local_secret_ids later',
    { local_secret_ids: true },
    400,
    'local_secret_ids can only be modified during role creation',
  ],
  ['addresses that are none', { secret_id_bound_cidrs: '10.0.0.0/8,x' }, 400, 'invalid CIDR blocks'],
  ['a bare address as a block', { secret_id_bound_cidrs: '10.0.0.1' }, 400, 'invalid CIDR blocks'],
  ['fewer uses than none', { secret_id_num_uses: -1 }, 400, 'secret_id_num_uses cannot be negative'],
  ['an empty role id', { role_id: ' ' }, 400, 'invalid role_id supplied, or failed to generate a role_id'],
  ['an endless role id', { role_id: 'x'.repeat(4097) }, 400, 'role_id is longer than maximum of 4096 bytes'],
  ['no constraint', { bind_secret_id: false }, 500, bare('at least one constraint should be enabled on the role')],
  ['the role id of another', { role_id: 'taken' }, 500, bare('role_id already in use')],
  [
    'a period beyond the mount',
    { token_period: '800h' },
    400,
    'period of "800h0m0s" is greater than the backend\'s maximum lease TTL of "768h0m0s"',
  ],
  [
    'TTLs that do not fit',
    { token_ttl: 9, token_max_ttl: 5 },
    400,
    "'token_ttl' cannot be greater than 'token_max_ttl'",
  ],
] as readonly (readonly [string, Body, number, string])[]) {
  test(`approle: a role can not have ${what}, and stays as it was`, async () => {
    await using lab = await Lab.open()
    await lab.role('other', { role_id: 'taken' })
    await lab.role('app', { token_policies: 'dev' })
    const before = await lab.data('role/app')
    const answer = await lab.post('role/app', { token_policies: 'ops', ...body })
    assert.deepEqual([answer.status, answer.errors], [status, [text]])
    assert.deepEqual(await lab.data('role/app'), before)
  })
}

test('approle: TTLs beyond the mount, and types of tokens with two names, are warned of', async () => {
  await using lab = await Lab.open()
  const answer = await lab.post('role/app', { token_max_ttl: '800h', token_type: 'default-service' })
  assert.equal(answer.status, 200)
  assert.deepEqual((answer.body as { warnings: string[] }).warnings, [
    'default-service has no useful meaning; adjusting to service',
    "token_max_ttl is greater than the backend mount's maximum TTL value; issued tokens' max TTL value will be truncated",
  ])
  assert.equal((await lab.data('role/app'))['token_type'], 'service')
})

test('approle: of two roles that take one role id at once only one gets it', async () => {
  await using lab = await Lab.open()
  const names = Array.from({ length: 8 }, (_, i) => `r${i}`)
  const answers = await Promise.all(names.map(name => lab.post(`role/${name}`, { role_id: 'mine' })))
  assert.equal(answers.filter(({ status }) => status === 204).length, 1)
  assert.equal(answers.filter(({ status }) => status === 500).length, 7)
})

test('approle: a role id is changed by a path of its own, and the old one is free', async () => {
  await using lab = await Lab.open()
  await lab.role('app', { role_id: 'old' })
  assert.deepEqual((await lab.post('role/app/role-id', { role_id: '' })).errors, ['missing role_id'])
  assert.equal((await lab.post('role/app/role-id', { role_id: 'new' })).status, 204)
  assert.equal(await lab.role('other', { role_id: 'old' }), 'old')
  const taken = await lab.post('role/app/role-id', { role_id: 'old' })
  assert.deepEqual([taken.status, taken.errors], [500, [bare('role_id already in use')]])
  assert.deepEqual(await lab.data('role/app/role-id'), { role_id: 'new' })
})

test('approle: create and update of a role are two capabilities', async () => {
  await using lab = await Lab.open()
  const token = await lab.server.tokenWith('path "auth/approle/role/*" { capabilities = ["create"] }')
  const write = (): Promise<{ status: number }> => lab.server.ask('POST', 'auth/approle/role/app', { body: {}, token })
  assert.deepEqual([(await write()).status, (await write()).status], [204, 403])
})

test('approle: a deleted role is gone with its role id; deleting nothing succeeds', async () => {
  await using lab = await Lab.open()
  await lab.role('app', { role_id: 'mine' })
  assert.equal((await lab.ask('DELETE', 'role/app')).status, 204)
  assert.equal((await lab.ask('DELETE', 'role/app')).status, 204)
  assert.equal((await lab.ask('GET', 'role/app')).status, 404)
  assert.equal((await lab.ask('GET', 'role/app/role-id')).status, 404)
  assert.equal(await lab.role('other', { role_id: 'mine' }), 'mine')
})

test('approle: roles survive a restart', async () => {
  await using lab = await Lab.open()
  const roleId = await lab.role('app', { token_policies: 'dev' })
  const before = await lab.data('role/app')
  await lab.server.restart()
  assert.deepEqual([await lab.data('role/app'), await lab.role('app')], [before, roleId])
})

for (const [path, body, shown, unset] of [
  ['policies', { token_policies: 'Dev' }, { token_policies: ['dev'] }, { token_policies: [] }],
  ['policies', { policies: 'dev' }, { token_policies: ['dev'], policies: ['dev'] }, { token_policies: [] }],
  [
    'secret-id-bound-cidrs',
    { secret_id_bound_cidrs: '10.0.0.0/8' },
    { secret_id_bound_cidrs: ['10.0.0.0/8'] },
    { secret_id_bound_cidrs: null },
  ],
  [
    'bound-cidr-list',
    { bound_cidr_list: '10.0.0.0/8' },
    { bound_cidr_list: ['10.0.0.0/8'] },
    { bound_cidr_list: null },
  ],
  [
    'token-bound-cidrs',
    { token_bound_cidrs: '10.0.0.1' },
    { token_bound_cidrs: ['10.0.0.1/32'] },
    { token_bound_cidrs: [] },
  ],
  ['bind-secret-id', { bind_secret_id: false }, { bind_secret_id: false }, { bind_secret_id: true }],
  ['secret-id-num-uses', { secret_id_num_uses: 7 }, { secret_id_num_uses: 7 }, { secret_id_num_uses: 0 }],
  ['secret-id-ttl', { secret_id_ttl: '5m' }, { secret_id_ttl: 300 }, { secret_id_ttl: 0 }],
  ['period', { token_period: 60 }, { token_period: 60 }, { token_period: 0 }],
  ['period', { period: 60 }, { token_period: 60, period: 60 }, { token_period: 0 }],
  ['token-num-uses', { token_num_uses: 4 }, { token_num_uses: 4 }, { token_num_uses: 0 }],
  ['token-ttl', { token_ttl: '1m' }, { token_ttl: 60 }, { token_ttl: 0 }],
  ['token-max-ttl', { token_max_ttl: '2m' }, { token_max_ttl: 120 }, { token_max_ttl: 0 }],
] as readonly (readonly [string, Body, Body, Body])[]) {
  test(`approle: ${Object.keys(body)[0]} is set, read and set back at role/:name/${path}`, async () => {
    await using lab = await Lab.open()
    // Something else that binds: the settings of this table may go one by one.
    const other = path.startsWith('token-bound') || path.includes('cidr') ? {} : { token_bound_cidrs: '192.0.2.0/24' }
    await lab.role('app', { ...other, token_no_default_policy: true })
    const at = `role/APP/${path}`
    assert.equal((await lab.post(at, body)).status, 204)
    assert.deepEqual(await lab.data(at), shown)
    assert.equal((await lab.ask('DELETE', at)).status, 204)
    assert.deepEqual(await lab.data(at), unset)
    assert.equal((await lab.data('role/app'))['token_no_default_policy'], true)
  })
}

for (const [path, text] of [
  ['policies', 'missing token_policies'],
  ['bound-cidr-list', 'missing bound_cidr_list'],
  ['secret-id-bound-cidrs', 'missing bound_cidr_list'],
  ['token-bound-cidrs', 'missing token_bound_cidrs'],
  ['bind-secret-id', 'missing bind_secret_id'],
  ['secret-id-num-uses', 'missing secret_id_num_uses'],
  ['secret-id-ttl', 'missing secret_id_ttl'],
  ['period', 'missing period'],
  ['token-num-uses', 'missing token_num_uses'],
  ['token-ttl', 'missing token_ttl'],
  ['token-max-ttl', 'missing token_max_ttl'],
] as const) {
  test(`approle: role/:name/${path} wants its value, and a role that is there`, async () => {
    await using lab = await Lab.open()
    await lab.role('app')
    const answer = await lab.post(`role/app/${path}`)
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
    const [read, written, deleted] = [
      await lab.ask('GET', `role/none/${path}`),
      await lab.post(`role/none/${path}`, { [path.replaceAll('-', '_')]: 1 }),
      await lab.ask('DELETE', `role/none/${path}`),
    ]
    assert.deepEqual([read.status, written.status, deleted.status], [404, 404, 204])
    assert.deepEqual(written.errors, [bare('unsupported path')])
  })
}

test('approle: the old path of bound CIDRs says that it is old', async () => {
  await using lab = await Lab.open()
  await lab.role('app', { secret_id_bound_cidrs: '10.0.0.0/8' })
  const { body } = await lab.ask('GET', 'role/app/bound-cidr-list')
  assert.deepEqual((body as { warnings: string[] }).warnings, [
    'The "bound_cidr_list" field is deprecated and will be removed. Please use "secret_id_bound_cidrs" instead.',
  ])
})

test('approle: a part of a role can not take its last constraint away', async () => {
  await using lab = await Lab.open()
  await lab.role('app', { bind_secret_id: false, secret_id_bound_cidrs: '10.0.0.0/8' })
  const answer = await lab.ask('DELETE', 'role/app/secret-id-bound-cidrs')
  assert.deepEqual(
    [answer.status, answer.errors],
    [500, [bare('at least one constraint should be enabled on the role')]],
  )
  const bad = await lab.post('role/app/secret-id-bound-cidrs', { secret_id_bound_cidrs: 'x' })
  assert.deepEqual(bad.errors, ['failed to validate CIDR blocks'])
})

test('approle: local_secret_ids has a path to be read at', async () => {
  await using lab = await Lab.open()
  await lab.role('app', { local_secret_ids: true })
  assert.deepEqual(await lab.data('role/app/local-secret-ids'), { local_secret_ids: true })
  assert.equal((await lab.ask('GET', 'role/none/local-secret-ids')).status, 404)
})

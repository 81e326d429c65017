import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bare, type Body, Lab } from './approle.lab.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f-]{27}$/

test('approle: a secret id follows its role where nothing else is asked for', async () => {
  await using lab = await Lab.open()
  await lab.role('app', { secret_id_num_uses: 3, secret_id_ttl: '10m' })
  const made = await lab.secretId('APP')
  assert.match(made.secret_id, uuid)
  assert.match(made.secret_id_accessor, uuid)
  assert.deepEqual([made.secret_id_num_uses, made.secret_id_ttl], [3, 600])
})

test('approle: a secret id may have less than its role grants, and a TTL up to that of the mount', async () => {
  await using lab = await Lab.open()
  await lab.role('app', { secret_id_num_uses: 3, secret_id_ttl: '10m' })
  const { secret_id_num_uses: uses, secret_id_ttl: ttl } = await lab.secretId('app', { num_uses: 1, ttl: 60 })
  assert.deepEqual([uses, ttl], [1, 60])
  await lab.role('free')
  assert.equal((await lab.secretId('free', { ttl: '1000h' })).secret_id_ttl, 768 * 3600)
})

const at = new Date(1_800_000_000_000).toISOString()

test('approle: a secret id is looked up by itself and by its accessor', async () => {
  await using lab = await Lab.open({ start: Date.parse(at) })
  await lab.role('app', { secret_id_bound_cidrs: '10.0.0.0/8' })
  const body = { metadata: '{"team":"a","__proto__":"b"}', cidr_list: '10.1.0.0/16', token_bound_cidrs: '10.1.2.0/24' }
  const { secret_id, secret_id_accessor } = await lab.secretId('app', { ...body, ttl: 90, num_uses: 2 })
  const want = {
    secret_id_accessor,
    secret_id_num_uses: 2,
    secret_id_ttl: 90,
    creation_time: '2027-01-15T08:00:00Z',
    expiration_time: '2027-01-15T08:01:30Z',
    last_updated_time: '2027-01-15T08:00:00Z',
    metadata: JSON.parse('{"team":"a","__proto__":"b"}'),
    cidr_list: ['10.1.0.0/16'],
    token_bound_cidrs: ['10.1.2.0/24'],
  }
  assert.deepEqual((await lab.post('role/app/secret-id/lookup', { secret_id })).data, want)
  assert.deepEqual((await lab.post('role/app/secret-id-accessor/lookup', { secret_id_accessor })).data, want)
  const { secret_id: endless } = await lab.secretId('app')
  const plain = (await lab.post('role/app/secret-id/lookup', { secret_id: endless })).data as Body
  assert.deepEqual(
    [plain['expiration_time'], plain['metadata'], plain['cidr_list'], plain['token_bound_cidrs']],
    ['0001-01-01T00:00:00Z', {}, [], []],
  )
})

for (const [what, metadata, want] of [
  ['a JSON object', '{"a":"1","b":""}', { a: '1', b: '' }],
  ['pairs', 'a=1, b=2', { a: '1', b: '2' }],
  ['JSON in base64', Buffer.from('{"a":"1"}').toString('base64'), { a: '1' }],
  ['pairs in base64', Buffer.from('a=1,b=2').toString('base64'), { a: '1', b: '2' }],
] as const) {
  test(`approle: metadata may be ${what}`, async () => {
    await using lab = await Lab.open()
    await lab.role('app')
    const { secret_id } = await lab.secretId('app', { metadata })
    assert.deepEqual(((await lab.post('role/app/secret-id/lookup', { secret_id })).data as Body)['metadata'], want)
  })
}

const subset = bare(
  'failed to verify subset relationship between CIDR blocks on the role ["10.0.0.0/8"] and CIDR blocks on the secret ID ["192.168.0.0/16"]: %!w(<nil>)',
)
for (const [what, role, body, status, text] of [
  ['of no role', 'none', {}, 404, 'role "none" does not exist'],
  ['of a role that asks for none', 'open', {}, 400, 'bind_secret_id is not set on the role'],
  ['with fewer uses than none', 'app', { num_uses: -1 }, 400, 'num_uses cannot be negative'],
  ['with more uses', 'app', { num_uses: 4 }, 400, "num_uses cannot be higher than the role's secret_id_num_uses"],
  ['with endless uses', 'app', { num_uses: 0 }, 400, "num_uses cannot be higher than the role's secret_id_num_uses"],
  ['that lives longer', 'app', { ttl: 61 }, 400, "ttl cannot be longer than the role's secret_id_ttl"],
  ['without end', 'app', { ttl: 0 }, 400, "ttl cannot be longer than the role's secret_id_ttl"],
  ['with addresses that are none', 'app', { cidr_list: 'x' }, 400, 'failed to validate CIDR blocks'],
  [
    'with token addresses that are none',
    'app',
    { token_bound_cidrs: 'x' },
    400,
    'failed to validate token CIDR blocks',
  ],
  ['with wider addresses', 'app', { cidr_list: '192.168.0.0/16' }, 500, subset],
  ['with wider token addresses', 'app', { token_bound_cidrs: '192.168.0.0/16' }, 500, subset],
  [
    'with metadata that is none',
    'app',
    { metadata: 'hunter2' },
    400,
    'failed to parse metadata: failed to parse the input: invalid <key,value> pair',
  ],
] as readonly (readonly [string, string, Body, number, string])[]) {
  test(`approle: there is no secret id ${what}`, async () => {
    await using lab = await Lab.open()
    const bound = { secret_id_bound_cidrs: '10.0.0.0/8', token_bound_cidrs: '10.0.0.0/8' }
    await lab.role('app', { secret_id_num_uses: 3, secret_id_ttl: 60, ...bound })
    await lab.role('open', { bind_secret_id: false, token_bound_cidrs: '10.0.0.0/8' })
    const answer = await lab.post(`role/${role}/secret-id`, body)
    assert.deepEqual([answer.status, answer.errors], [status, [text]])
  })
}

test('approle: metadata as an object is refused in words: it is a text', async () => {
  await using lab = await Lab.open()
  await lab.role('app')
  assert.equal((await lab.post('role/app/secret-id', { metadata: { a: '1' } })).status, 400)
})

test('approle: a secret id of one’s own is taken once', async () => {
  await using lab = await Lab.open()
  await lab.role('app')
  const make = () => lab.post('role/app/custom-secret-id', { secret_id: ' mine ', num_uses: 2 })
  const answers = await Promise.all([make(), make(), make()])
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  const refused = answers.find(({ status }) => status === 500)!
  assert.deepEqual(refused.errors, [bare('failed to store secret_id: SecretID is already registered')])
  assert.equal((answers.find(({ status }) => status === 200)!.data as Body)['secret_id'], 'mine')
  assert.deepEqual((await lab.post('role/app/custom-secret-id')).errors, ['missing secret_id'])
  assert.equal((await lab.post('role/app/custom-secret-id', { secret_id: 'x'.repeat(4097) })).status, 500)
  // One that was destroyed, or is another role's, is free.
  await lab.post('role/app/secret-id/destroy', { secret_id: 'mine' })
  assert.equal((await make()).status, 200)
  await lab.role('other')
  assert.equal((await lab.post('role/other/custom-secret-id', { secret_id: 'mine' })).status, 200)
})

test('approle: accessors of a role are listed, in pages', async () => {
  await using lab = await Lab.open()
  await lab.role('app')
  await lab.role('other')
  await lab.secretId('other')
  assert.equal((await lab.ask('LIST', 'role/app/secret-id')).status, 404)
  const made = [await lab.secretId('app'), await lab.secretId('app'), await lab.secretId('app')]
  const keys = made.map(one => one.secret_id_accessor).sort()
  assert.deepEqual((await lab.ask('LIST', 'role/app/secret-id')).data, { keys })
  assert.deepEqual((await lab.ask('GET', `role/app/secret-id?list=true&after=${keys[0]}&limit=1`)).data, {
    keys: [keys[1]],
  })
  const none = await lab.ask('LIST', 'role/none/secret-id')
  assert.deepEqual([none.status, none.errors], [400, ['role "none" does not exist']])
})

test('approle: what is looked up in vain', async () => {
  await using lab = await Lab.open()
  await lab.role('app')
  const unknown = 'failed to find accessor entry for secret_id_accessor: "x"'
  for (const [path, body, status, errors] of [
    ['role/app/secret-id/lookup', { secret_id: 'x' }, 204, []],
    ['role/app/secret-id/lookup', {}, 400, ['missing secret_id']],
    ['role/none/secret-id/lookup', { secret_id: 'x' }, 500, [bare('role "none" does not exist')]],
    ['role/app/secret-id/destroy', { secret_id: 'x' }, 204, []],
    ['role/app/secret-id/destroy', {}, 400, ['missing secret_id']],
    ['role/none/secret-id/destroy', { secret_id: 'x' }, 500, [bare('role "none" does not exist')]],
    ['role/app/secret-id-accessor/lookup', { secret_id_accessor: 'x' }, 404, []],
    ['role/app/secret-id-accessor/lookup', { secret_id_accessor: '../x' }, 404, []],
    ['role/app/secret-id-accessor/lookup', {}, 400, ['missing secret_id_accessor']],
    ['role/app/secret-id-accessor/destroy', { secret_id_accessor: 'x' }, 500, [bare(unknown)]],
    ['role/app/secret-id-accessor/destroy', {}, 400, ['missing secret_id_accessor']],
    ['role/none/secret-id-accessor/destroy', { secret_id_accessor: 'x' }, 500, [bare('role "none" does not exist')]],
  ] as const) {
    const answer = await lab.post(path, body)
    assert.deepEqual([path, answer.status, answer.errors], [path, status, errors])
  }
})

test('approle: an unknown accessor is a 404 that has data and no errors', async () => {
  await using lab = await Lab.open()
  await lab.role('app')
  const { status, body } = await lab.post('role/app/secret-id-accessor/lookup', { secret_id_accessor: 'x' })
  const { data, errors } = body as Body
  assert.deepEqual(
    [status, data, errors],
    [404, { error: 'failed to find accessor entry for secret_id_accessor: "x"' }, undefined],
  )
})

for (const [what, verb, path, by] of [
  ['itself', 'POST', 'secret-id/destroy', 'secret_id'],
  ['itself, by DELETE', 'DELETE', 'secret-id/destroy', 'secret_id'],
  ['its accessor', 'POST', 'secret-id-accessor/destroy', 'secret_id_accessor'],
  ['its accessor, by DELETE', 'DELETE', 'secret-id-accessor/destroy', 'secret_id_accessor'],
] as const) {
  test(`approle: a secret id is destroyed by ${what}`, async () => {
    await using lab = await Lab.open()
    await lab.role('app')
    const made = await lab.secretId('app', { ttl: 60 })
    const query = verb === 'DELETE' ? `?${by}=${made[by]}` : ''
    const answer = await lab.ask(verb, `role/app/${path}${query}`, verb === 'POST' ? { [by]: made[by] } : undefined)
    assert.equal(answer.status, 204)
    assert.equal((await lab.post('role/app/secret-id/lookup', { secret_id: made.secret_id })).status, 204)
    assert.equal((await lab.ask('LIST', 'role/app/secret-id')).status, 404)
  })
}

test('approle: an accessor is worth nothing through another role', async () => {
  await using lab = await Lab.open()
  await lab.role('app')
  await lab.role('other')
  const { secret_id, secret_id_accessor } = await lab.secretId('app')
  assert.equal((await lab.post('role/other/secret-id-accessor/lookup', { secret_id_accessor })).status, 404)
  assert.equal((await lab.post('role/other/secret-id-accessor/destroy', { secret_id_accessor })).status, 500)
  assert.equal((await lab.post('role/other/secret-id/destroy', { secret_id })).status, 204)
  assert.equal((await lab.post('role/app/secret-id/lookup', { secret_id })).status, 200)
})

test('approle: the end of a secret id removes its entries, also after a restart', async () => {
  await using lab = await Lab.open()
  await lab.role('app', { secret_id_ttl: 60 })
  await lab.secretId('app')
  await lab.server.world.clock.advance(30_000)
  await lab.secretId('app')
  await lab.server.restart()
  await lab.server.world.clock.advance(31_000)
  const left = (await lab.ask('LIST', 'role/app/secret-id')).data as { keys: string[] }
  assert.equal(left.keys.length, 1)
  await lab.server.world.clock.advance(30_000)
  assert.equal((await lab.ask('LIST', 'role/app/secret-id')).status, 404)
})

test('approle: a tidy runs in the background, one at a time, and harms nothing that is good', async () => {
  await using lab = await Lab.open()
  await lab.role('app')
  const { secret_id } = await lab.secretId('app')
  const answers = await Promise.all([lab.post('tidy/secret-id'), lab.post('tidy/secret-id')])
  assert.deepEqual(
    answers.map(({ status, body }) => [status, (body as { warnings: string[] }).warnings]),
    [
      [
        202,
        [
          "Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs.",
        ],
      ],
      [202, ['Tidy operation already in progress.']],
    ],
  )
  assert.equal((await lab.post('role/app/secret-id/lookup', { secret_id })).status, 200)
})

test('approle: a wrapped secret id tells its accessor outside, logs in from inside, and is had once', async () => {
  await using lab = await Lab.open()
  const roleId = await lab.role('app')
  const { server } = lab
  const path = 'auth/approle/role/app/secret-id'
  const made = await server.ask('POST', path, { headers: { 'X-Vault-Wrap-TTL': '60s' } })
  const { wrap_info: info, data } = made.body as { wrap_info: { [key: string]: string }; data: null }
  assert.equal(data, null)
  assert.equal(info['creation_path'], path)
  const token = info['token']!
  const found = await server.ask('GET', 'sys/wrapping/lookup', { token })
  assert.partialDeepStrictEqual(found.data, { creation_path: path, creation_ttl: 60 })
  const inner = (await server.ask('PUT', 'sys/wrapping/unwrap', { token })).data as Body
  assert.equal(inner['secret_id_accessor'], info['wrapped_accessor'])
  assert.equal((await lab.login({ role_id: roleId, secret_id: inner['secret_id']! })).status, 200)
  assert.equal((await server.ask('PUT', 'sys/wrapping/unwrap', { token })).status, 400)
})

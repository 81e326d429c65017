import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ComputeError } from '#ground/compute/pool.ts'
import { type Compute, computeTasks } from '#ground/compute/tasks.ts'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { userpassAuth } from './engine.ts'

type Task = { readonly task: string; readonly hash: string | null; readonly floor: number }

/** The real tasks on this thread; `tasks` says what was asked for. */
function directCompute(tasks: Task[] = []): Compute {
  return {
    async run(task, payload) {
      const { hash = null, floor = 0 } = payload as { hash?: string | null; floor?: number }
      tasks.push({ task, hash, floor })
      return (computeTasks[task] as (payload: unknown) => never)(payload)
    },
  }
}

const openUserpass = (compute = directCompute()): Promise<TestServer> =>
  openTestMount(userpassAuth, { services: { compute } })

// A cheap hash of "secret": most tests aren't about making one.
const secretHash = computeTasks.bcryptHash({
  password: new TextEncoder().encode('secret'),
  salt: new Uint8Array(16).fill(3),
  cost: 5,
})

const put = (server: TestServer, path: string, body: Json): Promise<TestAnswer> =>
  server.ask('POST', `auth/userpass/${path}`, { body })

async function addUser(server: TestServer, name: string, more: { [key: string]: Json } = {}): Promise<void> {
  const { status, errors } = await put(server, `users/${name}`, { password_hash: secretHash, ...more })
  assert.deepEqual([status, errors], [204, []])
}

function login(server: TestServer, name: string, password: Json = 'secret', address?: string): Promise<TestAnswer> {
  const body = { password }
  return server.ask('POST', `auth/userpass/login/${name}`, { body, token: null, ...(address && { address }) })
}

type Auth = { [key: string]: Json } & {
  client_token: string
  accessor: string
  lease_duration: number
  entity_id?: string
}
const authOf = (answer: TestAnswer): Auth => {
  assert.equal(answer.status, 200, answer.errors.join('; '))
  return (answer.body as { auth: Auth }).auth
}

test('userpass: a user logs in with the password that was set, whatever the case of the name', async () => {
  const tasks: Task[] = []
  await using server = await openUserpass(directCompute(tasks))
  const body = { password: 'Pä55 wörd ', token_policies: 'Dev,admins,dev', token_ttl: '1h', token_max_ttl: 7200 }
  assert.equal((await put(server, 'users/Bob.B', body)).status, 204)
  const { client_token, accessor, entity_id, ...auth } = authOf(await login(server, 'bOB.b', 'Pä55 wörd '))
  assert.match(client_token, /^hvs\./)
  assert.notEqual(accessor, '')
  assert.match(entity_id ?? '', /^[0-9a-f-]{36}$/)
  assert.deepEqual(auth, {
    policies: ['admins', 'default', 'dev'],
    token_policies: ['admins', 'default', 'dev'],
    metadata: { username: 'bob.b' },
    lease_duration: 3600,
    renewable: true,
    token_type: 'service',
    orphan: true,
    mfa_requirement: null,
    num_uses: 0,
  })
  const seen = await server.ask('GET', 'auth/token/lookup-self', { token: client_token })
  const { display_name, path, meta } = seen.data as { [key: string]: Json }
  assert.deepEqual([display_name, path], ['userpass-bob.b', 'auth/userpass/login/bOB.b'])
  assert.deepEqual(meta, { username: 'bob.b' })
  assert.equal((await login(server, 'bob.b', 'Pä55 wörd')).status, 400)
  assert.deepEqual(
    tasks.map(({ task }) => task),
    ['bcryptHash', 'bcryptCheck', 'bcryptCheck'],
  )
})

test('userpass: the same user is the same entity at each login, another is another', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob')
  await addUser(server, 'eve')
  const first = authOf(await login(server, 'bob'))['entity_id']
  assert.equal(authOf(await login(server, 'BOB'))['entity_id'], first)
  assert.notEqual(authOf(await login(server, 'eve'))['entity_id'], first)
})

test('userpass: wrong passwords and unknown users get one answer and cost the same', async () => {
  const tasks: Task[] = []
  await using server = await openUserpass(directCompute(tasks))
  await addUser(server, 'bob')
  for (const name of ['bob', 'nobody']) {
    const answer = await login(server, name, 'guess')
    assert.deepEqual([answer.status, answer.body], [400, { errors: ['invalid username or password'] }], name)
  }
  assert.deepEqual(tasks, [
    { task: 'bcryptCheck', hash: secretHash, floor: 10 },
    { task: 'bcryptCheck', hash: null, floor: 10 },
  ])
})

test('userpass: once a dearer hash was brought along, every refusal costs as much as one with it', async () => {
  const tasks: Task[] = []
  await using server = await openUserpass(directCompute(tasks))
  const dear = computeTasks.bcryptHash({
    password: new TextEncoder().encode('dear'),
    salt: new Uint8Array(16),
    cost: 11,
  })
  assert.equal((await put(server, 'users/dear', { password_hash: dear })).status, 204)
  await addUser(server, 'cheap')
  await server.ask('DELETE', 'auth/userpass/users/dear')
  await server.restart()
  await login(server, 'nobody', 'guess')
  await login(server, 'cheap', 'guess')
  assert.deepEqual(
    tasks.map(({ floor }) => floor),
    [11, 11],
  )
})

test('userpass: who may ask is told whether the user or the password was wrong', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob')
  for (const [name, reason] of [
    ['bob', 'the password of "bob" is another'],
    ['nobody', 'there is no user "nobody"'],
  ] as const) {
    const id = (await login(server, name, 'guess')).headers.get('x-coffer-request-id') ?? ''
    const explained = await server.ask('POST', 'sys/policies/explain', { body: { request_id: id } })
    assert.equal((explained.data as { reason: Json }).reason, reason)
  }
})

test('userpass: a login without a password is 500, as in Vault', async () => {
  await using server = await openUserpass()
  const answer = await server.ask('POST', 'auth/userpass/login/bob', { token: null })
  assert.deepEqual([answer.status, answer.errors], [500, ['missing password']])
  assert.deepEqual((await login(server, 'bob', '')).errors, ['missing password'])
})

test('userpass: a new user needs a password, a known one keeps it', async () => {
  await using server = await openUserpass()
  const answer = await put(server, 'users/bob', { token_policies: 'dev' })
  assert.deepEqual([answer.status, answer.errors], [400, ['missing password']])
  assert.equal((await server.ask('GET', 'auth/userpass/users/bob')).status, 404)
  await addUser(server, 'bob', { token_policies: 'dev', token_ttl: 60 })
  assert.equal((await put(server, 'users/bob', { token_policies: 'ops' })).status, 204)
  assert.deepEqual((await put(server, 'users/bob', { password: '' })).errors, ['missing password'])
  const auth = authOf(await login(server, 'bob'))
  assert.deepEqual([auth['token_policies'], auth.lease_duration], [['default', 'ops'], 60])
})

test('userpass: create and update of a user are two capabilities', async () => {
  await using server = await openUserpass()
  const policy = 'path "auth/userpass/users/*" { capabilities = ["create"] }'
  await server.ask('POST', 'sys/policies/acl/maker', { body: { policy } })
  const made = await server.ask('POST', 'auth/token/create', { body: { policies: ['maker'] } })
  const token = authOf(made).client_token
  const body = { password_hash: secretHash }
  assert.equal((await server.ask('POST', 'auth/userpass/users/Bob', { body, token })).status, 204)
  assert.equal((await server.ask('POST', 'auth/userpass/users/bOB', { body, token })).status, 403)
})

test('userpass: a user is shown with all token parameters and never with the password', async () => {
  await using server = await openUserpass()
  await addUser(server, 'Bob', {
    token_policies: ['dev'],
    token_bound_cidrs: '10.0.0.0/8,192.0.2.7',
    token_num_uses: 3,
    token_period: '24h',
    token_explicit_max_ttl: '48h',
    token_no_default_policy: true,
    token_type: 'service',
  })
  assert.deepEqual((await server.ask('GET', 'auth/userpass/users/bob')).data, {
    token_bound_cidrs: ['10.0.0.0/8', '192.0.2.7/32'],
    token_explicit_max_ttl: 172_800,
    token_max_ttl: 0,
    token_no_default_policy: true,
    token_num_uses: 3,
    token_period: 86_400,
    token_policies: ['dev'],
    token_ttl: 0,
    token_type: 'service',
  })
})

test('userpass: old names of parameters are taken, and shown when they were the ones set', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob', { policies: 'dev', ttl: '1m', max_ttl: '2m' })
  const data = (await server.ask('GET', 'auth/userpass/users/bob')).data as { [key: string]: Json }
  assert.deepEqual(
    [data['policies'], data['token_policies'], data['ttl'], data['max_ttl']],
    [['dev'], ['dev'], 60, 120],
  )
  await put(server, 'users/bob', { token_policies: 'ops' })
  const later = (await server.ask('GET', 'auth/userpass/users/bob')).data as { [key: string]: Json }
  assert.deepEqual([later['policies'], later['token_policies']], [undefined, ['ops']])
})

test('userpass: token parameters that can not be are refused, and nothing is written', async () => {
  await using server = await openUserpass()
  const cases: readonly (readonly [Json, string])[] = [
    [{ token_ttl: 2, token_max_ttl: 1 }, "'token_ttl' cannot be greater than 'token_max_ttl'"],
    [{ token_type: 'odd' }, `invalid 'token_type' value "odd"`],
    [{ token_num_uses: -1 }, "'token_num_uses' cannot be negative"],
  ]
  for (const [more, text] of cases) {
    const answer = await put(server, 'users/bob', { password_hash: secretHash, ...(more as object) })
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
  }
  assert.equal((await server.ask('GET', 'auth/userpass/users/bob')).status, 404)
})

test('userpass: what the parameters say holds for the token', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob', {
    token_policies: 'dev',
    token_no_default_policy: true,
    token_num_uses: 2,
    token_bound_cidrs: '192.0.2.0/24',
  })
  const auth = authOf(await login(server, 'bob'))
  assert.deepEqual([auth['token_policies'], auth['num_uses']], [['dev'], 2])
  const { client_token: token } = auth
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token, address: '198.51.100.1' })).status, 403)
})

test('userpass: a batch token of a user is held to the addresses of the user', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob', { token_type: 'batch', token_bound_cidrs: '192.0.2.0/24' })
  const { auth } = (await login(server, 'bob', 'secret', '192.0.2.9')).body as { auth: Auth }
  assert.deepEqual([auth['token_type'], auth.accessor], ['batch', ''])
  const from = async (address: string): Promise<number> =>
    (await server.ask('GET', 'auth/token/lookup-self', { token: auth.client_token, address })).status
  assert.deepEqual([await from('192.0.2.9'), await from('198.51.100.1')], [200, 403])
})

test('userpass: from outside of token_bound_cidrs the right password is refused with 403, a wrong one with 400', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob', { token_bound_cidrs: '10.0.0.0/8' })
  const outside = await login(server, 'bob')
  assert.deepEqual([outside.status, outside.errors], [403, ['permission denied']])
  assert.equal((await login(server, 'bob', 'guess')).status, 400)
  assert.equal((await login(server, 'bob', 'secret', '10.1.2.3')).status, 200)
})

test('userpass: a login can not give root', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob', { token_policies: 'root' })
  const answer = await login(server, 'bob')
  assert.deepEqual([answer.status, answer.errors], [400, ['auth methods cannot create root tokens']])
})

test('userpass: users are listed in order, in pages; none is 404', async () => {
  await using server = await openUserpass()
  assert.equal((await server.ask('LIST', 'auth/userpass/users')).status, 404)
  for (const name of ['Eve', 'bob', 'adam']) await addUser(server, name)
  const keys = async (method: string, query: string): Promise<Json> =>
    ((await server.ask(method, `auth/userpass/users${query}`)).data as { keys: Json }).keys
  assert.deepEqual(await keys('LIST', ''), ['adam', 'bob', 'eve'])
  assert.deepEqual(await keys('GET', '?list=true'), ['adam', 'bob', 'eve'])
  assert.deepEqual(await keys('LIST', '?after=adam&limit=1'), ['bob'])
})

test('userpass: a deleted user is gone and can not log in; deleting nobody succeeds', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob')
  assert.equal((await server.ask('DELETE', 'auth/userpass/users/BOB')).status, 204)
  assert.equal((await server.ask('GET', 'auth/userpass/users/bob')).status, 404)
  assert.equal((await login(server, 'bob')).status, 400)
  assert.equal((await server.ask('DELETE', 'auth/userpass/users/bob')).status, 204)
})

test('userpass: the password is changed by a path of its own, and nothing else is', async () => {
  await using server = await openUserpass()
  const none = await put(server, 'users/bob/password', { password: 'x' })
  assert.deepEqual([none.status, none.errors], [500, ['1 error occurred:\n\t* username does not exist\n\n']])
  await addUser(server, 'bob', { token_policies: 'dev' })
  const empty = await put(server, 'users/bob/password', {})
  assert.deepEqual([empty.status, empty.errors], [400, ['missing password']])
  assert.equal((await put(server, 'users/Bob/password', { password: 'new', token_policies: 'root' })).status, 204)
  assert.equal((await login(server, 'bob')).status, 400)
  assert.deepEqual(authOf(await login(server, 'bob', 'new'))['token_policies'], ['default', 'dev'])
  assert.equal((await put(server, 'users/bob/password', { password_hash: secretHash })).status, 204)
  assert.equal((await login(server, 'bob')).status, 200)
})

test('userpass: policies are changed by a path of their own, and nothing else is', async () => {
  await using server = await openUserpass()
  const none = await put(server, 'users/bob/policies', { token_policies: 'dev' })
  assert.deepEqual([none.status, none.errors], [500, ['1 error occurred:\n\t* username does not exist\n\n']])
  await addUser(server, 'bob', { token_policies: 'dev', token_ttl: 60 })
  const seen = async (): Promise<Json[]> => {
    const data = (await server.ask('GET', 'auth/userpass/users/bob')).data as { [key: string]: Json }
    return [data['token_policies'] ?? null, data['policies'] ?? null, data['token_ttl'] ?? null]
  }
  assert.equal((await put(server, 'users/BOB/policies', { token_policies: 'ops, Dev', token_ttl: 5 })).status, 204)
  assert.deepEqual(await seen(), [['dev', 'ops'], null, 60])
  await put(server, 'users/bob/policies', { policies: ['old'] })
  assert.deepEqual(await seen(), [['old'], ['old'], 60])
  await put(server, 'users/bob/policies', {})
  assert.deepEqual(await seen(), [['old'], ['old'], 60])
  assert.equal((await login(server, 'bob')).status, 200)
})

test('userpass: a hash that is brought along must be bcrypt of a bearable cost, and stand alone', async () => {
  await using server = await openUserpass()
  const broken = 'password_hash is not a valid bcrypt hash'
  const cases: readonly (readonly [{ [key: string]: Json }, string])[] = [
    [{ password: 'x', password_hash: secretHash }, 'only one of password or password_hash may be provided'],
    [{ password_hash: 'secret' }, broken],
    [{ password_hash: secretHash.slice(0, -1) }, broken],
    [{ password_hash: secretHash.replace('$2b', '$2x') }, broken],
    [{ password_hash: `${secretHash}\n` }, broken],
    [
      { password_hash: secretHash.replace('$05$', '$04$') },
      'password_hash must have a bcrypt cost between 5 and 12, not 4',
    ],
    [
      { password_hash: secretHash.replace('$05$', '$13$') },
      'password_hash must have a bcrypt cost between 5 and 12, not 13',
    ],
  ]
  for (const [body, text] of cases) {
    const answer = await put(server, 'users/bob', body)
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
  }
  for (const version of ['$2a', '$2b', '$2y']) {
    await addUser(server, 'bob', { password_hash: secretHash.replace('$2b', version) })
    assert.equal((await login(server, 'bob')).status, 200, version)
  }
})

test('userpass: a password of more than 72 bytes is refused, since bcrypt would drop the rest', async () => {
  await using server = await openUserpass()
  const answer = await put(server, 'users/bob', { password: 'ü'.repeat(36) + 'x' })
  const text = '1 error occurred:\n\t* bcrypt: password length exceeds 72 bytes\n\n'
  assert.deepEqual([answer.status, answer.errors], [500, [text]])
  assert.equal((await put(server, 'users/bob', { password: 'ü'.repeat(36) })).status, 204)
  assert.equal((await login(server, 'bob', 'ü'.repeat(36))).status, 200)
})

test('userpass: a renewal follows what the user has now', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob', { token_policies: 'dev,default', token_ttl: 100 })
  const { client_token: token } = authOf(await login(server, 'bob'))
  await put(server, 'users/bob', { token_ttl: 300, token_policies: 'dev' })
  await server.world.clock.advance(50_000)
  assert.equal(authOf(await server.ask('POST', 'auth/token/renew-self', { token })).lease_duration, 300)
  await put(server, 'users/bob', { token_max_ttl: 300 })
  assert.equal(authOf(await server.ask('POST', 'auth/token/renew-self', { token })).lease_duration, 250)
})

test('userpass: with other policies a token is not renewed', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob', { token_policies: 'dev' })
  const { client_token: token } = authOf(await login(server, 'bob'))
  await put(server, 'users/bob/policies', { token_policies: 'dev,ops' })
  const answer = await server.ask('POST', 'auth/token/renew-self', { token })
  const text = 'failed to renew entry: policies have changed, not renewing'
  assert.deepEqual([answer.status, answer.errors], [500, [text]])
})

test('userpass: the token of a deleted user is renewed by 204 and runs out', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob', { token_ttl: 100 })
  const { client_token: token } = authOf(await login(server, 'bob'))
  await server.ask('DELETE', 'auth/userpass/users/bob')
  await server.world.clock.advance(60_000)
  assert.equal((await server.ask('POST', 'auth/token/renew-self', { token })).status, 204)
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
  await server.world.clock.advance(41_000)
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 403)
})

test('userpass: users, and who they are, survive a restart', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob')
  const before = authOf(await login(server, 'bob'))['entity_id']
  await server.restart()
  assert.equal(authOf(await login(server, 'bob'))['entity_id'], before)
})

test('userpass: names that Vault does not take are no path', async () => {
  await using server = await openUserpass()
  for (const name of ['bob@example.org', '-bob', 'bob.', 'b%20b']) {
    assert.equal((await put(server, `users/${name}`, { password_hash: secretHash })).status, 404, name)
  }
  const body = { password: 'secret' }
  assert.equal((await server.ask('POST', 'auth/userpass/login/bob@example.org', { body })).status, 404)
  assert.equal((await login(server, 'bob@example.org')).status, 403)
})

test('userpass: when too many passwords wait, logins are told to try again', async () => {
  const run = async (): Promise<never> => {
    throw new ComputeError('busy', '256 tasks wait already')
  }
  await using server = await openUserpass({ run })
  const answer = await login(server, 'bob')
  assert.deepEqual([answer.status, answer.errors], [429, ['too many passwords are being checked: try again']])
})

test('userpass: after five wrong passwords the right one is refused without being looked at, in any spelling', async () => {
  const tasks: Task[] = []
  await using server = await openUserpass(directCompute(tasks))
  await addUser(server, 'bob')
  for (const name of ['bob', 'Bob', 'BOB', 'boB', 'bob']) assert.equal((await login(server, name, 'guess')).status, 400)
  const looks = tasks.length
  await server.restart()
  const answer = await login(server, 'bob')
  assert.deepEqual([answer.status, answer.errors], [403, ['permission denied']])
  assert.equal(tasks.length, looks)
  const { accessor } = ((await server.ask('GET', 'sys/auth')).data as { [path: string]: { accessor: string } })[
    'userpass/'
  ]!
  await server.ask('POST', `sys/locked-users/${accessor}/unlock/bob`)
  assert.equal((await login(server, 'bob')).status, 200)
})

test('userpass: unknown names are refused as long as known ones once they were tried too often', async () => {
  await using server = await openUserpass()
  await addUser(server, 'bob')
  for (const name of ['bob', 'nobody']) {
    const seen: number[] = []
    for (let i = 0; i < 7; i++) seen.push((await login(server, name, 'guess')).status)
    assert.deepEqual(seen, [400, 400, 400, 400, 400, 403, 403], name)
  }
})

test('userpass: a policy can let everyone change their own password and nothing else', async () => {
  await using server = await openUserpass()
  const mounts = (await server.ask('GET', 'sys/auth')).data as { [path: string]: { accessor: string } }
  const own = `auth/userpass/users/{{identity.entity.aliases.${mounts['userpass/']?.accessor}.name}}/password`
  const policy = `path "${own}" { capabilities = ["update"] allowed_parameters = { "password" = [] } }`
  await server.ask('POST', 'sys/policies/acl/own-password', { body: { policy } })
  for (const name of ['bob', 'eve']) await addUser(server, name, { token_policies: 'own-password' })
  const { client_token: token } = authOf(await login(server, 'bob'))
  const change = async (name: string, body: Json): Promise<number> =>
    (await server.ask('POST', `auth/userpass/users/${name}/password`, { body, token })).status
  assert.equal(await change('eve', { password: 'mine' }), 403)
  assert.equal(await change('bob', { password_hash: secretHash }), 403)
  assert.equal(await change('bob', { password: 'mine' }), 204)
  assert.equal((await login(server, 'bob', 'mine')).status, 200)
})

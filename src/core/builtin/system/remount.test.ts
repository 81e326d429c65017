import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { doorman, notebook } from '#core/testing/engines.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'
import { faultyStore } from '#stores/faulty/faulty.ts'
import { type MemoryMedium, openMemoryStore } from '#stores/memory/memory.ts'

type Store = NonNullable<Parameters<typeof openTestMount>[1]>['store']

async function open(store?: Store) {
  const outside = new Outside()
  const server = await openTestMount(accountsEngine(outside), {
    others: [doorman(), notebook],
    ...(store && { store }),
  })
  await server.ask('POST', 'sys/auth/doorman', { body: { type: 'doorman' } })
  await server.ask('POST', 'sys/mounts/notes', { body: { type: 'notebook' } })
  await server.ask('POST', 'notes/note/a', { body: { text: 'kept' } })
  return { outside, server }
}

const remount = (server: TestServer, from: string, to: string) =>
  server.ask('POST', 'sys/remount', { body: { from, to } })

/** Moves, and waits for the end. */
async function move(server: TestServer, from: string, to: string): Promise<Json> {
  const { data, errors } = await remount(server, from, to)
  assert.deepEqual(errors, [])
  return ended(server, (data as { migration_id: string }).migration_id)
}

async function ended(server: TestServer, id: string): Promise<Json> {
  for (let turn = 0; turn < 10_000; turn++) {
    const { data, errors } = await server.ask('GET', `sys/remount/status/${id}`)
    // The store failed under it.
    if (data === null) return errors.join()
    const { status } = (data as { migration_info: { status: string } }).migration_info
    if (status !== 'in-progress') return status
    await new Promise<void>(resolve => setImmediate(resolve))
  }
  throw new Error('it does not end')
}

/** Until it is served somewhere: a move of which nobody has the id goes on. */
async function settled(server: TestServer): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    for (const path of ['notes', 'moved']) if ((await server.ask('GET', `${path}/note/a`)).status === 200) return
    await new Promise<void>(resolve => setImmediate(resolve))
  }
}

const facts = async (server: TestServer, path: string): Promise<Json> => {
  const { accessor, uuid } = ((await server.ask('GET', `sys/${path}`)).data ?? {}) as Record<string, Json>
  return { accessor: accessor ?? null, uuid: uuid ?? null }
}
const text = async (server: TestServer, path: string): Promise<Json> =>
  ((await server.ask('GET', path)).data as { text: Json } | null)?.text ?? null

for (const [rule, from, to, wanted] of [
  ['no from', '', 'x', "both 'from' and 'to' path must be specified as a string"],
  ['no to', 'notes', '', "both 'from' and 'to' path must be specified as a string"],
  ['a blank after from', 'notes ', 'x', "'from' path cannot contain trailing whitespace"],
  ['a blank before to', 'notes', ' x', "'to' path cannot contain trailing whitespace"],
  ['dot segments', 'notes', 'a/../b', "invalid destination mount: path 'a/../b/' does not match cleaned path 'a/b/'"],
  ['double slashes', 'notes', 'a//b', "invalid destination mount: path 'a//b/' does not match cleaned path 'a/b/'"],
  [
    'control characters',
    'notes',
    'a\u0007b',
    'invalid destination mount: path cannot contain non-printable characters',
  ],
  ['from sys/', 'sys/', 'x', 'cannot remount "sys/"'],
  ['from identity/', 'identity', 'x', 'cannot remount "identity/"'],
  ['from cubbyhole/', 'cubbyhole', 'x', 'cannot remount "cubbyhole/"'],
  ['to sys/', 'notes', 'sys/x', 'cannot remount to destination sys/x/'],
  ['to identity/', 'notes', 'identity/x', 'cannot remount to destination identity/x/'],
  ['an engine to auth/', 'notes', 'auth/x', 'cannot remount to destination auth/x/'],
  ['a method out of auth/', 'auth/doorman', 'x', 'cannot remount auth mount to non-auth mount "x/"'],
  ['auth/token', 'auth/token', 'auth/x', 'cannot remount "auth/token/"'],
  ['to auth/token', 'auth/doorman', 'auth/token/x', 'cannot remount to destination "auth/token/x/"'],
  ['what is not there', 'nothing', 'x', 'no matching mount at "nothing/"'],
  ['a path below a mount', 'notes/a', 'x', 'no matching mount at "notes/a/"'],
  ['a path that is taken', 'notes', 'accounts', 'path already in use at "accounts/"'],
  ['a path below a mount that is there', 'notes', 'accounts/x', 'path already in use at "accounts/"'],
  ['a path below itself', 'notes', 'notes/x', 'path already in use at "notes/"'],
] as const) {
  test(`remount: ${rule} is refused`, async () => {
    const { server } = await open()
    await using _ = server
    const { status, errors } = await remount(server, from, to)
    assert.deepEqual([status, errors], [400, [wanted]])
    assert.equal(await text(server, 'notes/note/a'), 'kept')
  })
}

test('remount: what is kept, uuid and accessor are there at the new path, and nothing at the old one', async () => {
  const { server } = await open()
  await using _ = server
  const before = await facts(server, 'mounts/notes')
  const { status, data, body } = await remount(server, '/notes/', 'team/notes/')
  assert.equal(status, 200)
  const { migration_id: id } = data as { migration_id: string }
  const warning =
    "Mount move has been queued. Progress will be reported in Vault's server log, tagged with the returned migration_id"
  assert.deepEqual((body as { warnings: string[] }).warnings, [warning])
  assert.equal(await ended(server, id), 'success')
  assert.deepEqual((await server.ask('GET', `sys/remount/status/${id}`)).data, {
    migration_id: id,
    migration_info: { source_mount: 'notes/', target_mount: 'team/notes/', status: 'success' },
  })
  for (const round of ['at once', 'after a restart']) {
    assert.equal(await text(server, 'team/notes/note/a'), 'kept', round)
    assert.deepEqual(await facts(server, 'mounts/team/notes'), before)
    assert.equal((await server.ask('GET', 'notes/note/a')).status, 404)
    await server.restart()
  }
  assert.equal((await server.ask('POST', 'sys/mounts/notes', { body: { type: 'notebook' } })).status, 204, 'it is free')
})

test('remount: asks for sudo, and an id that nobody knows is 404', async () => {
  const { server } = await open()
  await using _ = server
  const token = await server.tokenWith('path "sys/remount" { capabilities = ["update"] }')
  const { status } = await server.ask('POST', 'sys/remount', { token, body: { from: 'notes', to: 'x' } })
  assert.equal(status, 403)
  assert.equal((await server.ask('GET', 'sys/remount/status/nobody')).status, 404)
})

test('remount: leases of the mount end, and new ones carry the new path', async () => {
  const { server, outside } = await open()
  await using _ = server
  const take = async (path: string): Promise<string> =>
    ((await server.ask('GET', `${path}/creds/app?ttl=60`)).body as { lease_id: string }).lease_id
  const lease = await take('accounts')
  assert.equal(await move(server, 'accounts', 'moved'), 'success')
  assert.equal(outside.accounts.size, 0)
  const gone = await server.ask('PUT', 'sys/leases/lookup', { body: { lease_id: lease } })
  assert.deepEqual([gone.status, gone.errors], [400, ['invalid lease']])
  assert.match(await take('moved'), /^moved\/creds\/app\//)
  await server.world.clock.advance(61_000)
  assert.equal(outside.accounts.size, 0, 'and ends by itself')
})

test('remount: a lease that can not be revoked leaves the mount where it is', async () => {
  const { server, outside } = await open()
  await using _ = server
  await server.ask('GET', 'accounts/creds/app?ttl=600')
  outside.failures.set('drop', new Error('no'))
  assert.equal(await move(server, 'accounts', 'moved'), 'failure')
  assert.equal((await server.ask('GET', 'accounts/creds/app?ttl=60')).status, 200)
  assert.equal((await server.ask('GET', 'moved/creds/app')).status, 404)
  assert.equal((await server.ask('POST', 'sys/mounts/moved', { body: { type: 'notebook' } })).status, 204)
})

test('remount: an auth method keeps who its users are; the tokens that it gave end', async () => {
  const { server } = await open()
  await using _ = server
  const login = async (path: string) => {
    const { body } = await server.ask('POST', `auth/${path}/login`, { token: null, body: { name: 'bob' } })
    return (body as { auth: { client_token: string; entity_id: string } }).auth
  }
  const { client_token: token, entity_id: id } = await login('doorman')
  assert.equal(await move(server, 'auth/doorman', 'auth/team/door'), 'success')
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token })).status, 403)
  const again = await login('team/door')
  assert.equal(again.entity_id, id)
  const entity = (await server.ask('GET', `identity/entity/id/${id}`)).data as { aliases: Json[] }
  assert.partialDeepStrictEqual(entity.aliases[0], { name: 'bob', mount_path: 'auth/team/door/' } as object)
  const { data } = await server.ask('GET', 'auth/token/lookup-self', { token: again.client_token })
  assert.partialDeepStrictEqual(data, { path: 'auth/team/door/login', display_name: 'team-door-bob' } as object)
})

test('remount: requests that hold the mount end first; new ones, and whatever else would change it, are refused', async () => {
  const { server, outside } = await open()
  await using _ = server
  let letGo = (): void => undefined
  outside.hangs.set(
    'create',
    new Promise(resolve => {
      letGo = resolve
    }),
  )
  const taking = server.ask('GET', 'accounts/creds/app?ttl=600')
  const { data } = await remount(server, 'accounts', 'moved')
  assert.equal((await server.ask('GET', 'accounts/creds/app')).status, 404)
  assert.equal((await server.ask('GET', 'moved/creds/app')).status, 404)
  for (const [method, path, body, wanted] of [
    ['DELETE', 'sys/mounts/accounts', {}, 'the mount at "accounts/" is being moved: wait until that is done'],
    ['POST', 'sys/remount', { from: 'accounts', to: 'other' }, 'no matching mount at "accounts/"'],
    ['POST', 'sys/remount', { from: 'notes', to: 'moved' }, 'path already in use at "moved/"'],
    ['POST', 'sys/mounts/moved', { type: 'notebook' }, 'path is already in use at moved/'],
    ['POST', 'sys/mounts/accounts', { type: 'notebook' }, 'path is already in use at accounts/'],
    ['POST', 'sys/mounts/accounts/tune', { description: 'x' }, 'tune of path "accounts/" failed: no mount entry found'],
  ] as const) {
    const { status, errors } = await server.ask(method, path, { body })
    assert.deepEqual([status, errors], [400, [wanted]], path)
  }
  letGo()
  assert.equal((await taking).status, 200)
  assert.equal(await ended(server, (data as { migration_id: string }).migration_id), 'success')
  assert.equal(outside.accounts.size, 0, 'also the lease that came last')
})

test('remount: a server that is sealed meanwhile goes on with it when it is unsealed, under the same id', async () => {
  const { server, outside } = await open()
  await using _ = server
  await server.ask('GET', 'accounts/creds/app?ttl=600')
  let letGo = (): void => undefined
  outside.hangs.set(
    'drop',
    new Promise(resolve => {
      letGo = resolve
    }),
  )
  const { data } = await remount(server, 'accounts', 'moved')
  const { migration_id: id } = data as { migration_id: string }
  assert.equal((await server.ask('GET', 'accounts/creds/app')).status, 404)
  await server.restart()
  assert.equal((await server.ask('GET', 'accounts/creds/app')).status, 404, 'still refused')
  letGo()
  assert.equal(await ended(server, id), 'success')
  assert.equal(outside.accounts.size, 0)
  assert.equal((await server.ask('GET', 'moved/creds/app?ttl=60')).status, 200)
})

test('remount: quotas on the mount and on paths below it are those of the new path', async () => {
  const { server } = await open()
  await using _ = server
  for (const [name, path] of [
    ['whole', 'accounts'],
    ['part', 'accounts/creds/app'],
    ['other', 'auth/doorman'],
  ] as const) {
    const body = { path, max_leases: 1 }
    assert.equal((await server.ask('POST', `sys/quotas/lease-count/${name}`, { body })).status, 204)
  }
  assert.equal(await move(server, 'accounts', 'moved'), 'success')
  for (const round of ['at once', 'after a restart']) {
    for (const [name, path] of [
      ['whole', 'moved/'],
      ['part', 'moved/creds/app'],
      ['other', 'auth/doorman/'],
    ] as const) {
      const { data } = await server.ask('GET', `sys/quotas/lease-count/${name}`)
      assert.equal((data as { path: string }).path, path, round)
    }
    await server.restart()
  }
})

test('remount: a policy goes by path, and says of the new one what it says', async () => {
  const { server } = await open()
  await using _ = server
  const token = await server.tokenWith('path "moved/note/*" { capabilities = ["read"] }')
  assert.equal((await server.ask('GET', 'notes/note/a', { token })).status, 403)
  assert.equal(await move(server, 'notes', 'moved'), 'success')
  assert.equal((await server.ask('GET', 'moved/note/a', { token })).status, 200)
  assert.equal((await server.ask('GET', 'notes/note/a', { token })).status, 403)
})

test('remount: a store that fails at any of the commits: the next start ends the move, and nothing is lost', async () => {
  for (let n = 1; ; n++) {
    let at = 1_000_000
    let commits = (): number => 0
    const { server } = await open((medium: MemoryMedium) => {
      const made = faultyStore(openMemoryStore({ medium }), { call: 'commit', at, isApplied: n % 2 === 0 })
      commits = () => made.commits
      return made
    })
    await using _ = server
    await server.ask('POST', 'sys/quotas/lease-count/q', { body: { path: 'notes', max_leases: 1 } })
    await server.restart()
    at = commits() + Math.ceil(n / 2)
    await server.restart()
    at = 1_000_000
    const { status, data } = await remount(server, 'notes', 'moved')
    const id = (data as { migration_id: string } | null)?.migration_id ?? ''
    const isDone = status === 200 && server.node.house !== null && (await ended(server, id)) === 'success'
    await server.restart()
    await settled(server)
    const places = [await text(server, 'notes/note/a'), await text(server, 'moved/note/a')]
    const isThere = (await server.ask('GET', 'notes/note/a')).status === 200
    assert.deepEqual(places, isThere ? ['kept', null] : [null, 'kept'], `commit ${n}`)
    assert.ok(!isThere || status !== 200, 'what was begun is ended')
    const { data: quota } = await server.ask('GET', 'sys/quotas/lease-count/q')
    assert.equal((quota as { path: string }).path, isThere ? 'notes/' : 'moved/')
    if (isDone) break
    assert.ok(n < 40)
  }
})

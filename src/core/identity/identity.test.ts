import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { doorman, notebook } from '#core/testing/engines.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'
import { type EntityEntry, entityCodec } from './entry.ts'

type Auth = { client_token: string; entity_id: string; policies: string[]; identity_policies?: string[] }

const open = (): Promise<TestServer> => openTestMount(doorman(), { others: [notebook] })

async function login(
  server: TestServer,
  body: Record<string, Json> = {},
): Promise<{ status: number; auth: Auth; errors: readonly string[]; text: string }> {
  const {
    status,
    errors,
    text,
    body: answer,
  } = await server.ask('POST', 'auth/doorman/login', { token: null, body: { name: 'bob', ...body } })
  return { status, errors, text, auth: (answer as unknown as { auth: Auth }).auth }
}

/** What a call of the identity API would do, which isn't there yet. */
async function change(server: TestServer, id: string, more: Partial<EntityEntry>): Promise<void> {
  const entity = (await server.house.identity.entity(id))!
  const key = `root/identity/${entityCodec.prefix}${id}`
  await server.house.keeper.commit([{ key, codec: entityCodec, entry: { ...entity, ...more } }])
}

test('identity: policies of the entity add to those of each of its tokens, also of one in use', async () => {
  await using server = await open()
  const { auth } = await login(server)
  await server.ask('PUT', 'sys/policies/acl/team', {
    body: { policy: 'path "sys/mounts" { capabilities = ["read"] }' },
  })
  assert.equal((await server.ask('GET', 'sys/mounts', { token: auth.client_token })).status, 403)
  await change(server, auth.entity_id, { policies: ['team'] })
  assert.equal((await server.ask('GET', 'sys/mounts', { token: auth.client_token })).status, 200)
  assert.partialDeepStrictEqual(
    (await server.ask('GET', 'auth/token/lookup-self', { token: auth.client_token })).data,
    { policies: ['default'], identity_policies: ['team'] },
  )
  const again = await login(server)
  assert.partialDeepStrictEqual(again.auth, {
    policies: ['default', 'team'],
    token_policies: ['default'],
    identity_policies: ['team'],
  } as object)
})

test('identity: a child may be given the policies of the token, never those of the entity', async () => {
  await using server = await open()
  await server.ask('PUT', 'sys/policies/acl/maker', {
    body: { policy: 'path "auth/token/create" { capabilities = ["update"] }' },
  })
  await server.ask('PUT', 'sys/policies/acl/team', { body: { policy: 'path "x" { capabilities = ["read"] }' } })
  const { auth } = await login(server, { token_policies: 'maker' })
  await change(server, auth.entity_id, { policies: ['team'] })
  const answer = await server.ask('POST', 'auth/token/create', {
    token: auth.client_token,
    body: { policies: ['team'] },
  })
  assert.deepEqual([answer.status, answer.errors], [400, ['child policies must be subset of parent']])
})

test('identity: root among the policies of an entity counts for nothing', async () => {
  await using server = await open()
  const { auth } = await login(server)
  for (const root of ['root', 'Root', ' root ']) {
    await change(server, auth.entity_id, { policies: [root] })
    assert.equal((await server.ask('GET', 'sys/mounts', { token: auth.client_token })).status, 403, root)
    assert.equal((await server.ask('PUT', 'sys/seal', { token: auth.client_token })).status, 403, root)
    const child = await server.ask('POST', 'auth/token/create', {
      token: auth.client_token,
      body: { policies: ['root'] },
    })
    assert.equal(child.status, 403, root)
  }
})

test('identity: a disabled entity shuts its tokens out and gets no new ones', async () => {
  await using server = await open()
  const { auth } = await login(server)
  await change(server, auth.entity_id, { isDisabled: true })
  const used = await server.ask('GET', 'auth/token/lookup-self', { token: auth.client_token })
  assert.deepEqual([used.status, used.errors], [403, ['permission denied']])
  const { status, errors, text } = await login(server)
  assert.deepEqual([status, errors], [403, ['permission denied']])
  assert.doesNotMatch(text, /hvs\./)
  await change(server, auth.entity_id, { isDisabled: false })
  assert.equal((await server.ask('GET', 'auth/token/lookup-self', { token: auth.client_token })).status, 200)
})

test('identity: one name through two mounts is two entities, and no name is another in other letters', async () => {
  await using server = await open()
  await server.ask('POST', 'sys/auth/second', { body: { type: 'doorman' } })
  const first = await login(server)
  const second = await server.ask('POST', 'auth/second/login', { token: null, body: { name: 'bob' } })
  assert.notEqual((second.body as unknown as { auth: Auth }).auth.entity_id, first.auth.entity_id)
  const ids = new Set([first.auth.entity_id])
  for (const name of ['Bob', ' bob', 'bob ', 'bob/', 'b\u00f6b', 'bo\u0301b', '../bob'])
    ids.add((await login(server, { name })).auth.entity_id)
  assert.equal(ids.size, 8)
})

test('identity: metadata of the alias is what the last login brought, and fills in templates', async () => {
  await using server = await open()
  await server.ask('POST', 'sys/mounts/notebook', { body: { type: 'notebook' } })
  const { accessor } = (await server.ask('GET', 'sys/auth/doorman')).data as { accessor: string }
  const rules = `path "notebook/note/{{identity.entity.aliases.${accessor}.name}}" { capabilities = ["create", "update"] }`
  await server.ask('PUT', 'sys/policies/acl/own', { body: { policy: rules } })
  for (const [name, path, status] of [
    ['bob', 'bob', 204],
    ['bob', 'eve', 403],
    ['eve', 'eve', 204],
    ['*', 'eve', 403],
    ['+', 'eve', 403],
    ['e*', 'eve', 403],
  ] as const) {
    const { auth } = await login(server, { name, token_policies: 'own' })
    const answer = await server.ask('POST', `notebook/note/${path}`, { token: auth.client_token, body: { text: 'x' } })
    assert.equal(answer.status, status, `${name} on ${path}`)
  }
})

test('identity: entity and alias are there again after a restart', async () => {
  await using server = await open()
  const { auth } = await login(server)
  await server.restart()
  assert.equal((await login(server)).auth.entity_id, auth.entity_id)
})

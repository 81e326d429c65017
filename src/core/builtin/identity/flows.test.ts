import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessorOf, ask, type Body, login, make, openIdentityLab, read } from './identity.lab.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

test('identity entity: creating answers 200 with what there is, updating 204; each way to name it finds it', async () => {
  await using server = await openIdentityLab()
  const made = await server.ask('POST', 'identity/entity', { body: { name: 'Bob', policies: ['b', 'A', 'b'] } })
  const { id } = made.data as { id: string }
  assert.match(id, uuid)
  assert.deepEqual([made.status, made.data], [200, { id, name: 'Bob', aliases: null }])
  for (const [path, body] of [
    ['entity', { id, metadata: { a: 'b' } }],
    ['entity', { name: 'bob', disabled: true }],
    [`entity/id/${id}`, { name: 'robert' }],
    ['entity/name/ROBERT', { policies: 'c' }],
  ] as const) {
    const { status, text } = await server.ask('POST', `identity/${path}`, { body })
    assert.deepEqual([status, text], [204, ''], path)
  }
  const shown = await read(server, 'entity/name/robert')
  const { creation_time: born, last_update_time: changed, ...rest } = shown
  assert.match(born as string, /^20.*Z$/)
  assert.match(changed as string, /^20.*Z$/)
  assert.deepEqual(rest, {
    id,
    name: 'ROBERT',
    metadata: { a: 'b' },
    policies: ['c'],
    disabled: true,
    merged_entity_ids: null,
    namespace_id: 'root',
    aliases: [],
    mfa_secrets: {},
    direct_group_ids: [],
    inherited_group_ids: [],
    group_ids: [],
  })
  assert.deepEqual(await read(server, `entity/id/${id}`), shown)
  assert.equal((await server.ask('GET', 'identity/entity/name/Bob')).status, 404, 'the old name is free')
  const second = await server.ask('POST', 'identity/entity/name/a/b c', {})
  assert.equal((second.data as Body)['name'], 'a/b c', 'a name may have slashes and blanks')
  assert.match((await ask(server, 'POST', 'entity'))['name'] as string, /^entity_[0-9a-z]+$/)
})

test('identity entity: a read without policies shows a list, and metadata null', async () => {
  await using server = await openIdentityLab()
  const id = await make(server, 'entity')
  assert.partialDeepStrictEqual(await read(server, `entity/id/${id}`), { policies: [], metadata: null })
})

test('identity: lists show ids or names in order, what each is, and go on after one', async () => {
  await using server = await openIdentityLab()
  const { entity_id: id } = await login(server, 'bob')
  await ask(server, 'POST', `entity/id/${id}`, { name: 'mid' })
  for (const name of ['Zoe', 'anna']) await make(server, 'entity', { name })
  const list = async (path: string): Promise<{ keys: string[]; key_info: Record<string, Body> }> =>
    (await server.ask('LIST', `identity/${path}`)).data as never
  assert.deepEqual((await list('entity/name')).keys, ['anna', 'mid', 'Zoe'])
  assert.deepEqual((await list('entity/name?after=anna&limit=1')).keys, ['mid'])
  const { keys, key_info: info } = await list('entity/id')
  assert.deepEqual(keys, [...keys].sort())
  assert.deepEqual((await list(`entity/id?after=${keys[0]}`)).keys, keys.slice(1))
  assert.equal(keys.length, 3)
  const mount = { mount_accessor: await accessorOf(server), mount_type: 'doorman', mount_path: 'auth/doorman/' }
  assert.partialDeepStrictEqual(info[id], { name: 'mid', aliases: [{ name: 'bob', ...mount }] } as object)
  const group = await make(server, 'group', { name: 'g', type: 'external' })
  const alias = await make(server, 'group-alias', {
    name: 'x',
    mount_accessor: await accessorOf(server),
    canonical_id: group,
  })
  assert.deepEqual((await list('group/name')).keys, ['g'])
  assert.partialDeepStrictEqual((await list('group/id')).key_info[group], {
    name: 'g',
    num_member_entities: 0,
    num_parent_groups: 0,
    alias: { id: alias, name: 'x', ...mount },
  } as object)
  assert.partialDeepStrictEqual(await list('group-alias/id'), {
    keys: [alias],
    key_info: { [alias]: { canonical_id: group, name: 'x', ...mount } },
  } as object)
  for (const path of ['entity-alias/id', 'alias/id', 'persona/id']) {
    const [one] = (await list(path)).keys
    assert.partialDeepStrictEqual((await list(path)).key_info[one!], {
      canonical_id: id,
      name: 'bob',
      metadata: { who: 'bob' },
      custom_metadata: null,
      local: false,
      ...mount,
    } as object)
  }
})

test('identity: a list of nothing is 404', async () => {
  await using server = await openIdentityLab()
  for (const path of ['entity/id', 'entity/name', 'entity-alias/id', 'group/id', 'group/name', 'group-alias/id']) {
    const { status, errors } = await server.ask('GET', `identity/${path}?list=true`)
    assert.deepEqual([status, errors], [404, []], path)
  }
})

test('identity alias: made with a new entity or one that is there, read, moved, renamed and deleted', async () => {
  await using server = await openIdentityLab()
  const mount_accessor = await accessorOf(server)
  const made = await ask(server, 'POST', 'entity-alias', { name: 'bob', mount_accessor, custom_metadata: { a: 'b' } })
  const { id, canonical_id: first } = made as { id: string; canonical_id: string }
  assert.equal((await login(server, 'bob')).entity_id, first, 'who logs in under it is the entity')
  const { creation_time: born, last_update_time: changed, ...rest } = await read(server, `entity-alias/id/${id}`)
  assert.deepEqual([typeof born, typeof changed], ['string', 'string'])
  assert.deepEqual(rest, {
    id,
    canonical_id: first,
    mount_accessor,
    mount_type: 'doorman',
    mount_path: 'auth/doorman/',
    name: 'bob',
    metadata: { who: 'bob' },
    custom_metadata: { a: 'b' },
    merged_from_canonical_ids: null,
    local: false,
    namespace_id: 'root',
  })
  const other = await make(server, 'entity')
  const moved = await ask(server, 'POST', `entity-alias/id/${id}`, { canonical_id: other, name: 'rob' })
  assert.deepEqual(moved, { id, canonical_id: other })
  assert.equal((await login(server, 'rob')).entity_id, other)
  assert.deepEqual((await read(server, `entity/id/${first}`))['aliases'], [])
  assert.partialDeepStrictEqual(await read(server, `entity-alias/id/${id}`), { custom_metadata: { a: 'b' } })
  // Named by its factors, and without custom metadata: it has none any more.
  await ask(server, 'POST', 'entity-alias', { name: 'rob', mount_accessor })
  assert.partialDeepStrictEqual(await read(server, `entity-alias/id/${id}`), { custom_metadata: null })
  await ask(server, 'DELETE', `entity-alias/id/${id}`)
  assert.notEqual((await login(server, 'rob')).entity_id, other)
  assert.equal((await server.ask('GET', `identity/entity-alias/id/${id}`)).status, 404)
})

test('identity merge: of two aliases of one mount, the one that is kept stays', async () => {
  for (const kept of ['theirs', 'ours'] as const) {
    await using server = await openIdentityLab()
    const [bob, eve] = [(await login(server, 'bob')).entity_id, (await login(server, 'eve')).entity_id]
    const aliasOf = async (id: string) =>
      ((await read(server, `entity/id/${id}`))['aliases'] as { id: string }[])[0]!.id
    const keep = await aliasOf(kept === 'ours' ? bob : eve)
    const body = { to_entity_id: bob, from_entity_ids: eve, conflicting_alias_ids_to_keep: keep }
    await ask(server, 'POST', 'entity/merge', body)
    assert.equal(await aliasOf(bob), keep)
    assert.equal((await login(server, kept === 'ours' ? 'bob' : 'eve')).entity_id, bob)
    assert.notEqual((await login(server, kept === 'ours' ? 'eve' : 'bob')).entity_id, bob)
    assert.equal((await server.ask('GET', `identity/entity/id/${eve}`)).status, 404)
  }
})

test('identity group: members from both sides, in groups too, and after a deletion', async () => {
  await using server = await openIdentityLab()
  const [bob, eve] = [await make(server, 'entity'), await make(server, 'entity')]
  const made = await server.ask('POST', 'identity/group', {
    body: { name: 'Inner', member_entity_ids: [bob, eve, bob] },
  })
  const inner = (made.data as { id: string }).id
  assert.deepEqual([made.status, made.data], [200, { id: inner, name: 'Inner' }])
  const outer = await make(server, 'group/name/outer', { member_group_ids: [inner], policies: ['b', 'A', ' b'] })
  const { creation_time: born, last_update_time: changed, ...rest } = await read(server, 'group/name/outer')
  assert.deepEqual([typeof born, typeof changed], ['string', 'string'])
  assert.deepEqual(rest, {
    id: outer,
    name: 'outer',
    type: 'internal',
    policies: ['a', 'b'],
    metadata: null,
    member_entity_ids: null,
    member_group_ids: [inner],
    parent_group_ids: null,
    alias: {},
    namespace_id: 'root',
    modify_index: 1,
  })
  assert.partialDeepStrictEqual(await read(server, `group/id/${inner}`), {
    member_entity_ids: [bob, eve].sort(),
    parent_group_ids: [outer],
  } as object)
  assert.partialDeepStrictEqual(await read(server, `entity/id/${bob}`), {
    direct_group_ids: [inner],
    inherited_group_ids: [outer],
    group_ids: [inner, outer],
  } as object)
  await ask(server, 'POST', `group/id/${inner}`, { metadata: { a: 'b' } })
  assert.partialDeepStrictEqual(await read(server, `group/id/${inner}`), {
    modify_index: 2,
    parent_group_ids: [outer],
  } as object)
  await ask(server, 'DELETE', `entity/id/${eve}`)
  assert.deepEqual((await read(server, `group/id/${inner}`))['member_entity_ids'], [bob])
  await ask(server, 'DELETE', `group/name/outer`)
  assert.deepEqual((await read(server, `group/id/${inner}`))['parent_group_ids'], null)
  assert.deepEqual((await read(server, `entity/id/${bob}`))['group_ids'], [inner])
})

test('identity group alias: made with a new group, moved to another, read and deleted', async () => {
  await using server = await openIdentityLab()
  const mount_accessor = await accessorOf(server)
  const made = (await ask(server, 'POST', 'group-alias', { name: 'ops', mount_accessor })) as {
    id: string
    canonical_id: string
  }
  assert.partialDeepStrictEqual(await read(server, `group/id/${made.canonical_id}`), {
    type: 'external',
    alias: { id: made.id, name: 'ops', canonical_id: made.canonical_id, mount_path: 'auth/doorman/' },
  } as object)
  const other = await make(server, 'group', { type: 'external' })
  const body = { name: 'ops', mount_accessor, canonical_id: other }
  assert.deepEqual(await ask(server, 'POST', `group-alias/id/${made.id}`, body), { id: made.id, canonical_id: other })
  assert.deepEqual((await read(server, `group/id/${made.canonical_id}`))['alias'], {})
  assert.partialDeepStrictEqual(await read(server, `group-alias/id/${made.id}`), { canonical_id: other, name: 'ops' })
  await ask(server, 'DELETE', `group-alias/id/${made.id}`)
  assert.equal((await server.ask('GET', `identity/group-alias/id/${made.id}`)).status, 404)
  const again = await ask(server, 'POST', 'group-alias', { ...body })
  assert.equal(again['canonical_id'], other, 'the name is free again')
})

test('identity lookup: by id, name, alias and its factors shows what a read shows', async () => {
  await using server = await openIdentityLab()
  const mount_accessor = await accessorOf(server)
  const { entity_id: id } = await login(server, 'bob')
  const entity = await read(server, `entity/id/${id}`)
  const alias = (entity['aliases'] as { id: string }[])[0]!.id
  const tied = (await ask(server, 'POST', 'group-alias', { name: 'ops', mount_accessor })) as {
    id: string
    canonical_id: string
  }
  const group = await read(server, `group/id/${tied.canonical_id}`)
  for (const [what, shown, aliasId, aliasName] of [
    ['entity', entity, alias, 'bob'],
    ['group', group, tied.id, 'ops'],
  ] as const) {
    for (const body of [
      { id: shown['id']! },
      { name: shown['name']! },
      { alias_id: aliasId },
      { alias_name: aliasName, alias_mount_accessor: mount_accessor },
    ]) {
      assert.deepEqual(await ask(server, 'POST', `lookup/${what}`, body), shown, JSON.stringify(body))
    }
  }
})

test('identity: the default policy lets a token read its own entity, and no other', async () => {
  await using server = await openIdentityLab()
  const { client_token: token, entity_id: id } = await login(server, 'bob')
  const name = (await read(server, `entity/id/${id}`))['name'] as string
  const other = await make(server, 'entity', { name: 'other' })
  const status = async (path: string): Promise<number> =>
    (await server.ask('GET', `identity/${path}`, { token })).status
  assert.equal(await status(`entity/id/${id}`), 200)
  assert.equal(await status(`entity/name/${name}`), 200)
  assert.equal(await status(`entity/id/${other}`), 403)
  assert.equal((await server.ask('POST', `identity/entity/id/${id}`, { token, body: { policies: 'x' } })).status, 403)
})

test("identity: the mount is the server's own, and shown as Vault shows it", async () => {
  await using server = await openIdentityLab()
  const { data } = await server.ask('GET', 'sys/mounts/identity')
  assert.partialDeepStrictEqual(data, { type: 'identity', description: 'identity store', local: false } as object)
  for (const [method, path] of [
    ['DELETE', 'sys/mounts/identity'],
    ['POST', 'sys/mounts/identity/x'],
  ] as const) {
    assert.equal((await server.ask(method, path, { body: { type: 'notebook' } })).status, 400, path)
  }
})

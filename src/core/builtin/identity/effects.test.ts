import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import type { Doorkeeper } from '#core/testing/engines.ts'
import { accessorOf, ask, login, make, openIdentityLab, policiesOf, read } from './identity.lab.ts'

test('identity: policies of groups, at any height, are those of a token in use from its next request on', async () => {
  await using server = await openIdentityLab()
  const auth = await login(server, 'bob')
  assert.deepEqual(await policiesOf(server, auth), [])
  const inner = await make(server, 'group', { name: 'inner', policies: 'one', member_entity_ids: auth.entity_id })
  assert.deepEqual(await policiesOf(server, auth), ['one'])
  const outer = await make(server, 'group', { name: 'outer', policies: ['Two ', 'one'], member_group_ids: inner })
  assert.deepEqual(await policiesOf(server, auth), ['one', 'two'])
  await make(server, 'group', { name: 'top', policies: 'three', member_group_ids: outer })
  assert.deepEqual(await policiesOf(server, auth), ['one', 'three', 'two'])
  await ask(server, 'POST', `group/id/${outer}`, { policies: ['four'] })
  assert.deepEqual(await policiesOf(server, auth), ['four', 'one', 'three'])
  const again = await login(server, 'bob')
  assert.deepEqual(again.identity_policies, ['four', 'one', 'three'])
  assert.deepEqual([again.token_policies, again.policies], [['default'], ['default', 'four', 'one', 'three']])
  await ask(server, 'POST', `group/id/${outer}`, { member_group_ids: [] })
  assert.deepEqual(await policiesOf(server, auth), ['one'])
  await ask(server, 'DELETE', `group/id/${inner}`)
  assert.deepEqual(await policiesOf(server, auth), [])
})

test('identity: what a group grants is granted, and refused from the moment that one has left it', async () => {
  await using server = await openIdentityLab()
  const { client_token: token, entity_id: id } = await login(server, 'bob')
  await server.ask('PUT', 'sys/policies/acl/look', {
    body: { policy: 'path "sys/mounts" { capabilities = ["read"] }' },
  })
  const look = async (): Promise<number> => (await server.ask('GET', 'sys/mounts', { token })).status
  const group = await make(server, 'group', { policies: 'look' })
  assert.equal(await look(), 403)
  await ask(server, 'POST', `group/id/${group}`, { member_entity_ids: [id] })
  assert.equal(await look(), 200)
  await ask(server, 'POST', `group/id/${group}`, { member_entity_ids: [] })
  assert.equal(await look(), 403)
})

test('identity: who is in an external group is what the last login and renewal said', async () => {
  const keeper: Doorkeeper = { renewal: 'unchanged' }
  await using server = await openIdentityLab(keeper)
  const mount_accessor = await accessorOf(server)
  for (const name of ['ops', 'dev']) {
    const canonical_id = await make(server, 'group', { name: `ext-${name}`, type: 'external', policies: `as-${name}` })
    await make(server, 'group-alias', { name, mount_accessor, canonical_id })
  }
  const auth = await login(server, 'bob', { groups: 'ops,nobody-knows-it,ops' })
  assert.deepEqual(auth.identity_policies, ['as-ops'], 'at the first login')
  const later = await login(server, 'bob', { groups: 'ops,dev,dev,' })
  assert.deepEqual(later.identity_policies, ['as-dev', 'as-ops'], 'added')
  assert.deepEqual(await policiesOf(server, auth), ['as-dev', 'as-ops'], 'the older token has it, too')
  await login(server, 'bob', { groups: 'dev' })
  assert.deepEqual(await policiesOf(server, auth), ['as-dev'], 'removed')
  const renew = async (): Promise<void> => {
    const { status } = await server.ask('POST', 'auth/token/renew-self', { token: auth.client_token })
    assert.equal(status, 200)
  }
  await renew()
  assert.deepEqual(await policiesOf(server, auth), ['as-dev'], 'a renewal that says nothing changes nothing')
  const granted = { ttl: seconds(60), maxTtl: seconds(0) }
  keeper.renewal = { ...granted, groupAliases: [{ name: 'ops', metadata: {} }] }
  await renew()
  assert.deepEqual(await policiesOf(server, auth), ['as-ops'], 'a renewal adds and removes')
  keeper.renewal = { ...granted, groupAliases: [] }
  await renew()
  assert.deepEqual(await policiesOf(server, auth), [])
})

test('identity: a login through one mount leaves the external groups of another alone', async () => {
  await using server = await openIdentityLab()
  await server.ask('POST', 'sys/auth/second', { body: { type: 'doorman' } })
  const group = await make(server, 'group', { name: 'ops', type: 'external', policies: 'as-ops' })
  await make(server, 'group-alias', { name: 'ops', mount_accessor: await accessorOf(server), canonical_id: group })
  const auth = await login(server, 'bob', { groups: 'ops' })
  const mount_accessor = await accessorOf(server, 'second')
  await make(server, 'entity-alias', { name: 'bob', mount_accessor, canonical_id: auth.entity_id })
  const other = await login(server, 'bob', { groups: 'ops' }, 'second')
  assert.equal(other.entity_id, auth.entity_id)
  assert.deepEqual(await policiesOf(server, auth), ['as-ops'])
  await login(server, 'bob')
  assert.deepEqual(await policiesOf(server, auth), [])
})

test('identity: an internal group and an alias that is gone: a login takes nobody out of the one, and out of the other', async () => {
  await using server = await openIdentityLab()
  const group = await make(server, 'group', { name: 'ops', type: 'external', policies: 'as-ops' })
  const alias = await make(server, 'group-alias', {
    name: 'ops',
    mount_accessor: await accessorOf(server),
    canonical_id: group,
  })
  const auth = await login(server, 'bob', { groups: 'ops' })
  await make(server, 'group', { policies: 'inside', member_entity_ids: auth.entity_id })
  await ask(server, 'DELETE', `group-alias/id/${alias}`)
  assert.deepEqual(await policiesOf(server, auth), ['as-ops', 'inside'])
  assert.deepEqual((await login(server, 'bob', { groups: 'ops' })).identity_policies, ['inside'])
})

test('identity: a token of an entity that is deleted is good for nothing, and who logs in next is somebody new', async () => {
  await using server = await openIdentityLab()
  const auth = await login(server, 'bob')
  const child = await server.ask('POST', 'auth/token/create', { body: { policies: ['default'] } })
  assert.equal(child.status, 200)
  await ask(server, 'DELETE', `entity/id/${auth.entity_id}`)
  const used = await server.ask('GET', 'auth/token/lookup-self', { token: auth.client_token })
  assert.deepEqual([used.status, used.errors], [403, ['1 error occurred:\n\t* permission denied\n\n']])
  assert.equal((await server.ask('POST', 'auth/token/renew-self', { token: auth.client_token })).status, 403)
  assert.notEqual((await login(server, 'bob')).entity_id, auth.entity_id)
  await server.restart()
  assert.equal(await policiesOf(server, auth), null)
})

test('identity: tokens of merged entities are those of the one that is left, with its groups and theirs', async () => {
  await using server = await openIdentityLab()
  await server.ask('POST', 'sys/auth/second', { body: { type: 'doorman' } })
  const [bob, eve] = [await login(server, 'bob'), await login(server, 'eve', {}, 'second')]
  await ask(server, 'POST', `entity/id/${bob.entity_id}`, { policies: 'of-bob' })
  await ask(server, 'POST', `entity/id/${eve.entity_id}`, { policies: 'of-eve', metadata: { who: 'eve' } })
  await make(server, 'group', { policies: 'group-of-eve', member_entity_ids: eve.entity_id })
  await ask(server, 'POST', 'entity/merge', { to_entity_id: bob.entity_id, from_entity_ids: eve.entity_id })
  for (const round of ['at once', 'after a restart']) {
    assert.deepEqual(await policiesOf(server, bob), ['group-of-eve', 'of-bob'], round)
    assert.deepEqual(await policiesOf(server, eve), ['group-of-eve', 'of-bob'], `${round}: policies are not merged`)
    assert.equal((await login(server, 'eve', {}, 'second')).entity_id, bob.entity_id)
    await server.restart()
  }
  const merged = await read(server, `entity/id/${bob.entity_id}`)
  assert.partialDeepStrictEqual(merged, {
    merged_entity_ids: [eve.entity_id],
    metadata: null,
    aliases: [{ name: 'bob' }, { name: 'eve', merged_from_canonical_ids: [eve.entity_id] }],
  })
  // Merged on: tokens of the first still find the last.
  const last = await make(server, 'entity', { policies: 'of-last' })
  await ask(server, 'POST', 'entity/merge', { to_entity_id: last, from_entity_ids: bob.entity_id })
  assert.deepEqual(await policiesOf(server, eve), ['group-of-eve', 'of-last'])
  await ask(server, 'DELETE', `entity/id/${last}`)
  assert.equal(await policiesOf(server, eve), null)
})

test('identity: entity, alias and group values fill in policy templates, and follow what is written', async () => {
  await using server = await openIdentityLab()
  await server.ask('POST', 'sys/mounts/notebook', { body: { type: 'notebook' } })
  const accessor = await accessorOf(server)
  const { client_token: token, entity_id: id } = await login(server, 'bob', { token_policies: 'own' })
  const group = await make(server, 'group', { name: 'team', metadata: { site: 'berne' }, member_entity_ids: id })
  await ask(server, 'POST', `entity/id/${id}`, { name: 'robert', metadata: { floor: 'third' } })
  const alias = ((await read(server, `entity/id/${id}`))['aliases'] as { id: string }[])[0]!.id
  await ask(server, 'POST', `entity-alias/id/${alias}`, { custom_metadata: { cost: 'c42' } })
  for (const [template, value] of [
    ['identity.entity.id', id],
    ['identity.entity.name', 'robert'],
    ['identity.entity.metadata.floor', 'third'],
    [`identity.entity.aliases.${accessor}.id`, alias],
    [`identity.entity.aliases.${accessor}.name`, 'bob'],
    [`identity.entity.aliases.${accessor}.metadata.who`, 'bob'],
    [`identity.entity.aliases.${accessor}.custom_metadata.cost`, 'c42'],
    [`identity.groups.ids.${group}.name`, 'team'],
    ['identity.groups.names.team.id', group],
    ['identity.groups.names.team.metadata.site', 'berne'],
  ] as const) {
    const policy = `path "notebook/note/{{${template}}}" { capabilities = ["create", "update"] }`
    await server.ask('PUT', 'sys/policies/acl/own', { body: { policy } })
    const write = async (note: string): Promise<number> =>
      (await server.ask('POST', `notebook/note/${note}`, { token, body: { text: 'x' } })).status
    assert.deepEqual([await write(value), await write('other')], [204, 403], template)
  }
  await ask(server, 'POST', `group/id/${group}`, { metadata: { site: 'basle' } })
  const changed = await server.ask('POST', 'notebook/note/basle', { token, body: { text: 'x' } })
  assert.equal(changed.status, 204, 'a change counts for a token in use')
  await ask(server, 'DELETE', `group/id/${group}`)
  const left = await server.ask('POST', 'notebook/note/basle', { token, body: { text: 'x' } })
  assert.equal(left.status, 403, 'a group that is gone fills in nothing')
})

test('identity: root among the policies of a group counts for nothing', async () => {
  await using server = await openIdentityLab()
  const auth = await login(server, 'bob')
  for (const root of ['root', 'ROOT', ' Root ', 'default,root']) {
    for (const path of ['entity', 'group', `entity/id/${auth.entity_id}`]) {
      const { status, errors } = await server.ask('POST', `identity/${path}`, { body: { policies: root } })
      assert.deepEqual([status, errors], [400, ['policies cannot contain root']], `${path} ${root}`)
    }
  }
})

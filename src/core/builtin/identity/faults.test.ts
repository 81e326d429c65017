import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#ground/base/clock.ts'
import { simWorld } from '#ground/base/world.ts'
import type { Json } from '#ground/text/json.ts'
import { faultyStore } from '#stores/faulty/faulty.ts'
import { openLaggingStore } from '#stores/lagging/lagging.ts'
import { type MemoryMedium, openMemoryStore } from '#stores/memory/memory.ts'
import { defaultLimits } from '#stores/store.ts'
import type { TestServer } from '#core/testing/mount.ts'
import {
  accessorOf,
  ask,
  type Auth,
  type Body,
  login,
  make,
  openIdentityLab,
  policiesOf,
  read,
} from './identity.lab.ts'

/** A server whose store can be made to fail at the n-th commit from now on. */
async function openBreakable() {
  let at = 0
  let commits = (): number => 0
  const store = (medium: MemoryMedium) => {
    const isToFail = at > 0
    const made = faultyStore(openMemoryStore({ medium }), {
      call: 'commit',
      at: isToFail ? at : 1_000_000,
      isApplied: false,
    })
    at = 0
    commits = () => made.commits
    return made
  }
  const server = await openIdentityLab(undefined, { store })
  return {
    server,
    commits: () => commits(),
    async failFrom(number: number): Promise<void> {
      at = number
      await server.restart()
    },
  }
}

const manyNames = (number: number): string[] => Array.from({ length: number }, (_, i) => `m${i}`)

async function entitiesOf(server: TestServer, number: number): Promise<string[]> {
  return Promise.all(manyNames(number).map(name => make(server, 'entity', { name })))
}

/** Changes of several commits; what there is after each is the same whatever was cut short. */
const changes: readonly (readonly [
  what: string,
  prepare: (server: TestServer) => Promise<{ path: string; body: Body; method?: string; check: Json }>,
  show: (server: TestServer) => Promise<Json>,
])[] = [
  [
    'a group with many members',
    async server => {
      const ids = await entitiesOf(server, 120)
      await make(server, 'group', { name: 'g', policies: 'old', member_entity_ids: ids.slice(0, 60) })
      const body = { policies: 'new', member_entity_ids: ids.slice(50) }
      return { path: 'group/name/g', body, check: { policies: ['new'], members: ids.slice(50).sort() } }
    },
    async server => {
      const group = await read(server, 'group/name/g')
      return { policies: group['policies']!, members: group['member_entity_ids']! }
    },
  ],
  [
    'a group that is deleted',
    async server => {
      const ids = await entitiesOf(server, 70)
      await make(server, 'group', { name: 'g', member_entity_ids: ids })
      return { path: 'group/name/g', body: {}, method: 'DELETE', check: { status: 404, groups: [] } }
    },
    async server => ({
      status: (await server.ask('GET', 'identity/group/name/g')).status,
      groups: (await read(server, 'entity/name/m69'))['group_ids']!,
    }),
  ],
  [
    'entities that are merged',
    async server => {
      const to = await make(server, 'entity', { name: 'to' })
      const from = await entitiesOf(server, 3)
      for (const id of from) await make(server, 'group', { name: `of-${id}`, member_entity_ids: id })
      return {
        path: 'entity/merge',
        body: { to_entity_id: to, from_entity_ids: from },
        check: { groups: 3, merged: from },
      }
    },
    async server => {
      const to = await read(server, 'entity/name/to')
      return { groups: (to['direct_group_ids'] as Json[]).length, merged: to['merged_entity_ids']! }
    },
  ],
  [
    'an entity that is deleted',
    async server => {
      const [id] = await entitiesOf(server, 1)
      for (let i = 0; i < 70; i++) await make(server, 'group', { name: `g${i}`, member_entity_ids: id! })
      return { path: `entity/id/${id}`, body: {}, method: 'DELETE', check: { members: null, status: 404 } }
    },
    async server => ({
      members: (await read(server, 'group/name/g69'))['member_entity_ids'] ?? null,
      status: (await server.ask('GET', 'identity/entity/name/m0')).status,
    }),
  ],
]
for (const [what, prepare, show] of changes) {
  test(`identity: ${what}: a store that fails at any of the commits leaves all of it, or nothing`, async () => {
    // The first failure that comes after the change's end ends the search.
    for (let n = 1; ; n++) {
      const lab = await openBreakable()
      await using server = lab.server
      const { path, body, method = 'POST', check } = await prepare(server)
      const before = await show(server).catch(() => null)
      await lab.failFrom(10_000)
      const start = lab.commits()
      await lab.failFrom(start + n)
      const { status } = await server.ask(method, `identity/${path}`, { body })
      await server.restart()
      const after = await show(server)
      if (status === 204) {
        assert.deepEqual(after, check)
        assert.ok(n > 1, 'it takes a commit')
        return
      }
      if (n === 1) assert.deepEqual(after, before, 'nothing was written')
      else assert.deepEqual(after, check, `cut short at commit ${n}`)
    }
  })
}

test('identity: of two that make one name at once, one makes it, and the other changes it', async () => {
  await using server = await openIdentityLab()
  for (const [kind, name] of [
    ['entity', 'Twin'],
    ['group', 'twin'],
  ] as const) {
    const answers = await Promise.all(
      [name, name.toUpperCase(), name.toLowerCase()].map(one =>
        server.ask('POST', `identity/${kind}`, { body: { name: one, metadata: { by: one } } }),
      ),
    )
    assert.deepEqual(
      answers.map(answer => answer.status).sort((a, b) => a - b),
      [200, 204, 204],
      kind,
    )
    assert.equal(((await server.ask('LIST', `identity/${kind}/name`)).data as { keys: string[] }).keys.length, 1)
  }
})

test('identity: of two that make one alias at once, or log in under it meanwhile, there is one entity', async () => {
  await using server = await openIdentityLab()
  const mount_accessor = await accessorOf(server)
  const made = await Promise.all([
    ask(server, 'POST', 'entity-alias', { name: 'bob', mount_accessor }),
    login(server, 'bob'),
    ask(server, 'POST', 'entity-alias', { name: 'bob', mount_accessor, custom_metadata: { a: 'b' } }),
    login(server, 'bob'),
  ])
  const ids = made.map(one => ('entity_id' in one ? one.entity_id : (one as Body)['canonical_id'])).filter(Boolean)
  assert.equal(new Set(ids).size, 1)
  assert.equal(((await server.ask('LIST', 'identity/entity/id')).data as { keys: string[] }).keys.length, 1)
})

test('identity: what a login writes and what an operator writes at once are both kept', async () => {
  await using server = await openIdentityLab()
  const mount_accessor = await accessorOf(server)
  // The first login brings metadata, which it writes with its token; the operator comes at each turn of it.
  for (let turns = 0; turns < 60; turns++) {
    const name = `bob-${turns}`
    const id = (await ask(server, 'POST', 'entity-alias', { name, mount_accessor }))['canonical_id'] as string
    const logging = login(server, name)
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    const [auth] = await Promise.all([logging, ask(server, 'POST', `entity/id/${id}`, { policies: 'team' })])
    assert.partialDeepStrictEqual(
      await read(server, `entity/id/${id}`),
      { policies: ['team'], aliases: [{ metadata: { who: name } }] } as object,
      `after ${turns} turns`,
    )
    assert.deepEqual(await policiesOf(server, auth), ['team'])
  }
})

test('identity: logins and a deletion of their entity at once leave no token that works without one', async () => {
  await using server = await openIdentityLab()
  const first = await login(server, 'bob')
  const [, ...auths] = await Promise.all([
    ask(server, 'DELETE', `entity/id/${first.entity_id}`),
    login(server, 'bob'),
    login(server, 'bob'),
  ] as [Promise<Body>, Promise<Auth>, Promise<Auth>])
  for (const auth of auths) {
    const isNew = auth.entity_id !== first.entity_id
    assert.equal((await policiesOf(server, auth)) !== null, isNew)
  }
})

test('identity: members that come to one group at once are all in it', async () => {
  await using server = await openIdentityLab()
  const mount_accessor = await accessorOf(server)
  const names = manyNames(40)
  for (const group of ['one', 'two']) {
    const canonical_id = await make(server, 'group', { name: group, type: 'external' })
    await make(server, 'group-alias', { name: group, mount_accessor, canonical_id })
  }
  await Promise.all(names.flatMap(name => ['one', 'one,two'].map(groups => login(server, name, { groups }))))
  for (const name of names) await login(server, name, { groups: 'one,two' })
  for (const group of ['one', 'two']) {
    assert.equal(((await read(server, `group/name/${group}`))['member_entity_ids'] as Json[]).length, names.length)
  }
})

test('identity: all of it is there again after a restart', async () => {
  await using server = await openIdentityLab()
  const mount_accessor = await accessorOf(server)
  const auth = await login(server, 'bob', { groups: 'ops' })
  const canonical_id = await make(server, 'group', { name: 'ext', type: 'external', policies: 'as-ops' })
  await make(server, 'group-alias', { name: 'ops', mount_accessor, canonical_id })
  await make(server, 'group', { name: 'in', policies: 'inside', member_entity_ids: auth.entity_id })
  await login(server, 'bob', { groups: 'ops' })
  const shown = async (): Promise<Json> => [
    await read(server, `entity/id/${auth.entity_id}`),
    await read(server, 'group/name/ext'),
    await read(server, 'group/name/in'),
    await policiesOf(server, auth),
  ]
  const before = await shown()
  assert.deepEqual((before as Json[]).at(-1), ['as-ops', 'inside'])
  await server.restart()
  assert.deepEqual(await shown(), before)
})

test('identity: the same where the store answers late and nothing stays in memory', async () => {
  const clock = systemClock
  const store = (medium: MemoryMedium) =>
    openLaggingStore({
      world: { clock, entropy: simWorld({ seed: 1 }).entropy },
      medium,
      lagMsMax: 1,
      limits: defaultLimits,
    })
  await using server = await openIdentityLab(undefined, { store, settings: { cacheBytes: 1 } })
  const mount_accessor = await accessorOf(server)
  const canonical_id = await make(server, 'group', { name: 'ext', type: 'external', policies: 'as-ops' })
  await make(server, 'group-alias', { name: 'ops', mount_accessor, canonical_id })
  const [auth] = await Promise.all(['ops', 'ops', ''].map(groups => login(server, 'bob', { groups })))
  await login(server, 'bob', { groups: 'ops' })
  const inner = await make(server, 'group', { policies: 'inner', member_entity_ids: auth!.entity_id })
  await make(server, 'group', { policies: 'outer', member_group_ids: inner })
  assert.deepEqual(await policiesOf(server, auth!), ['as-ops', 'inner', 'outer'])
  const other = await make(server, 'entity', { policies: 'other' })
  await ask(server, 'POST', 'entity/merge', { to_entity_id: other, from_entity_ids: auth!.entity_id })
  assert.deepEqual(await policiesOf(server, auth!), ['as-ops', 'inner', 'other', 'outer'])
  await Promise.all([ask(server, 'DELETE', `group/id/${inner}`), login(server, 'bob'), login(server, 'bob')])
  assert.deepEqual(await policiesOf(server, auth!), ['other'])
  await ask(server, 'DELETE', `entity/id/${other}`)
  assert.equal(await policiesOf(server, auth!), null)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics } from '#ground/base/metrics.ts'
import { simWorld } from '#ground/base/world.ts'
import { Keeper } from '#core/storage/keeper.ts'
import { openMemoryStore } from '#stores/memory/memory.ts'
import { decide } from './decide.ts'
import { AclCache, type Bearer } from './judge.ts'
import { PolicyShelf } from './shelf.ts'
import { nobody } from './template.ts'

function setUp() {
  const world = simWorld({ seed: 1 })
  const keeper = new Keeper({
    store: openMemoryStore(),
    barrier: { seal: (_key, plain) => plain, open: (_key, sealed) => sealed },
    fence: { term: 1 },
    world,
    metrics: new Metrics(world.clock),
    cacheBytes: 1_000_000,
    beforeCommit: () => undefined,
    onFailed: error => assert.fail(String(error)),
  })
  const shelf = new PolicyShelf(keeper, world, 'root/policy/')
  return { world, keeper, shelf, cache: new AclCache(shelf, world) }
}

const bearer = (policies: string[], more: Partial<Bearer> = {}): Bearer => ({
  policies,
  isRoot: false,
  subject: nobody,
  ...more,
})

async function reads(cache: AclCache, owner: Bearer, path: string): Promise<boolean> {
  const acl = await cache.aclOf(owner, () => owner)
  return decide(acl, { operation: 'read', path, namespacePath: '', values: null, wrapTtl: 0 }).allowed
}

const allow = (path: string): string => `path "${path}" { capabilities = ["read"] }`

test('policies: an edit holds from the next request of a token that is in use', async () => {
  const { shelf, cache } = setUp()
  const one = bearer(['app'])
  assert.equal(await reads(cache, one, 'a'), false)
  await shelf.put('app', allow('a'))
  assert.equal(await reads(cache, one, 'a'), true)
  await shelf.put('app', allow('b'))
  assert.equal(await reads(cache, one, 'a'), false)
  await shelf.remove('app')
  assert.equal(await reads(cache, one, 'b'), false)
})

test('policies: compiled rules are at once there, and shared by tokens with the same names', async () => {
  const { shelf, cache } = setUp()
  await shelf.put('app', allow('a'))
  const [one, two] = [bearer(['app']), bearer(['app'])]
  const acl = await cache.aclOf(one, () => one)
  assert.equal(
    cache.aclOf(two, () => two),
    acl,
  )
  assert.equal(
    cache.aclOf(one, () => assert.fail('compiled again')),
    acl,
  )
})

test('policies: templated rules are not shared', async () => {
  const { shelf, cache } = setUp()
  await shelf.put('own', allow('s/{{identity.entity.name}}'))
  const of = (name: string): Bearer =>
    bearer(['own'], { subject: { entity: { id: name, name, metadata: {}, aliases: [] }, groups: [] } })
  const [a, b] = [of('a'), of('b')]
  assert.deepEqual([await reads(cache, a, 's/a'), await reads(cache, b, 's/a')], [true, false])
  assert.deepEqual([await reads(cache, a, 's/b'), await reads(cache, b, 's/b')], [false, true])
})

test('policies: a block that expires while its token is in use stops counting', async () => {
  const { world, shelf, cache } = setUp()
  await shelf.put(
    'app',
    `path "a" { capabilities = ["read"] expiration = ${Math.floor(world.clock.now() / 1000) + 60} }`,
  )
  const one = bearer(['app'])
  assert.equal(await reads(cache, one, 'a'), true)
  await world.clock.advance(60_000)
  assert.equal(await reads(cache, one, 'a'), false)
})

test('policies: root from an identity counts for nothing, from the token for everything', async () => {
  const { shelf, cache } = setUp()
  await shelf.put('app', allow('a'))
  assert.equal(await reads(cache, bearer(['app', 'root']), 'sys/x'), false)
  assert.equal(await reads(cache, bearer(['root', 'app'], { isRoot: true }), 'sys/x'), true)
})

test('policies: lists are compared as a whole where that is asked for', async () => {
  const { world, shelf } = setUp()
  await shelf.put('app', 'path "a" { capabilities = ["update"] allowed_parameters = { "x" = ["1", "2"] } }')
  const one = bearer(['app'])
  for (const [matching, want] of [
    ['elements', true],
    ['whole', false],
  ] as const) {
    const acl = await new AclCache(shelf, world, undefined, matching).aclOf(one, () => one)
    const ask = { operation: 'update', path: 'a', namespacePath: '', values: { x: ['1', '2'] }, wrapTtl: 0 } as const
    assert.equal(decide(acl, ask).allowed, want)
  }
})

test('policies: names with slashes and blanks are kept, listed and found', async () => {
  const { shelf } = setUp()
  await shelf.ensureDefault()
  for (const name of ['team/app', 'a b', 'é', 'z']) await shelf.put(name, allow('x'))
  assert.deepEqual(await shelf.names(), ['a b', 'default', 'team/app', 'z', 'é'])
  assert.equal((await shelf.get('team/app'))?.version, 1)
  assert.equal(await shelf.get('root'), null)
})

test('policies: the default policy is written once, and what a user makes of it stays', async () => {
  const { shelf } = setUp()
  await shelf.ensureDefault()
  await shelf.put('default', allow('mine'))
  await shelf.ensureDefault()
  assert.equal((await shelf.get('default'))?.text, allow('mine'))
})

const refusals: readonly (readonly [rule: string, act: (shelf: PolicyShelf) => Promise<unknown>, text: RegExp])[] = [
  ['writing root', shelf => shelf.put('root', allow('x')), /^cannot update "root" policy$/],
  ['writing response-wrapping', shelf => shelf.put('response-wrapping', allow('x')), /^cannot update/],
  ['writing a name that is not normalised', shelf => shelf.put('Root', allow('x')), /^invalid policy name/],
  ['writing a name with dot segments', shelf => shelf.put('a/../root', allow('x')), /^invalid policy name/],
  ['writing a name that is too long', shelf => shelf.put('é'.repeat(400), allow('x')), /^invalid policy name/],
  ['writing text that is no policy', shelf => shelf.put('a', 'path {'), /^failed to parse policy: /],
  ['deleting root', shelf => shelf.remove('root'), /^cannot delete "root" policy$/],
  ['deleting default', shelf => shelf.remove('default'), /^cannot delete default policy$/],
]
for (const [rule, act, text] of refusals) {
  test(`policies: ${rule} is refused`, () =>
    assert.rejects(act(setUp().shelf), { name: 'Fault', code: 'request.invalid', message: text }))
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestServer } from '#core/testing/mount.ts'
import { accessorOf, type Body, make, openIdentityLab } from './identity.lab.ts'

/** What is there when a case is asked. */
type Known = Readonly<Record<string, string>>

async function furnish(server: TestServer): Promise<Known> {
  await server.ask('POST', 'sys/auth/second', { body: { type: 'doorman' } })
  await server.ask('POST', 'sys/auth/near', { body: { type: 'doorman', local: true } })
  const [first, second, near] = [
    await accessorOf(server),
    await accessorOf(server, 'second'),
    await accessorOf(server, 'near'),
  ]
  const [bob, eve, far] = [
    await make(server, 'entity', { name: 'bob' }),
    await make(server, 'entity', { name: 'eve' }),
    await make(server, 'entity', { name: 'far' }),
  ]
  const alias = (name: string, mount_accessor: string, canonical_id: string): Promise<string> =>
    make(server, 'entity-alias', { name, mount_accessor, canonical_id })
  const bobs = await alias('bob', first, bob)
  const eves = await alias('eve', first, eve)
  const evesSecond = await alias('eve', second, eve)
  const nears = await alias('far', near, far)
  const inner = await make(server, 'group', { name: 'inner' })
  const outer = await make(server, 'group', { name: 'outer', member_group_ids: inner })
  const external = await make(server, 'group', { name: 'external', type: 'external' })
  const other = await make(server, 'group', { name: 'other', type: 'external' })
  const tied = await make(server, 'group-alias', { name: 'ops', mount_accessor: first, canonical_id: external })
  const aliases = { bobs, eves, evesSecond, nears, tied }
  return { first, second, near, bob, eve, far, inner, outer, external, other, ...aliases }
}

const nowhere = '00000000-0000-4000-8000-000000000000'
const long = 'x'.repeat(513)
const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 'v']))
const bare = (text: string): string => `1 error occurred:\n\t* ${text}\n\n`
const clashHead =
  '2 errors occurred:\n\t* toEntity and at least one fromEntity have aliases with the same mount accessor, repeat the merge request specifying exactly one fromEntity, clashes: \n'

type Case = readonly [
  rule: string,
  call: string,
  body: (known: Known) => Body | null,
  status: number,
  text: string | RegExp | ((known: Known) => string) | null,
]

const entityCases: readonly Case[] = [
  ['an id that is none', 'POST entity', () => ({ id: nowhere }), 400, 'entity not found from id'],
  ['an id that can be none', 'POST entity', () => ({ id: '../../x' }), 400, 'entity not found from id'],
  [
    'a name that another has',
    'POST entity',
    k => ({ id: k['bob']!, name: 'EVE' }),
    400,
    'entity name is already in use',
  ],
  [
    'a name that another has, by path',
    'POST entity/name/eve',
    k => ({ id: k['bob']! }),
    400,
    'entity name is already in use',
  ],
  [
    'a name that is too long',
    'POST entity',
    () => ({ name: long }),
    400,
    /^the name of the entity has more than 512 bytes/,
  ],
  ['no name', 'GET entity/name/', () => null, 400, 'missing entity name'],
  [
    'metadata of too many keys',
    'POST entity',
    () => ({ metadata: many }),
    500,
    bare('invalid entity metadata: metadata cannot contain more than 64 key/value pairs'),
  ],
  [
    'metadata with a bad key',
    'POST entity',
    () => ({ metadata: { 'a b': 'c' } }),
    500,
    bare('invalid entity metadata: failed to load metadata pair ("a b", "c"): key contains invalid characters'),
  ],
  [
    'metadata with an empty key',
    'POST entity',
    () => ({ metadata: { '': 'c' } }),
    500,
    bare('invalid entity metadata: failed to load metadata pair ("", "c"): key cannot be blank'),
  ],
  [
    'metadata with a long key',
    'POST entity',
    () => ({ metadata: { [long]: 'c' } }),
    500,
    /key is too long \(limit: 128 characters\)/,
  ],
  [
    'metadata with a long value',
    'POST entity',
    () => ({ metadata: { a: long } }),
    500,
    /value is too long \(limit: 512 characters\)/,
  ],
  [
    'metadata with a reserved key',
    'POST entity',
    () => ({ metadata: { 'consul-a': 'b' } }),
    500,
    /key prefix "consul-" is reserved for internal use/,
  ],
  ['a read of nobody', `GET entity/id/${nowhere}`, () => null, 404, null],
  ['a read of nobody by name', 'GET entity/name/nobody', () => null, 404, null],
  ['the name __proto__', 'GET entity/name/__proto__', () => null, 404, null],
  ['deleting nobody', `DELETE entity/id/${nowhere}`, () => null, 204, null],
  ['deleting nobody by name', 'DELETE entity/name/nobody', () => null, 204, null],
  ['a deletion of none', 'POST entity/batch-delete', () => ({}), 400, 'missing entity ids to delete'],
  [
    'a deletion of some that are not there',
    'POST entity/batch-delete',
    k => ({ entity_ids: [nowhere, k['bob']!] }),
    204,
    null,
  ],
]

const mergeCases: readonly Case[] = [
  [
    'no entity to merge to',
    'POST entity/merge',
    k => ({ from_entity_ids: k['eve']! }),
    400,
    'missing entity id to merge to',
  ],
  [
    'no entity to merge from',
    'POST entity/merge',
    k => ({ to_entity_id: k['bob']! }),
    400,
    'missing entity ids to merge from',
  ],
  [
    'to nobody',
    'POST entity/merge',
    k => ({ to_entity_id: nowhere, from_entity_ids: k['eve']! }),
    400,
    'entity id to merge to is invalid',
  ],
  [
    'from nobody',
    'POST entity/merge',
    k => ({ to_entity_id: k['bob']!, from_entity_ids: nowhere }),
    400,
    'entity id to merge from is invalid',
  ],
  [
    'into itself',
    'POST entity/merge',
    k => ({ to_entity_id: k['bob']!, from_entity_ids: k['bob']! }),
    400,
    'to_entity_id should not be present in from_entity_ids',
  ],
  [
    'several with aliases to keep',
    'POST entity/merge',
    k => ({
      to_entity_id: k['bob']!,
      from_entity_ids: [k['eve']!, k['far']!],
      conflicting_alias_ids_to_keep: [k['bobs']!, k['eves']!],
    }),
    400,
    'aliases conflicts cannot be resolved with multiple from entity ids - merge one entity at a time',
  ],
  [
    'two that share a mount',
    'POST entity/merge',
    k => ({ to_entity_id: k['far']!, from_entity_ids: [k['bob']!, k['eve']!] }),
    400,
    k =>
      `mount accessor ${k['first']} found in multiple fromEntities, merge should be done with one fromEntity at a time`,
  ],
  [
    'an alias to keep that is no side of the clash',
    'POST entity/merge',
    k => ({ to_entity_id: k['bob']!, from_entity_ids: k['eve']!, conflicting_alias_ids_to_keep: k['evesSecond']! }),
    400,
    k =>
      `conflicting mount accessors in following alias IDs and neither were present in conflicting_alias_ids_to_keep: ${k['eves']}, ${k['bobs']}`,
  ],
  [
    'aliases that clash',
    'POST entity/merge',
    k => ({ to_entity_id: k['bob']!, from_entity_ids: k['eve']! }),
    400,
    k =>
      `${clashHead}\t* mountAccessor: ${k['first']}, toEntity ID: ${k['bob']}, fromEntity ID: ${k['eve']}, conflicting toEntity alias ID: ${k['bobs']}, conflicting fromEntity alias ID: ${k['eves']}\n\n`,
  ],
]

const aliasCases: readonly Case[] = [
  [
    'no factors',
    'POST entity-alias',
    () => ({ name: 'x' }),
    400,
    "'id' or 'mount_accessor' and 'name' must be provided",
  ],
  [
    'a mount that is none',
    'POST entity-alias',
    () => ({ name: 'x', mount_accessor: 'auth_x' }),
    400,
    'invalid mount accessor "auth_x"',
  ],
  ['an id that is none', 'POST entity-alias', () => ({ id: nowhere, name: 'x' }), 400, 'invalid alias ID provided'],
  [
    'an entity that is none',
    'POST entity-alias',
    k => ({ name: 'x', mount_accessor: k['first']!, canonical_id: nowhere }),
    400,
    'invalid canonical ID',
  ],
  [
    'a second alias of one mount',
    'POST entity-alias',
    k => ({ name: 'x', mount_accessor: k['first']!, entity_id: k['bob']! }),
    400,
    'Alias already exists for requested entity and mount accessor',
  ],
  [
    'a name that another has',
    'POST entity-alias',
    k => ({ id: k['bobs']!, name: 'eve' }),
    400,
    'alias with combination of mount accessor and name already exists',
  ],
  [
    'a mount at which the entity is already',
    'POST entity-alias',
    k => ({ id: k['evesSecond']!, name: 'new', mount_accessor: k['first']! }),
    400,
    "Alias cannot be updated as the entity already has an alias for the given 'mount_accessor' ",
  ],
  [
    'an entity that is at the mount already',
    'POST entity-alias',
    k => ({ id: k['bobs']!, canonical_id: k['eve']! }),
    400,
    'Alias cannot be updated as the given entity already has an alias for this mount ',
  ],
  [
    'a move to nobody',
    'POST entity-alias',
    k => ({ id: k['bobs']!, canonical_id: nowhere }),
    400,
    "given 'canonical_id' is not associated with an entity",
  ],
  [
    'a move of an alias of a local mount',
    'POST entity-alias',
    k => ({ id: k['nears']!, canonical_id: k['bob']! }),
    400,
    "local aliases can't be moved between entities",
  ],
  ['what is there already', 'POST entity-alias', k => ({ name: 'bob', mount_accessor: k['first']! }), 204, null],
  ['an id and nothing else', 'POST entity-alias', k => ({ id: k['bobs']! }), 204, null],
  [
    'custom metadata of too many keys',
    'POST entity-alias',
    k => ({ id: k['bobs']!, custom_metadata: many }),
    500,
    /custom_metadata validation failed: payload must contain at most 64 keys, provided 65/,
  ],
  [
    'custom metadata with a long key',
    'POST entity-alias',
    k => ({ id: k['bobs']!, custom_metadata: { [long]: 'a' } }),
    500,
    /length of key "x+" is 513 but must be 0 < len\(key\) <= 128/,
  ],
  [
    'custom metadata with a long value',
    'POST entity-alias',
    k => ({ id: k['bobs']!, custom_metadata: { a: long } }),
    500,
    /length of value for key "a" is 513 but must be 0 < len\(value\) <= 512/,
  ],
  ['a read of none', `GET entity-alias/id/${nowhere}`, () => null, 404, null],
  ['deleting none', `DELETE entity-alias/id/${nowhere}`, () => null, 204, null],
  [
    'the old names alias and persona',
    'POST persona',
    () => ({ name: 'x' }),
    400,
    "'id' or 'mount_accessor' and 'name' must be provided",
  ],
]

const groupCases: readonly Case[] = [
  ['an id that is none', 'POST group', () => ({ id: nowhere }), 400, 'invalid group ID'],
  ['an empty id', 'POST group', () => ({ id: '' }), 400, 'empty group ID'],
  ['an empty name', 'POST group', () => ({ name: '' }), 400, 'empty group name'],
  [
    'a name that another has',
    'POST group',
    k => ({ id: k['inner']!, name: 'Outer' }),
    400,
    'group name is already in use',
  ],
  ['another type', 'POST group', k => ({ id: k['inner']!, type: 'external' }), 400, 'group type cannot be changed'],
  ['a type that is none', 'POST group', () => ({ type: 'odd' }), 400, 'invalid group type "odd"'],
  [
    'entities in an external group',
    'POST group',
    k => ({ id: k['external']!, member_entity_ids: k['bob']! }),
    400,
    "member entities can't be set manually for external groups",
  ],
  [
    'groups in an external group',
    'POST group',
    k => ({ id: k['external']!, member_group_ids: k['inner']! }),
    400,
    "member groups can't be set for external groups",
  ],
  [
    'an entity that is none',
    'POST group',
    () => ({ member_entity_ids: nowhere }),
    500,
    bare(`invalid entity ID "${nowhere}"`),
  ],
  [
    'a group that is none',
    'POST group',
    () => ({ member_group_ids: nowhere }),
    500,
    bare(`invalid member group ID "${nowhere}"`),
  ],
  [
    'a group in itself',
    'POST group',
    k => ({ id: k['inner']!, member_group_ids: k['inner']! }),
    500,
    k => bare(`member group ID "${k['inner']}" is same as the ID of the group`),
  ],
  [
    'groups in a ring',
    'POST group',
    k => ({ id: k['inner']!, member_group_ids: k['outer']! }),
    400,
    k => `cyclic relationship detected for member group ID "${k['outer']}"`,
  ],
  [
    'metadata with a bad key',
    'POST group',
    () => ({ metadata: { 'a b': 'c' } }),
    500,
    /invalid group metadata: failed to load metadata pair/,
  ],
  ['a read of none', `GET group/id/${nowhere}`, () => null, 404, null],
  ['a read of none by name', 'GET group/name/none', () => null, 404, null],
  ['no name', 'GET group/name/', () => null, 400, 'empty group name'],
  ['deleting none', `DELETE group/id/${nowhere}`, () => null, 204, null],
  ['deleting none by name', 'DELETE group/name/none', () => null, 204, null],
]

const groupAliasCases: readonly Case[] = [
  ['no name', 'POST group-alias', k => ({ mount_accessor: k['first']! }), 400, 'missing alias name'],
  ['no mount', 'POST group-alias', () => ({ name: 'x' }), 400, 'missing mount_accessor'],
  ['an empty id', 'POST group-alias', () => ({ id: '', name: 'x' }), 400, 'empty group alias ID'],
  ['an id that is none', 'POST group-alias', () => ({ id: nowhere, name: 'x' }), 400, 'invalid group alias ID'],
  [
    'a group that is none',
    'POST group-alias',
    k => ({ name: 'x', mount_accessor: k['first']!, canonical_id: nowhere }),
    400,
    "invalid group ID given in 'canonical_id'",
  ],
  [
    'an internal group',
    'POST group-alias',
    k => ({ name: 'x', mount_accessor: k['first']!, canonical_id: k['inner']! }),
    400,
    "alias can't be set on an internal group",
  ],
  [
    'a mount that is none',
    'POST group-alias',
    () => ({ name: 'x', mount_accessor: 'auth_x' }),
    400,
    'invalid mount accessor "auth_x"',
  ],
  [
    'a local mount',
    'POST group-alias',
    k => ({ name: 'x', mount_accessor: k['near']! }),
    400,
    k => `mount accessor "${k['near']}" is a local mount`,
  ],
  [
    'what another group stands for',
    'POST group-alias',
    k => ({ name: 'ops', mount_accessor: k['first']!, canonical_id: k['other']! }),
    400,
    'combination of mount and group alias name is already in use',
  ],
  [
    'what is there already',
    'POST group-alias',
    k => ({ id: k['tied']!, name: 'ops', mount_accessor: k['first']! }),
    204,
    null,
  ],
  ['a read of none', `GET group-alias/id/${nowhere}`, () => null, 404, null],
  ['deleting none', `DELETE group-alias/id/${nowhere}`, () => null, 204, null],
]

const lookupCases: readonly Case[] = ['entity', 'group'].flatMap((what): Case[] => [
  [`${what} by nothing`, `POST lookup/${what}`, () => ({}), 400, 'query parameter not supplied'],
  [
    `${what} by two things`,
    `POST lookup/${what}`,
    () => ({ id: nowhere, name: 'x' }),
    400,
    'query parameter conflict; please supply distinct set of query parameters',
  ],
  [
    `${what} by the name of an alias alone`,
    `POST lookup/${what}`,
    () => ({ alias_name: 'x' }),
    400,
    "both 'alias_name' and 'alias_mount_accessor' needs to be set",
  ],
  [
    `${what} by the mount of an alias alone`,
    `POST lookup/${what}`,
    k => ({ alias_mount_accessor: k['first']! }),
    400,
    "both 'alias_name' and 'alias_mount_accessor' needs to be set",
  ],
  [`${what} by an id that is none`, `POST lookup/${what}`, () => ({ id: nowhere }), 204, null],
  [`${what} by a name that is none`, `POST lookup/${what}`, () => ({ name: 'constructor' }), 204, null],
  [`${what} by an alias that is none`, `POST lookup/${what}`, () => ({ alias_id: nowhere }), 204, null],
  [
    `${what} by factors that are none`,
    `POST lookup/${what}`,
    () => ({ alias_name: '../x', alias_mount_accessor: '../../y' }),
    204,
    null,
  ],
])

const tables = {
  entity: entityCases,
  merge: mergeCases,
  'entity alias': aliasCases,
  group: groupCases,
  'group alias': groupAliasCases,
  lookup: lookupCases,
}
for (const [what, cases] of Object.entries(tables)) {
  for (const [rule, call, body, status, text] of cases) {
    test(`identity ${what}: ${rule}`, async () => {
      await using server = await openIdentityLab()
      const known = await furnish(server)
      const [method, path] = call.split(' ') as [string, string]
      const sent = body(known)
      const answer = await server.ask(method, `identity/${path}`, sent === null ? {} : { body: sent })
      assert.equal(answer.status, status, answer.errors.join())
      const wanted = typeof text === 'function' ? text(known) : text
      if (wanted instanceof RegExp) assert.match(answer.errors[0] ?? '', wanted)
      else assert.deepEqual(answer.errors, wanted === null ? [] : [wanted])
    })
  }
}

test('identity merge: the answer to aliases that clash names both sides', async () => {
  await using server = await openIdentityLab()
  const known = await furnish(server)
  const body = { to_entity_id: known['bob']!, from_entity_ids: known['eve']! }
  const { data } = await server.ask('POST', 'identity/entity/merge', { body })
  assert.deepEqual(data, [
    { alias: 'bob', entity: 'bob', entity_id: known['bob'], mount: 'doorman', mount_path: 'auth/doorman/' },
    { alias: 'eve', entity: 'eve', entity_id: known['eve'], mount: 'doorman', mount_path: 'auth/doorman/' },
  ])
})

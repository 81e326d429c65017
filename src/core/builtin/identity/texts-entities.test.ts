import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openIdentityLab } from './identity.lab.ts'
import { bare, type Case, furnish, long, many, nowhere, playText } from './texts.lab.ts'

const clashHead =
  '2 errors occurred:\n\t* toEntity and at least one fromEntity have aliases with the same mount accessor, repeat the merge request specifying exactly one fromEntity, clashes: \n'

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
  [
    'a name that is too long',
    'POST entity-alias',
    () => ({ name: 'x'.repeat(4097) }),
    400,
    'the name of the alias has more than 4096 bytes',
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

for (const one of entityCases) test(`identity entity: ${one[0]}`, () => playText(one))
for (const one of mergeCases) test(`identity merge: ${one[0]}`, () => playText(one))
for (const one of aliasCases) test(`identity entity alias: ${one[0]}`, () => playText(one))

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

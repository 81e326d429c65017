import { test } from 'node:test'
import { bare, type Case, nowhere, playText } from './texts.lab.ts'

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
  [
    'a name that is too long',
    'POST group-alias',
    () => ({ name: 'x'.repeat(4097) }),
    400,
    'the name of the alias has more than 4096 bytes',
  ],
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

for (const one of groupCases) test(`identity group: ${one[0]}`, () => playText(one))
for (const one of groupAliasCases) test(`identity group alias: ${one[0]}`, () => playText(one))
for (const one of lookupCases) test(`identity lookup: ${one[0]}`, () => playText(one))

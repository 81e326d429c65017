import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidField, parseInput } from '#ground/fields/parse.ts'
import type { Json } from '#ground/text/json.ts'
import { Fault } from '#protocol/fault.ts'
import {
  applyTokenInput,
  noParameters,
  showTokenParameters,
  type StoredParameters,
  tokenFields,
  type TokenInput,
} from './token-parameters.ts'

type Sent = Readonly<Record<string, Json>>

/** Writes one after the other, as a role gets them. */
function written(...writes: readonly Sent[]): StoredParameters {
  let now = noParameters
  for (const values of writes) {
    const { input, sent } = parseInput(tokenFields, { values, captures: {} })
    now = applyTokenInput(now, input as TokenInput, sent)
  }
  return now
}

const untouched = {
  token_bound_cidrs: [],
  token_explicit_max_ttl: 0,
  token_max_ttl: 0,
  token_no_default_policy: false,
  token_num_uses: 0,
  token_period: 0,
  token_policies: [],
  token_ttl: 0,
  token_type: 'default',
}

for (const [rule, writes, shown] of [
  ['all are shown when none was sent', [{}], {}],
  [
    'durations are shown in seconds',
    [{ token_ttl: '1h', token_max_ttl: '2h' }],
    { token_ttl: 3600, token_max_ttl: 7200 },
  ],
  [
    'numbers and their texts are durations',
    [{ token_period: 90 }, { token_explicit_max_ttl: '60' }],
    { token_period: 90, token_explicit_max_ttl: 60 },
  ],
  [
    'policies are lower-cased, sorted, and each once',
    [{ token_policies: ' B,a,b,,A ' }],
    { token_policies: ['a', 'b'] },
  ],
  ['policies may be a list', [{ token_policies: ['b', 'a'] }], { token_policies: ['a', 'b'] }],
  [
    'what is not sent stays',
    [{ token_ttl: 60, token_policies: 'a' }, { token_num_uses: '3' }],
    { token_ttl: 60, token_policies: ['a'], token_num_uses: 3 },
  ],
  [
    'what is sent empty goes',
    [
      { token_policies: 'a', token_ttl: 60 },
      { token_policies: [], token_ttl: 0 },
    ],
    {},
  ],
  [
    'addresses get their length',
    [{ token_bound_cidrs: '10.0.0.0/8,192.0.2.1,::1' }],
    { token_bound_cidrs: ['10.0.0.0/8', '192.0.2.1/32', '::1/128'] },
  ],
  ['the type may be default', [{ token_type: 'service' }, { token_type: '' }], {}],
  [
    'the type may be service',
    [{ token_type: 'service', token_no_default_policy: 'true' }],
    { token_type: 'service', token_no_default_policy: true },
  ],
  ['the type may be batch', [{ token_type: 'batch' }], { token_type: 'batch' }],
  [
    'an old name is shown beside the new one',
    [{ policies: 'A', ttl: '1m', max_ttl: '2m', period: '3m', num_uses: 4, bound_cidrs: '::1' }],
    {
      policies: ['a'],
      ttl: 60,
      max_ttl: 120,
      period: 180,
      num_uses: 4,
      bound_cidrs: ['::1/128'],
      token_policies: ['a'],
      token_ttl: 60,
      token_max_ttl: 120,
      token_period: 180,
      token_num_uses: 4,
      token_bound_cidrs: ['::1/128'],
    },
  ],
  [
    'a new name ends the old one',
    [{ policies: 'a', ttl: 60 }, { token_policies: 'b' }],
    { token_policies: ['b'], token_ttl: 60, ttl: 60 },
  ],
  [
    'an old name after the new one counts',
    [{ token_policies: 'b' }, { policies: 'a' }],
    { token_policies: ['a'], policies: ['a'] },
  ],
  [
    'of both at once the new one counts, and both are shown',
    [{ policies: 'a', token_policies: 'b', ttl: 1, token_ttl: 2 }],
    { token_policies: ['b'], policies: ['b'], token_ttl: 2, ttl: 2 },
  ],
  ['an old name that holds nothing is not shown', [{ policies: '', ttl: 0, num_uses: 0, bound_cidrs: [] }], {}],
] as const satisfies readonly (readonly [string, readonly Sent[], Sent])[]) {
  test(`token parameters: ${rule}`, () => {
    assert.deepEqual(showTokenParameters(written(...writes)), { ...untouched, ...shown })
  })
}

for (const [rule, writes, text] of [
  [
    'a TTL beyond the largest',
    [{ token_ttl: '2h', token_max_ttl: '1h' }],
    "'token_ttl' cannot be greater than 'token_max_ttl'",
  ],
  [
    'the same by two writes',
    [{ token_max_ttl: '1h' }, { token_ttl: '2h' }],
    "'token_ttl' cannot be greater than 'token_max_ttl'",
  ],
  ['fewer than no uses', [{ token_num_uses: -1 }], "'token_num_uses' cannot be negative"],
  ['an unknown type', [{ token_type: 'Batch' }], `invalid 'token_type' value "Batch"`],
  [
    'batch with a period',
    [{ token_type: 'batch', token_period: 60 }],
    "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens",
  ],
  [
    'batch of limited uses, by two writes',
    [{ token_num_uses: 5 }, { token_type: 'default-batch' }],
    "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count",
  ],
  ['what is no address', [{ token_bound_cidrs: '10.0.0.0/33' }], /^token_bound_cidrs: /],
] as const satisfies readonly (readonly [string, readonly Sent[], string | RegExp])[]) {
  test(`token parameters: refused is ${rule}`, () => {
    const refused = (error: unknown): boolean => {
      assert.ok(error instanceof Fault && error.code === 'request.invalid', String(error))
      if (typeof text === 'string') assert.equal(error.text, text)
      else assert.match(error.text, text)
      return true
    }
    assert.throws(() => written(...writes), refused)
  })
}

for (const name of [
  'token_ttl',
  'token_max_ttl',
  'token_explicit_max_ttl',
  'token_period',
  'ttl',
  'max_ttl',
  'period',
]) {
  test(`token parameters: ${name} is not negative, and a duration`, () => {
    for (const [value, problem] of [
      [-1, "cannot provide negative value '-1'"],
      ['-90s', "cannot provide negative value '-90'"],
      ['soon', ''],
      [[], ''],
    ] as const) {
      assert.throws(
        () => written({ [name]: value }),
        (error: unknown) => error instanceof InvalidField && error.field === name && error.message.includes(problem),
      )
    }
  })
}

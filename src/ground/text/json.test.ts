import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assert as check, jsonValue, property, string } from 'fast-check'
import { compareUtf8 } from './compare.ts'
import { canonicalJson, type Json, NumberLiteral, RawJson, renderJson, sameJson } from './json.ts'
import { mergePatch } from './json-merge.ts'
import { defaultJsonLimits, type JsonLimits, JsonError, parseJson } from './json-parse.ts'

const slow: JsonLimits = { ...defaultJsonLimits, stringBytesMax: 1_000_000, depthMax: 500 }

test('JSON: numbers that a double would write otherwise stay literals, all others are plain', () => {
  const read = parseJson('[1, 1.5, 1.0, 1e5, -0, 12345678901234567890, 9007199254740993, 1e400, 0.1]') as Json[]
  const kinds = read.map(value => (value instanceof NumberLiteral ? value.text : value))
  assert.deepEqual(kinds, [1, 1.5, '1.0', '1e5', '-0', '12345678901234567890', '9007199254740993', '1e400', 0.1])
})

test('JSON: the fast and the slow way read the same tree', () => {
  check(
    property(jsonValue(), value => {
      const text = JSON.stringify(value)
      // A literal makes the whole document take the slow way.
      const [plain] = parseJson(`[${text}]`) as Json[]
      const [again] = parseJson(`[${text},1.0]`) as Json[]
      assert.equal(canonicalJson(again!), canonicalJson(plain!))
    }),
  )
})

test('JSON: canonical text is read back to the same canonical text', () => {
  check(
    property(jsonValue(), value => {
      const text = canonicalJson(value as Json)
      assert.equal(canonicalJson(parseJson(text)), text)
    }),
  )
})

test('JSON: keys are in the order of their UTF-8 bytes', () => {
  check(
    property(string({ unit: 'binary' }), string({ unit: 'binary' }), (a, b) => {
      assert.equal(Math.sign(compareUtf8(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
  )
})

test('JSON: __proto__ is a key like any other, on both ways and in a merge', () => {
  for (const text of ['{"__proto__":{"polluted":1}}', '{"__proto__":{"polluted":1},"x":1.0}']) {
    const read = parseJson(text) as Record<string, Json>
    assert.ok(Object.hasOwn(read, '__proto__'))
    assert.equal(Object.getPrototypeOf(read), Object.prototype)
    const merged = mergePatch({}, read) as Record<string, Json>
    assert.ok(Object.hasOwn(merged, '__proto__'))
    assert.equal('polluted' in {}, false)
    assert.match(canonicalJson(merged), /^\{"__proto__":\{"polluted":1\}/)
  }
})

test('JSON: raw text is spliced in, and key order is kept where it is asked for', () => {
  assert.equal(renderJson({ b: 1, a: new RawJson('{"z":1.0}') }), '{"b":1,"a":{"z":1.0}}')
  assert.equal(canonicalJson({ b: 1, a: '<&>' }), '{"a":"\\u003c\\u0026\\u003e","b":1}')
  assert.throws(() => renderJson(Number.NaN), TypeError)
})

test('JSON: equality goes by content', () => {
  assert.ok(sameJson({ a: [1, { b: null }], c: 'x' }, { c: 'x', a: [1, { b: null }] }))
  assert.ok(!sameJson(new NumberLiteral('1.0'), 1))
})

const nest = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
const bounds: readonly (readonly [rule: string, within: string, over: string, setting: string])[] = [
  ['depth', nest(500), nest(501), 'max_json_depth'],
  [
    'depth of objects',
    '{"a":'.repeat(499) + '1' + '}'.repeat(499),
    '{"a":'.repeat(501) + '1' + '}'.repeat(501),
    'max_json_depth',
  ],
  [
    'a string',
    JSON.stringify('x'.repeat(1_048_576)),
    JSON.stringify('x'.repeat(1_048_577)),
    'max_json_string_value_length',
  ],
  [
    'a string by its bytes',
    JSON.stringify('é'.repeat(524_288)),
    JSON.stringify('é'.repeat(524_289)),
    'max_json_string_value_length',
  ],
  [
    'a string of escapes',
    `"${'\\u0041'.repeat(1_048_576)}"`,
    `"${'\\n'.repeat(1_048_577)}"`,
    'max_json_string_value_length',
  ],
  ['elements of a list', `[${'1,'.repeat(9_999)}1]`, `[${'1,'.repeat(10_000)}1]`, 'max_json_array_element_count'],
  ['entries of an object', entries(10_000), entries(10_001), 'max_json_object_entry_count'],
  ['tokens', `[${`${list(9_998)},`.repeat(48)}1]`, `[${`${list(9_998)},`.repeat(52)}1]`, 'max_json_token'],
]
function entries(count: number): string {
  return `{${Array.from({ length: count }, (_, i) => `"k${i}":1`).join(',')}}`
}
function list(count: number): string {
  return `[${'1,'.repeat(count - 1)}1]`
}
for (const [rule, within, over, setting] of bounds) {
  test(`JSON limits: ${rule}`, () => {
    assert.ok(parseJson(within) !== undefined)
    assert.throws(
      () => parseJson(over),
      (error: unknown) =>
        error instanceof JsonError && error.code === 'limit' && error.message.endsWith(`(${setting})`),
    )
  })
}

test('JSON limits: the depth is tested before the stack or memory can run out', () => {
  assert.throws(() => parseJson('['.repeat(5_000_000)), { name: 'JsonError', code: 'limit' })
  assert.throws(() => parseJson('{"a":'.repeat(2_000_000), { limits: slow }), { name: 'JsonError', code: 'limit' })
})

test('JSON limits: smaller ones hold, too', () => {
  const limits = {
    ...defaultJsonLimits,
    depthMax: 2,
    objectEntriesMax: 2,
    arrayElementsMax: 2,
    stringBytesMax: 3,
    tokensMax: 9,
  }
  assert.deepEqual(parseJson('[[1,2],"abc"]', { limits }), [[1, 2], 'abc'])
  for (const text of ['[[[1]]]', '[1,2,3]', '{"a":1,"b":2,"c":3}', '"abcd"', '{"abcd":1}']) {
    assert.throws(() => parseJson(text, { limits }), { code: 'limit' }, text)
  }
  assert.throws(() => parseJson('[[1,2],[1,2]]', { limits: { ...limits, tokensMax: 8 } }), { code: 'limit' })
})

test('JSON: an error never quotes more than a character of the input', () => {
  assert.throws(
    () => parseJson('{"password":"hunter2" oops}'),
    (error: unknown) => {
      assert.ok(error instanceof JsonError && !error.message.includes('hunter2'))
      assert.equal(error.message, "invalid character 'o' after object key:value pair")
      return true
    },
  )
})

// RFC 7396, appendix A.
const merges: readonly (readonly [target: Json, patch: Json, want: Json])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]
for (const [target, patch, want] of merges) {
  test(`JSON merge patch: ${JSON.stringify(target)} with ${JSON.stringify(patch)}`, () => {
    assert.deepEqual(mergePatch(target, patch), want)
    assert.deepEqual(mergePatch(new RawJson(canonicalJson(target)), patch), want)
  })
}

test('JSON merge patch keeps number literals', () => {
  assert.equal(
    canonicalJson(mergePatch(parseJson('{"a":1.0,"b":{"c":2.50}}'), parseJson('{"b":{"d":1e5}}'))),
    '{"a":1.0,"b":{"c":2.50,"d":1e5}}',
  )
})

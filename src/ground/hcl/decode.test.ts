import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HclReader } from './decode.ts'
import { parseHcl } from './parse.ts'

const reader = (text: string): HclReader => new HclReader(parseHcl(text, 'x.hcl'), 'x.hcl')

const reads: readonly (readonly [rule: string, text: string, read: (r: HclReader) => unknown, want: unknown])[] = [
  ['text', 'a = "x"', r => r.string('a'), 'x'],
  ['a number serves as text, as written', 'a = 0640', r => r.string('a'), '0640'],
  ['what is absent is null', 'b = 1', r => r.string('a'), null],
  ['null in JSON is absent', '{"a": null}', r => r.string('a'), null],
  ['a boolean', 'a = true', r => r.bool('a'), true],
  ['text serves as a boolean', 'a = "False"', r => r.bool('a'), false],
  ['a number serves as a boolean', 'a = 1', r => r.bool('a'), true],
  ['a file mode is octal', 'perms = 0640', r => r.integer('perms'), 0o640],
  ['a file mode in quotes is octal too', 'perms = "0640"', r => r.integer('perms'), 0o640],
  ['numeric text serves as a number', 'a = "1.5"', r => r.number('a'), 1.5],
  ['a duration as a number is seconds', 'ttl = 90', r => r.duration('ttl'), 90],
  ['a duration as text', 'ttl = "1h30m"', r => r.duration('ttl'), 5400],
  ['a list of texts', 'a = ["x", 1]', r => r.strings('a'), ['x', '1']],
  ['one text for a list, where that is taken', 'a = "x"', r => r.strings('a', true), ['x']],
  ['a map by =', 'a = { b = "1" }', r => [...r.stringMap('a')!], [['b', '1']]],
  [
    'a map as a block',
    'a { b = "1" c = 2 }',
    r => [...r.stringMap('a')!],
    [
      ['b', '1'],
      ['c', '2'],
    ],
  ],
  ['labelled blocks', 'p "x" {} p "y" {}', r => r.blocks('p', 1).map(b => b.labels), [['x'], ['y']]],
  ['labelled blocks from JSON', '{"p": {"x": {}, "y": {}}}', r => r.blocks('p', 1).map(b => b.labels), [['x'], ['y']]],
  [
    'labelled blocks from a JSON list',
    '{"p": [{"x": {}}, {"y": {}}]}',
    r => r.blocks('p', 1).map(b => b.labels),
    [['x'], ['y']],
  ],
  ['blocks with and without a label', 's "f" {} s {}', r => r.blocks('s', [0, 1]).map(b => b.labels), [['f'], []]],
  ['one block', 'a { b = 1 }', r => r.block('a')!.body.integer('b'), 1],
]
for (const [rule, text, read, want] of reads)
  test(`HCL decode: ${rule}`, () => assert.deepEqual(read(reader(text)), want))

const refusals: readonly (readonly [rule: string, text: string, read: (r: HclReader) => unknown, want: string])[] = [
  ['text wanted', 'a = true', r => r.string('a'), 'x.hcl:1:5: a must be text'],
  ['boolean wanted', 'a = "maybe"', r => r.bool('a'), 'x.hcl:1:5: a must be true or false'],
  ['whole number wanted', 'a = 1.5', r => r.integer('a'), 'x.hcl:1:5: a must be a whole number'],
  ['duration wanted', 'a = "1 h"', r => r.duration('a'), 'x.hcl:1:5: a: time: unknown unit " h" in duration "1 h"'],
  ['list wanted', 'a = "x"', r => r.strings('a'), 'x.hcl:1:5: a must be a list, such as ["a", "b"]'],
  [
    'a name set twice',
    'a = 1\na = 2',
    r => r.integer('a'),
    'x.hcl:2:1: The argument "a" at 2:1 was already set. Each argument can only be defined once',
  ],
  ['a label too many', 'a "x" {}', r => r.block('a'), 'x.hcl:1:3: a a block has no label: a { … }'],
  ['a label missing', 'p { x = 1 }', r => r.blocks('p', 1), 'x.hcl:1:5: a p block has 1 label: p "label" { … }'],
  ['a second block where one may stand', 'a {} a {}', r => r.block('a'), 'x.hcl:1:6: only one a block may stand here'],
  [
    'inside a block, the block is named',
    'p "x" { n = "y" }',
    r => r.blocks('p', 1)[0]!.body.integer('n'),
    'x.hcl:1:13: p "x": n must be a whole number',
  ],
]
for (const [rule, text, read, want] of refusals) {
  test(`HCL decode refuses: ${rule}`, () =>
    assert.throws(() => read(reader(text)), { name: 'HclError', message: want }))
}

test('HCL decode names an unknown key and the one that was meant', () => {
  const read = reader('capabilites = ["read"]\nother = 1')
  read.strings('capabilities')
  read.ignore('comment')
  assert.deepEqual(
    read.unknown().map(key => key.message),
    ['invalid key "capabilites" on line 1, did you mean "capabilities"?', 'invalid key "other" on line 2'],
  )
  assert.throws(() => read.finish(), { message: /^x\.hcl:1:1: invalid key "capabilites" on line 1/ })
})

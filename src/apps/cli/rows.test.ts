import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allRows } from './command.ts'
import { rowHelp } from './help.ts'
import { formatPolicy } from './policy-format.ts'
import { columns, table } from './render/columns.ts'
import { indentedJson, struct, yamlText } from './render/documents.ts'
import { heading } from './render/heading.ts'
import { goValue, humanDuration } from './render/value.ts'
import { NumberLiteral } from '#ground/text/json.ts'

for (const row of await allRows()) {
  test(`help of ${row.name} has an example and fits in 120 columns`, () => {
    const help = rowHelp(row, 'coffer')
    assert.ok(help.startsWith(`Usage: coffer ${row.name}`))
    assert.ok(help.includes(`$ coffer ${row.name}`) || help.includes(`| coffer ${row.name}`), 'an example')
    assert.deepEqual(
      help.split('\n').filter(line => line.length > 122),
      [],
    )
  })
}

for (const [seconds, want] of [
  [0, '0s'],
  [90, '1m30s'],
  [3600, '1h'],
  [3605, '1h5s'],
  [5400, '1h30m'],
  [2_764_800, '768h'],
] as const) {
  test(`${seconds} seconds print as ${want}`, () => assert.equal(humanDuration(seconds), want))
}

test('values print as Go prints them', () => {
  assert.equal(goValue({ b: [1, 'x', null], a: new NumberLiteral('1.50') }), 'map[a:1.50 b:[1 x <nil>]]')
})

test('cells are padded by code points, empty ones are n/a', () => {
  assert.equal(
    columns([
      ['ü', 'b'],
      ['long', ''],
    ]),
    'ü       b\nlong    n/a',
  )
  assert.equal(table(['Key'], [['∞']]), 'Key\n---\n∞')
})

test('headings keep two signs on either side when there is no room', () => {
  assert.equal(heading('Data', 20), '======= Data =======')
  assert.equal(heading('Data', 3), '== Data ==')
})

test('structs keep their order, maps are sorted', () => {
  assert.equal(
    indentedJson(struct({ b: { d: 1, c: [] }, a: null })),
    '{\n  "b": {\n    "c": [],\n    "d": 1\n  },\n  "a": null\n}',
  )
})

test('YAML quotes what YAML 1.1 would read as something else', async () => {
  assert.equal(await yamlText({ b: 'yes', a: '1', c: 'x: y', d: 1.5 }), 'a: "1"\nb: "yes"\nc: "x: y"\nd: 1.5')
})

test('policy fmt sets blanks and levels and keeps comments', () => {
  const text =
    'path   "secret/*"   {\n# read\n      capabilities=["read",\n"list"]\n}\n\n\n\npath "a" { capabilities = ["deny"] }'
  const want =
    'path "secret/*" {\n  # read\n  capabilities = ["read",\n    "list"]\n}\n\npath "a" { capabilities = ["deny"] }\n'
  assert.equal(formatPolicy(text), want)
  assert.equal(formatPolicy(want), want)
})

test('policy fmt refuses what is no HCL', () => {
  assert.throws(() => formatPolicy('path "a" {'), { name: 'HclError' })
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseHcl } from './parse.ts'
import { HclError, type HclItem, type HclObject, type HclValue } from './tree.ts'

type GoldenItem = { keys: string[]; assigned: boolean; value: GoldenValue; line: number; column: number }
type GoldenValue =
  | { object: GoldenItem[] }
  | { list: GoldenValue[] }
  | { string: string }
  | { int: string }
  | { float: number }
  | { bool: boolean }
type GoldenCase = { name: string; input: string; error?: string; tree?: GoldenItem[] }

// Recorded from the Go library by tools/golden/hcl.
const cases = JSON.parse(readFileSync(new URL('./golden/hcl.json', import.meta.url), 'utf8')) as GoldenCase[]

// What upstream reads in silence, and loses.
const refusedHere: Readonly<Record<string, string>> = {
  'a block without a name': 'text after the JSON value',
  'JSON without an end': 'a closing brace that is missing',
  'JSON with a list as its root element twice': 'a closing bracket that is missing; the item vanishes',
}

for (const { name, input, error, tree } of cases) {
  const isJson = input.trimStart().startsWith('{')
  if (error !== undefined || Object.hasOwn(refusedHere, name)) {
    test(`HCL refuses ${name}`, () => {
      assert.throws(
        () => parseHcl(input, 'x.hcl'),
        (thrown: unknown) => thrown instanceof HclError && /^x\.hcl:\d+:\d+: ./.test(thrown.message),
      )
    })
  } else {
    test(`HCL reads ${name} as the Go library does`, () => {
      const read = parseHcl(input)
      const items = isJson ? read.items.flatMap(item => flatten([], item)) : read.items
      assert.deepEqual(
        items.map(item => goldenItem(item, isJson)),
        isJson ? tree!.map(withoutPlace) : tree,
      )
    })
  }
}

function goldenItem(item: HclItem, isJson: boolean): GoldenItem {
  const keys = [item.name, ...item.labels.map(label => label.text)]
  const place = isJson ? { line: 0, column: 0 } : item.at
  return { keys, assigned: item.isAssigned, value: goldenValue(item.value, isJson), ...place }
}

function goldenValue(value: HclValue, isJson: boolean): GoldenValue {
  switch (value.kind) {
    case 'object': {
      const items = isJson ? value.items.flatMap(item => flatten([], item)) : value.items
      return { object: items.map(item => goldenItem(item, isJson)) }
    }
    case 'list':
      return { list: value.values.map(element => goldenValue(element, isJson)) }
    case 'string':
      return { string: value.value }
    case 'number':
      return value.isFloat ? { float: value.value } : { int: asBigInt(value.text).toString() }
    case 'bool':
      return { bool: value.value }
    case 'null':
      break
  }
  return { string: '' }
}

function asBigInt(text: string): bigint {
  const isNegative = text.startsWith('-')
  const digits = isNegative ? text.slice(1) : text
  const size = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits)
  return isNegative ? -size : size
}

function withoutPlace(item: GoldenItem): GoldenItem {
  const strip = (value: GoldenValue): GoldenValue => {
    if ('object' in value) return { object: value.object.map(withoutPlace) }
    return 'list' in value ? { list: value.list.map(strip) } : value
  }
  return { ...item, value: strip(item.value), line: 0, column: 0 }
}

// The library turns JSON objects of objects into labelled blocks; here the tree keeps them, and the reader decides.
function flatten(above: readonly string[], item: HclItem): HclItem[] {
  const keys = [...above, item.name]
  const inner = item.value.kind === 'object' ? item.value.items : []
  if (inner.length > 0 && inner.every(one => one.value.kind === 'object'))
    return inner.flatMap(one => flatten(keys, one))
  if (item.value.kind === 'list' && item.value.values.length > 0) {
    const objects = item.value.values.filter((one): one is HclObject => one.kind === 'object')
    if (objects.length === item.value.values.length) {
      return objects.flatMap(value => flatten(above, { ...item, value }))
    }
  }
  const [name, ...labels] = keys as [string, ...string[]]
  return [{ ...item, name, labels: labels.map(text => ({ text, at: item.at })) }]
}

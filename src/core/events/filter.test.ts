import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FilterError, parseFilter } from './filter.ts'

const event: Readonly<Record<string, string>> = {
  event_type: 'kv-v2/data-write',
  data_path: 'secret/data/app/db',
  operation: 'data-write',
  namespace: '',
  'odd name': 'or',
}

for (const [filter, want] of [
  ['event_type == "kv-v2/data-write"', true],
  ['event_type == kv-v2/data-write', true],
  ['event_type != `kv-v2/data-write`', false],
  ['operation == "data-delete" or operation == "data-write"', true],
  ['operation == "data-delete" or operation == "data-write" and namespace == "x"', false],
  ['(operation == "data-delete" or operation == "data-write") and namespace == ""', true],
  ['not operation == "data-write"', false],
  ['not (operation == "data-delete")', true],
  ['data_path contains "app"', true],
  ['data_path not contains "app"', false],
  ['"app" in data_path', true],
  ['"web" not in data_path', true],
  ['data_path matches "^secret/data/(app|web)/"', true],
  ['data_path not matches `\\d`', true],
  ['namespace is empty', true],
  ['data_path is not empty', true],
  ['nothing is empty', true],
  ['nothing == ""', false],
  ['nothing != "x"', true],
  ['nothing matches ".*"', false],
  ['"/event_type" == "kv-v2/data-write"', true],
  ['"odd name" == "or"', true],
  ['data_path == "secret/data/app/db" and operation in "x"', false],
  ['operation == "\\u0064ata-write"', true],
] as const) {
  test(`event filter: ${filter} is ${want}`, () => {
    assert.equal(
      parseFilter(filter)(name => (Object.hasOwn(event, name) ? event[name] : undefined)),
      want,
    )
  })
}

for (const [filter, text] of [
  ['', /^the filter ends where a name should be$/],
  ['operation', /^the filter ends where ==, !=, in, contains, matches or is should be$/],
  ['operation ==', /^the filter ends where a value should be$/],
  ['operation = "x"', /position \d+/],
  ['operation == "x" "y"', /^expected the end at position \d+, not "y"$/],
  ['(operation == "x"', /^the filter ends where "\)" should be$/],
  ['operation == "x)', /^unexpected text at position \d+$/],
  ['operation is "x"', /^expected "empty"/],
  ['operation matches "("', /^"\(" is no regular expression/],
  ['operation == "\\q"', /is no text/],
  ['not '.repeat(100) + 'a == b', /levels deep/],
  [`a == "${'x'.repeat(5_000)}"`, /at most 4096 characters/],
] as const) {
  test(`event filter: refused is ${filter.slice(0, 40)}`, () => {
    assert.throws(
      () => parseFilter(filter),
      (error: unknown) => error instanceof FilterError && text.test(error.message),
    )
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { told } from './reporter.ts'
import { suiteOf } from './suites.ts'

for (const [path, suite] of [
  ['src/a/b.test.ts', 'unit'],
  ['src/a/b.isolated.test.ts', 'isolated'],
  ['test/cluster/x.pods.test.ts', 'pods'],
  ['test/crash/x.crash.test.ts', 'crash'],
  ['src/a/b.ts', null],
  ['src/a/isolated.test.ts', 'unit'],
] as const) {
  test(`${path} belongs to ${suite ?? 'no suite'}`, () => assert.equal(suiteOf(path), suite))
}

test('the summary of one file is not the end of the run', () => {
  assert.deepEqual(told({ type: 'test:summary', data: { file: '/a.test.ts' } }), {
    kind: 'file',
    file: '/a.test.ts',
    passed: 0,
  })
  assert.deepEqual(told({ type: 'test:summary', data: {} }), { kind: 'summary' })
})

test('a test marked as todo is not counted as passed', () => {
  assert.deepEqual(told({ type: 'test:pass', data: { name: 'a', todo: true } }), {
    kind: 'skipped',
    name: 'a',
    reason: 'marked as todo',
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerHeaders } from './answer.ts'

const valuesOf = (headers: ReturnType<typeof answerHeaders>, name: string): string[] =>
  headers.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value)

test('answers are never cached, unless a handler says how; it is said once', () => {
  assert.deepEqual(valuesOf(answerHeaders('id'), 'cache-control'), ['no-store'])
  assert.deepEqual(valuesOf(answerHeaders('id', [['cache-control', 'max-age=60']]), 'cache-control'), ['max-age=60'])
  assert.deepEqual(valuesOf(answerHeaders('id', [['A', 'b']]), 'x-coffer-request-id'), ['id'])
})

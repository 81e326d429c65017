import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equalBytes, equalTexts } from './constant-time.ts'

for (const [a, b, want] of [
  ['', '', true],
  ['abc', 'abc', true],
  ['abc', 'abd', false],
  ['abc', 'ab', false],
  ['é', 'e\u0301', false],
] as const) {
  test(`equal: ${JSON.stringify(a)} and ${JSON.stringify(b)} are ${want ? 'equal' : 'not'}`, () => {
    assert.equal(equalTexts(a, b), want)
    assert.equal(equalBytes(Buffer.from(a), Buffer.from(b)), want)
  })
}

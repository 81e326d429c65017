import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, type Expected } from './expect.ts'

for (const [rule, actual, expected, isMet] of [
  ['members that are not asked for do not matter', { a: 1, b: 2 }, { a: 1 }, true],
  ['a member that is missing does', { b: 2 }, { a: null }, false],
  ['a member that differs deep down does', { a: { b: [{ c: 1 }] } }, { a: { b: [{ c: 2 }] } }, false],
  ['a list is as long as expected', ['a', 'b'], ['a'], false],
  ['a list is not an object with its members', { 0: 'a', length: 1 }, ['a'], false],
  ['null is not an empty object', null, {}, false],
  ['numbers are not texts', '1', 1, false],
  ['a pattern is for texts', 12, /12/, false],
  ['a pattern that matches', 'no JWT', /JWT$/, true],
  ['a function that says no', 5, value => value === 6, false],
] as const satisfies readonly (readonly [string, unknown, Expected, boolean])[]) {
  test(`expectations of a client: ${rule}`, () => {
    if (isMet) assert.doesNotThrow(() => check(actual, expected))
    else assert.throws(() => check(actual, expected), assert.AssertionError)
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, assert as check, constantFrom, property, string } from 'fast-check'
import { parseHcl } from './parse.ts'
import { HclError, hclDepthMax, hclSizeMax } from './tree.ts'

const nested: readonly (readonly [name: string, open: string, close: string])[] = [
  ['blocks', 'a {', '}'],
  ['lists', 'a = [[', ']]'],
]
for (const [name, open, close] of nested) {
  test(`HCL refuses ${name} nested too deeply instead of overflowing the stack`, () => {
    const deep = name === 'lists' ? `a = ${'['.repeat(200_000)}` : open.repeat(200_000)
    assert.throws(() => parseHcl(deep), { name: 'HclError', message: /more than 100/ })
    const times = hclDepthMax - 2
    const fine =
      name === 'lists' ? `a = ${'['.repeat(times)}${']'.repeat(times)}` : open.repeat(times) + close.repeat(times)
    assert.equal(parseHcl(fine).items.length, 1)
  })
}

test('HCL refuses JSON nested too deeply', () => {
  assert.throws(() => parseHcl('{"a":'.repeat(200_000)), { message: /more than 100/ })
})

test('HCL refuses input over its size', () => {
  assert.throws(() => parseHcl(' '.repeat(hclSizeMax + 1)), { message: /larger than/ })
})

test('HCL takes hostile repetition in linear time and without a crash', () => {
  for (const piece of ['"${', 'a = <<A\n', '/*', '\\', '"\\x41', '0', 'a.', '{"a"', '{"a":"\\']) {
    const text = piece.repeat(Math.floor(300_000 / piece.length))
    assert.throws(() => parseHcl(text), HclError)
  }
})

test('HCL: whatever the text, the answer is a tree or an HclError', () => {
  const brackets = ['{', '}', '[', ']', ',', ' = ', ':', '\n']
  const starts = ['"', '#', '/*', '*/', '<<E\n', '<<-E\n', 'E\n', '${', '\\', '-']
  const words = ['a', 'x', 'e', '0', '1.', 'true', 'null', '"a":', 'é', '\u2028', '\ud800', '\u0000']
  const fragment = constantFrom(...brackets, ...starts, ...words)
  check(
    property(array(fragment, { maxLength: 40 }), pieces => {
      try {
        return Array.isArray(parseHcl(pieces.join('')).items)
      } catch (error) {
        return error instanceof HclError
      }
    }),
    { numRuns: 2000 },
  )
})

test('HCL reads back any text that JSON quotes, in both syntaxes', () => {
  check(
    property(string({ unit: 'grapheme' }), text => {
      const quoted = JSON.stringify(text)
      const [item] = parseHcl(`{"a": ${quoted}}`).items
      assert.deepEqual(item!.value.kind === 'string' && item!.value.value, text)
    }),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { httpDate, renderHead } from './render.ts'

test('render: the Date header is the one of RFC 9110', () => {
  assert.equal(httpDate(784_111_777_000), 'Sun, 06 Nov 1994 08:49:37 GMT')
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799_000 }), ms =>
      assert.equal(httpDate(ms), new Date(ms).toUTCString()),
    ),
    { numRuns: 500 },
  )
})

test('render: status line, headers, Date', () => {
  assert.equal(renderHead(200, [['A', 'b']], 'D'), 'HTTP/1.1 200 OK\r\nA: b\r\nDate: D\r\n')
  assert.equal(renderHead(473, [], 'D'), 'HTTP/1.1 473 \r\nDate: D\r\n')
})

for (const [rule, name, value] of [
  ['CR in a value', 'A', 'b\rc'],
  ['LF in a value', 'A', 'b\nSet-Cookie: c'],
  ['NUL in a value', 'A', 'b\0'],
  ['what latin1 can not say', 'A', '\u2028'],
  ['a name that is no token', 'A b', 'c'],
  ['an empty name', '', 'c'],
  ['Content-Length of a handler', 'content-length', '1'],
  ['Transfer-Encoding of a handler', 'Transfer-Encoding', 'chunked'],
] as const) {
  test(`render: refuses ${rule}`, () => assert.throws(() => renderHead(200, [[name, value]], 'D'), /can't be sent/))
}

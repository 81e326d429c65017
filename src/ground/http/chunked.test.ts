import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ChunkDecoder } from './chunked.ts'

function decode(pieces: readonly (string | Buffer)[]): { body: string; rest: string; decoder: ChunkDecoder } {
  const decoder = new ChunkDecoder()
  let body = ''
  let rest = ''
  for (const piece of pieces) {
    const input = Buffer.from(piece as string, 'latin1')
    const end = decoder.decode(input, 0, data => {
      body += data.toString('latin1')
    })
    rest += input.toString('latin1', end)
  }
  return { body, rest, decoder }
}

for (const [rule, raw, body, rest] of [
  ['chunks are joined', '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n', 'abcde', ''],
  [
    'sizes are hexadecimal, in either case',
    'a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n',
    '01234567890123456789',
    '',
  ],
  ['what follows is left', '1\r\na\r\n0\r\n\r\nGET /', 'a', 'GET /'],
  ['extensions are dropped', '1;a=b;c="d"\r\na\r\n0;x\r\n\r\n', 'a', ''],
  ['trailers are dropped', '1\r\na\r\n0\r\nX-Vault-Token: t\r\nB: c\r\n\r\nrest', 'a', 'rest'],
  ['line ends in the data are data', '4\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n\r\n', ''],
  ['leading zeros are zeros', '0001\r\na\r\n000\r\n\r\n', 'a', ''],
] as const) {
  test(`chunked: ${rule}`, () => {
    const got = decode([raw])
    assert.deepEqual([got.body, got.rest, got.decoder.isDone, got.decoder.fault], [body, rest, true, null])
  })
}

for (const [rule, raw] of [
  ['no size', '\r\na\r\n'],
  ['a size that is no number', 'g\r\na\r\n'],
  ['a size with 0x', '0x1\r\na\r\n'],
  ['a signed size', '+1\r\na\r\n'],
  ['a size beyond counting', '100000000\r\n'],
  ['a blank behind the size', '1 \r\na\r\n'],
  ['a blank before the size', ' 1\r\na\r\n'],
  ['a bare LF behind the size', '1\na\r\n0\r\n\r\n'],
  ['a bare LF behind an extension', '1;a\nxx\r\n0\r\n\r\n'],
  ['a bare CR in an extension', '1;a\rb\r\na\r\n'],
  ['a chunk longer than its size', '1\r\nab\r\n0\r\n\r\n'],
  ['a bare LF behind the data', '1\r\na\n0\r\n\r\n'],
  ['a folded trailer', '0\r\nA: b\r\n c\r\n\r\n'],
  ['a trailer with a blank before its colon', '0\r\nA : b\r\n\r\n'],
  ['a bare LF behind a trailer', '0\r\nA: b\n\r\n'],
  ['a bare LF for the end', '0\r\n\n'],
  ['a long extension', `1;${'x'.repeat(5_000)}\r\na\r\n`],
  ['many extensions', `1;${'x'.repeat(1_000)}\r\na\r\n`.repeat(20)],
  ['many trailers', `0\r\n${'A: b\r\n'.repeat(101)}\r\n`],
] as const) {
  test(`chunked: refuses ${rule}`, () => {
    const { decoder } = decode([raw])
    assert.notEqual(decoder.fault, null)
    assert.equal(decoder.isDone, false)
  })
}

test('chunked: how the bytes are cut makes no difference', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 }),
      fc.infiniteStream(fc.nat(9)),
      (chunks, cuts) => {
        const body = Buffer.concat(chunks).toString('latin1')
        const raw = Buffer.concat([
          ...chunks.map(chunk =>
            Buffer.concat([Buffer.from(`${chunk.length.toString(16)};e\r\n`), chunk, Buffer.from('\r\n')]),
          ),
          Buffer.from('0\r\nT: v\r\n\r\nnext'),
        ])
        const pieces: Buffer[] = []
        for (let at = 0; at < raw.length; ) {
          const end = at + 1 + (cuts.next().value as number)
          pieces.push(raw.subarray(at, end))
          at = end
        }
        const got = decode(pieces)
        assert.deepEqual([got.body, got.rest, got.decoder.isDone], [body, 'next', true])
      },
    ),
    { numRuns: 200 },
  )
})

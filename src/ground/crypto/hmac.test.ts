import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { createHmacKey } from './hmac.ts'

for (const [rule, key, message, want] of [
  [
    'RFC 4231 case 2',
    'Jefe',
    'what do ya want for nothing?',
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
  [
    'RFC 4231 case 6, a key longer than a block',
    Buffer.alloc(131, 0xaa),
    'Test Using Larger Than Block-Size Key - Hash Key First',
    '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  ],
] as const) {
  test(`hmac: ${rule}`, () => assert.equal(createHmacKey(key).hex(message), want))
}

test('hmac: equals node:crypto for any key and message, one key for many messages', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.string({ unit: 'grapheme', maxLength: 300 })),
      (secret, messages) => {
        const key = createHmacKey(secret)
        for (const message of messages) {
          const want = createHmac('sha256', secret).update(message)
          assert.equal(key.hex(message), want.digest('hex'))
          assert.deepEqual(key.digest(Buffer.from(message)), createHmac('sha256', secret).update(message).digest())
        }
      },
    ),
    { numRuns: 50 },
  )
})

test('hmac: long messages and lone surrogates are hashed as node:crypto does', () => {
  const key = createHmacKey('k')
  for (const message of ['x'.repeat(1024), '€'.repeat(1024), '€'.repeat(5000), 'a\ud800b', '']) {
    assert.equal(key.hex(message), createHmac('sha256', 'k').update(message).digest('hex'))
  }
})

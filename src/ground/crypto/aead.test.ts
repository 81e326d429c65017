import assert from 'node:assert/strict'
import { createDecipheriv } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { seededEntropy } from '#ground/base/entropy.ts'
import { AeadError, aeadOverhead, createAeadKey } from './aead.ts'

const entropy = seededEntropy(1)
const raw = entropy.bytes(32)
const key = createAeadKey(raw)
const text = (value: string): Uint8Array => Buffer.from(value)

test('aead: what was sealed opens under the same key and associated data', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(8),
      (plain, aad, headroom) => {
        const sealed = key.seal(entropy, plain, aad, headroom)
        assert.equal(sealed.length, headroom + plain.length + aeadOverhead)
        assert.deepEqual(Uint8Array.from(key.open(sealed, aad, headroom)), plain)
      },
    ),
  )
})

test('aead: the form is nonce, ciphertext, tag of AES-256-GCM', () => {
  const sealed = key.seal(entropy, text('hello'), text('a'))
  const decipher = createDecipheriv('aes-256-gcm', raw, sealed.subarray(0, 12))
  decipher.setAAD(text('a')).setAuthTag(sealed.subarray(-16))
  assert.equal(decipher.update(sealed.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8'), 'hello')
})

test('aead: two seals of one text differ', () => {
  assert.notDeepEqual(key.seal(entropy, text('x'), text('')), key.seal(entropy, text('x'), text('')))
})

test('aead: every changed bit, other data, another key and every truncation is refused', () => {
  const sealed = key.seal(entropy, text('hello'), text('a'))
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const changed = Uint8Array.from(sealed)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    assert.throws(() => key.open(changed, text('a')), AeadError)
  }
  for (let length = 0; length < sealed.length; length++) {
    assert.throws(() => key.open(sealed.subarray(0, length), text('a')), AeadError)
  }
  assert.throws(() => key.open(sealed, text('b')), AeadError)
  assert.throws(() => createAeadKey(entropy.bytes(32)).open(sealed, text('a')), AeadError)
})

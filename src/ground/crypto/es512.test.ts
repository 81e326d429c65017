import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { newEs512Key, openEs512, readEs512Key, signEs512 } from './es512.ts'

const key = readEs512Key(newEs512Key())
const encoded = (text: string): string => Buffer.from(text).toString('base64url')
const signed = signEs512({ jti: 'a' }, key)
const [head = '', body = '', signature = ''] = signed.split('.')

test('es512: what a key signed it opens, and no other', () => {
  assert.deepEqual(openEs512(signed, key), { jti: 'a' })
  assert.equal(openEs512(signed, readEs512Key(newEs512Key())), null)
  assert.deepEqual(openEs512(signed, readEs512Key(key.pem)), { jti: 'a' })
})

for (const [rule, text] of [
  ['nothing', ''],
  ['two parts', `${head}.${body}`],
  ['four parts', `${signed}.x`],
  ['no signature', `${head}.${body}.`],
  ['other claims', `${head}.${encoded('{"jti":"b"}')}.${signature}`],
  ['no algorithm', `${encoded('{"alg":"none","typ":"JWT"}')}.${body}.`],
  ['another algorithm', `${encoded('{"alg":"HS256","typ":"JWT"}')}.${body}.${signature}`],
  ['a signature in DER', `${head}.${body}.${encoded('0000')}`],
  ['very much', `${head}.${'a'.repeat(100_000)}.${signature}`],
] as const) {
  test(`es512: ${rule} is refused`, () => assert.equal(openEs512(text, key), null))
}

test('es512: a key of another curve is none', () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
  assert.throws(() => readEs512Key(pem), /not on P-521/)
})

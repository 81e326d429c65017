import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pgpKeyBase64 } from './pgp-key.ts'

const armoured =
  '-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\nbUZD\nAAEC\n=njUN\n-----END PGP PUBLIC KEY BLOCK-----\n'

for (const [rule, key, want] of [
  ['an armoured PGP key loses its armour', Buffer.from(armoured), 'bUZDAAEC'],
  ['a PGP key in base64 stays', Buffer.from('bUZDAAEC\n'), 'bUZDAAEC'],
  ['a binary PGP key becomes base64', Buffer.from([0x99, 1, 0]), 'mQEA'],
] as const) {
  test(rule, () => assert.equal(pgpKeyBase64(key), want))
}

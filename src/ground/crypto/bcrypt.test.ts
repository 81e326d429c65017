import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bcryptHash, bcryptMatches } from './bcrypt.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

// Of the test vectors of crypt_blowfish 1.3 (Solar Designer, public domain), all of cost 5.
const vectors: readonly (readonly [password: string, hash: string])[] = [
  ['U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['U*U*', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK'],
  ['U*U*U', '$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a'],
  ['', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy'],
]

for (const [password, hash] of vectors) {
  test(`bcrypt: the published hash of "${password}" is matched, under any letter of its version`, () => {
    assert.equal(bcryptMatches(bytes(password), hash), true)
    assert.equal(bcryptMatches(bytes(password), hash.replace('$2a$', '$2b$')), true)
    assert.equal(bcryptMatches(bytes(password), hash.replace('$2a$', '$2y$')), true)
    assert.equal(bcryptMatches(bytes(`${password}x`), hash), false)
  })
}

test('bcrypt: a hash made here matches its password alone, blanks, line ends and other scripts included', () => {
  const salt = Uint8Array.from({ length: 16 }, (_, i) => i * 16 + 1)
  for (const password of ['correct horse', ' edged \n', 'Grüße, 世界 🔑', '\ufeffmarked']) {
    const hash = bcryptHash(bytes(password), salt, 4)
    assert.match(hash, /^\$2b\$04\$[./A-Za-z0-9]{53}$/)
    assert.equal(bcryptMatches(bytes(password), hash), true, password)
    assert.equal(bcryptMatches(bytes(password.trim()), hash), password === password.trim())
    assert.equal(bcryptMatches(bytes(password.replace('\ufeff', '')), hash), !password.includes('\ufeff'))
  }
  assert.notEqual(bcryptHash(bytes('a'), salt, 4), bcryptHash(bytes('a'), new Uint8Array(16), 4))
})

test('bcrypt: bits of the salt that do not count may be anything, as some makers leave them', () => {
  const hash = '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'
  assert.equal(bcryptMatches(bytes('U*U'), `${hash.slice(0, 28)}/${hash.slice(29)}`), true)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joinShares, splitSecret } from './shamir.ts'

const secret = Uint8Array.from({ length: 32 }, (_, index) => index * 7)

for (const [shares, threshold] of [
  [2, 2],
  [3, 2],
  [5, 3],
  [10, 10],
  [255, 2],
] as const) {
  test(`shamir: any ${threshold} of ${shares} give the secret, 33 bytes each, x last and distinct`, async () => {
    const all = await splitSecret(secret, shares, threshold)
    assert.equal(all.length, shares)
    assert.ok(all.every(share => share.length === 33))
    assert.equal(new Set(all.map(share => share[32])).size, shares)
    assert.deepEqual(await joinShares(all.slice(0, threshold)), secret)
    assert.deepEqual(await joinShares(all.slice(-threshold)), secret)
  })
}

test('shamir: one share of one is the secret itself', async () => {
  const [share] = await splitSecret(secret, 1, 1)
  assert.deepEqual(share, secret)
  assert.deepEqual(await joinShares([share!]), secret)
})

test('shamir: fewer shares than the threshold give other bytes', async () => {
  const all = await splitSecret(secret, 5, 3)
  assert.notDeepEqual(await joinShares(all.slice(0, 2)), secret)
})

test('shamir: shares made elsewhere with the y bytes first and x last join', async () => {
  // A line over GF(2^8): y = secret + c·x with c = 1, so y is secret XOR x.
  const share = (x: number): Uint8Array => Uint8Array.from([...secret.map(byte => byte ^ x), x])
  assert.deepEqual(await joinShares([share(1), share(200)]), secret)
})

test('shamir: the same share twice is refused', async () => {
  const [share] = await splitSecret(secret, 3, 2)
  await assert.rejects(joinShares([share!, share!]), /duplicate/)
})

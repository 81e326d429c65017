import { combine, split } from 'shamir-secret-sharing'
import { assert } from '#ground/base/assert.ts'
import type { Bytes } from '#ground/base/brand.ts'

/**
 * Splits a secret as Vault does: each share is the y bytes and then one x byte (33 bytes for a key of 32). One share of
 * one is the secret itself, without an x byte.
 * @param shares 1 to 255. @param threshold 2 to `shares`, or 1 when there is one share.
 */
export async function splitSecret(secret: Bytes, shares: number, threshold: number): Promise<Bytes[]> {
  if (shares === 1) {
    assert(threshold === 1, 'one share has the threshold one')
    return [Uint8Array.from(secret)]
  }
  return split(Uint8Array.from(secret), shares, threshold)
}

/**
 * Joins shares. Nothing in them tells whether they belong together: wrong ones give wrong bytes, and what was sealed
 * by the secret has to show it.
 * @param shares as many as the threshold, each once; one alone is the secret itself.
 * @throws Error when two stand at the same x, or lengths differ.
 */
export async function joinShares(shares: readonly Bytes[]): Promise<Bytes> {
  assert(shares.length > 0, 'there is a share')
  if (shares.length === 1) return Uint8Array.from(shares[0]!)
  return combine(shares.map(share => Uint8Array.from(share)))
}

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { seededEntropy } from '#ground/base/entropy.ts'
import { isRecoveryKey, recoveryDigest } from './recovery.ts'
import { type SealConfig, SealError } from './seal.ts'
import { decodeSealConfig, encodeSealConfig } from './seal-config.ts'
import { shamirSeal, splitKey, splitProblem, UnsealProgress } from './shamir.ts'
import { readStaticKey, staticSeal } from './static.ts'
import { parseShare, shareTexts } from './unseal-key.ts'

const entropy = seededEntropy(11)
const rootKey = entropy.bytes(32)
const wrongKey = { name: 'SealError', code: 'wrong-key' }

for (const [shares, threshold, want] of [
  [1, 1, null],
  [5, 3, null],
  [255, 255, null],
  [0, 1, 'shares must be at least one'],
  [1, 0, 'threshold must be at least one'],
  [2, 1, 'threshold must be greater than one for multiple shares'],
  [256, 3, 'shares must be less than 256'],
  [5, 256, 'threshold must be less than 256'],
  [2, 3, 'threshold cannot be larger than shares'],
] as const) {
  test(`split: ${threshold} of ${shares} is ${want ?? 'fine'}`, () =>
    assert.equal(splitProblem(shares, threshold), want))
}

const share = Buffer.from(Array.from({ length: 33 }, (_, index) => index + 1))
// 44 characters of base64 that are all hex digits: 22 bytes as hex, 33 as base64.
const ambiguous = 'abcdef0123456789'.repeat(4).slice(0, 44)
for (const [rule, text, want] of [
  ['hex of 33 bytes', share.toString('hex'), share],
  ['hex in capitals', share.toString('hex').toUpperCase(), share],
  ['base64 of 33 bytes', share.toString('base64'), share],
  ['hex of 32 bytes, the only share of one', share.toString('hex').slice(0, 64), share.subarray(0, 32)],
  ['hex first when its length is one of a share', ambiguous, Buffer.from(ambiguous, 'hex')],
  ['base64 when the hex would be too short', 'ab'.repeat(12), Buffer.from('ab'.repeat(12), 'base64')],
] as const) {
  test(`share: ${rule} is taken`, () => assert.deepEqual(Buffer.from(parseShare(text)), Buffer.from(want)))
}

for (const [rule, text, want] of [
  ['nothing', '', "'key' must be specified in request body as JSON, or 'reset' set to true"],
  ['neither hex nor base64', 'not a key!', "'key' must be a valid hex or base64 string"],
  ['too short', 'AAAA', 'invalid key: key is shorter than minimum 16 bytes'],
  ['too long', Buffer.alloc(34).toString('base64'), 'invalid key: key is longer than maximum 33 bytes'],
] as const) {
  test(`share: ${rule} is refused`, () => {
    assert.throws(() => parseShare(text), { name: 'SealError', code: 'bad-key', message: want })
  })
}

test('share: its texts read back', () => {
  const texts = shareTexts(share)
  for (const text of [texts.hex, texts.base64]) assert.deepEqual(Buffer.from(parseShare(text)), share)
})

test('unsealing: a share given twice is ignored, the threshold joins, and the nonce names the attempt', async () => {
  const key = entropy.bytes(32)
  const shares = await splitKey(key, { shares: 5, threshold: 3 })
  const progress = new UnsealProgress(entropy)
  assert.deepEqual([progress.progress, progress.nonce], [0, ''])
  assert.equal(await progress.add(shares[0]!, { threshold: 3 }), null)
  const { nonce } = progress
  assert.match(nonce, /^[0-9a-f-]{36}$/)
  assert.equal(await progress.add(shares[0]!, { threshold: 3 }), null)
  assert.deepEqual([progress.progress, progress.nonce], [1, nonce])
  assert.equal(await progress.add(shares[4]!, { threshold: 3 }), null)
  assert.deepEqual(await progress.add(shares[2]!, { threshold: 3 }), key)
  assert.deepEqual([progress.progress, progress.nonce], [0, ''])
})

test('unsealing: a wrong set fails only at the threshold and resets progress', async () => {
  const [right] = await splitKey(entropy.bytes(32), { shares: 2, threshold: 2 })
  const [foreign] = await splitKey(entropy.bytes(32), { shares: 2, threshold: 2 })
  const wrapped = shamirSeal(entropy.bytes(32), entropy).wrap(rootKey)
  const progress = new UnsealProgress(entropy)
  await progress.add(right!, { threshold: 2 })
  // The two may stand at one x by chance; then joining itself refuses.
  const unsealed = async (): Promise<unknown> => {
    const joined = await progress.add(foreign!, { threshold: 2 })
    return shamirSeal(joined!, entropy).unwrap(wrapped)
  }
  await assert.rejects(unsealed, wrongKey)
  assert.equal(progress.progress, 0)
})

test('unsealing: shares of different lengths, and a key of another length, are wrong keys', async () => {
  const progress = new UnsealProgress(entropy)
  await progress.add(share, { threshold: 2 })
  await assert.rejects(progress.add(share.subarray(0, 32), { threshold: 2 }), wrongKey)
  assert.equal(progress.progress, 0)
  const wrapped = shamirSeal(entropy.bytes(32), entropy).wrap(rootKey)
  assert.throws(() => shamirSeal(entropy.bytes(16), entropy).unwrap(wrapped), wrongKey)
})

test('unsealing: reset forgets what was given', async () => {
  const progress = new UnsealProgress(entropy)
  await progress.add(share, { threshold: 2 })
  progress.reset()
  assert.deepEqual([progress.progress, progress.nonce], [0, ''])
})

test('static seal: the previous key still opens, and the current one is asked for', () => {
  const old = { id: '2025', key: entropy.bytes(32) }
  const current = { id: '2026', key: entropy.bytes(32) }
  const wrapped = staticSeal({ current: old, previous: null, entropy }).wrap(rootKey)
  const rotated = staticSeal({ current, previous: old, entropy })
  assert.deepEqual(Uint8Array.from(rotated.unwrap(wrapped)), rootKey)
  assert.equal(rotated.isCurrent(wrapped), false)
  const again = rotated.wrap(rotated.unwrap(wrapped))
  assert.equal(rotated.isCurrent(again), true)
  const onlyCurrent = staticSeal({ current, previous: null, entropy })
  assert.deepEqual(Uint8Array.from(onlyCurrent.unwrap(again)), rootKey)
  assert.throws(() => onlyCurrent.unwrap(wrapped), {
    ...wrongKey,
    message:
      'the storage is sealed by the key "2025"; configured is "2026": set previous_key_id and previous_key to it',
  })
})

test('static seal: another key under the same name is a wrong key, and so is every changed byte', () => {
  const current = { id: 'a', key: entropy.bytes(32) }
  const wrapped = staticSeal({ current, previous: null, entropy }).wrap(rootKey)
  const other = staticSeal({ current: { id: 'a', key: entropy.bytes(32) }, previous: null, entropy })
  assert.throws(() => other.unwrap(wrapped), wrongKey)
  const seal = staticSeal({ current, previous: null, entropy })
  for (let at = 0; at < wrapped.length; at++) {
    const changed = Uint8Array.from(wrapped)
    changed[at]! ^= 1
    assert.throws(() => seal.unwrap(changed), SealError)
  }
  for (let length = 0; length < wrapped.length; length++) {
    assert.throws(() => seal.unwrap(wrapped.subarray(0, length)), SealError)
  }
})

test('static seal: a key is read from hex, base64, a file with either or the bytes, and the environment', () => {
  const key = Buffer.from(entropy.bytes(32))
  const folder = mkdtempSync(join(tmpdir(), 'coffer-static-seal-'))
  try {
    const file = (name: string, content: string | Buffer): string => {
      writeFileSync(join(folder, name), content)
      return `file://${join(folder, name)}`
    }
    const env = { SEAL_KEY: key.toString('hex'), EMPTY: '' }
    const forms = [
      key.toString('hex'),
      key.toString('base64'),
      key.toString('base64').replace('=', ''),
      file('raw', key),
      file('hex', `${key.toString('hex')}\n`),
      file('base64', `${key.toString('base64')}\n`),
      'env://SEAL_KEY',
    ]
    for (const form of forms) assert.deepEqual(Buffer.from(readStaticKey(form, env)), key, form)
    for (const [given, want] of [
      ['short', 'current_key must be 32 bytes, as hex or base64'],
      ['env://MISSING', 'current_key: the environment variable MISSING is not set'],
      ['env://EMPTY', 'current_key: the environment variable EMPTY is not set'],
      [`file://${folder}/missing`, `current_key: the file ${folder}/missing can not be read: ENOENT`],
    ] as const) {
      assert.throws(() => readStaticKey(given, env), { name: 'SealError', code: 'bad-key', message: want })
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

const config: SealConfig = { type: 'static', shares: 1, threshold: 1, recoveryShares: 5, recoveryThreshold: 3 }

test('seal configuration: it reads back', () => {
  for (const one of [config, { ...config, type: 'shamir', recoveryShares: 0, recoveryThreshold: 0 } as const]) {
    assert.deepEqual(decodeSealConfig(encodeSealConfig(one)), one)
  }
})

for (const [rule, text] of [
  ['no JSON', '{'],
  ['null', 'null'],
  ['an unknown seal', JSON.stringify({ ...config, type: 'rot13' })],
  ['a threshold of nothing', JSON.stringify({ ...config, type: 'shamir', shares: 5, threshold: 0 })],
  ['a threshold over the shares', JSON.stringify({ ...config, shares: 2, threshold: 3 })],
  ['half a recovery', JSON.stringify({ ...config, recoveryShares: 0 })],
  ['shares that are no number', JSON.stringify({ ...config, shares: '1' })],
] as const) {
  test(`seal configuration: ${rule} is damage`, () => {
    assert.throws(() => decodeSealConfig(Buffer.from(text)), { name: 'SealError', code: 'damaged' })
  })
}

test('recovery: only the key itself is recognised', () => {
  const key = entropy.bytes(32)
  assert.equal(isRecoveryKey(key, recoveryDigest(key)), true)
  assert.equal(isRecoveryKey(entropy.bytes(32), recoveryDigest(key)), false)
  assert.equal(isRecoveryKey(recoveryDigest(key), recoveryDigest(key)), false)
})

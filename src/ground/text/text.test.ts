import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import { assert as check, integer, ipV4, ipV6, property, string } from 'fast-check'
import { cidrContains, cidrCovers, formatIp, parseCidr, parseIp, sameCidr } from './cidr.ts'
import { formatCompactDuration, formatGoDuration, parseDurationSeconds, parseGoDuration } from './duration.ts'
import { nearestWord } from './nearest.ts'
import { formatRfc3339, formatRfc3339Nano, parseRfc3339 } from './time.ts'

const compact: readonly (readonly [seconds: number, full: string, compact: string])[] = [
  [0, '0s', '0s'],
  [90, '1m30s', '1m30s'],
  [60, '1m0s', '1m'],
  [3600, '1h0m0s', '1h'],
  [5400, '1h30m0s', '1h30m'],
  [2_764_800, '768h0m0s', '768h'],
  [0.5, '500ms', '500ms'],
]
for (const [seconds, full, short] of compact) {
  test(`duration: ${seconds} s is ${full}, or ${short}`, () => {
    assert.equal(formatGoDuration(seconds), full)
    assert.equal(formatCompactDuration(seconds), short)
  })
}

test('duration: what is written is read back', () => {
  check(
    property(integer({ min: -1e9, max: 1e9 }), ms =>
      assert.equal(Math.round(parseGoDuration(formatGoDuration(ms / 1000)) / 1e6), ms),
    ),
  )
})

test('duration: a number is seconds and loses its fraction', () => {
  assert.equal(parseDurationSeconds(90.9), 90)
  assert.throws(() => parseDurationSeconds(Number.NaN), { name: 'DurationError' })
})

test('time: what is written is read back, and as Date writes it', () => {
  check(
    property(integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }), ms => {
      assert.equal(parseRfc3339(formatRfc3339Nano(ms)), ms)
      assert.equal(formatRfc3339(ms), new Date(Math.floor(ms / 1000) * 1000).toISOString().replace('.000Z', 'Z'))
    }),
  )
})

test('time: a fraction has no zero at its end, and nanoseconds can be given', () => {
  assert.equal(formatRfc3339Nano(1_000, 1_500), '1970-01-01T00:00:01.0000015Z')
  assert.equal(formatRfc3339Nano(1_120), '1970-01-01T00:00:01.12Z')
})

test('cidr: every address is in the block of itself, and formats to what it was', () => {
  for (const family of [ipV4(), ipV6()]) {
    check(
      property(family, address => {
        const bytes = parseIp(address)!
        assert.ok(cidrContains(parseCidr(address), address))
        assert.ok(isIP(formatIp(bytes)))
        assert.deepEqual(parseIp(formatIp(bytes)), bytes)
      }),
    )
  }
})

test('cidr: an IPv4 address in IPv6 form is the IPv4 address, and a zone is no part of it', () => {
  assert.ok(cidrContains(parseCidr('10.0.0.0/8'), '::ffff:10.1.2.3'))
  assert.ok(cidrContains(parseCidr('::ffff:10.0.0.0/104'), '10.1.2.3'))
  assert.ok(cidrContains(parseCidr('fe80::/10'), 'fe80::1%eth0'))
  assert.equal(cidrContains(parseCidr('10.0.0.0/8'), 'unknown'), false)
})

test('cidr: blocks cover smaller ones, and compare by content', () => {
  assert.ok(cidrCovers(parseCidr('10.0.0.0/8'), parseCidr('10.1.0.0/16')))
  assert.ok(!cidrCovers(parseCidr('10.1.0.0/16'), parseCidr('10.0.0.0/8')))
  assert.ok(sameCidr('127.0.0.1', '127.0.0.1/32'))
  assert.ok(!sameCidr('127.0.0.1', 'localhost'))
})

for (const bad of [
  '',
  '10.0.0',
  '10.0.0.0/33',
  '::/129',
  '10.0.0.0/',
  '10.0.0.0/-1',
  '10.0.0.0/8/8',
  'fe80::1%eth0',
  'x',
  '010.0.0.1',
]) {
  test(`cidr: ${JSON.stringify(bad)} is refused`, () =>
    assert.throws(() => parseCidr(bad), { name: 'CidrError', message: /^invalid CIDR "/ }))
}

const near: readonly (readonly [word: string, want: string | null])[] = [
  ['capabilites', 'capabilities'],
  ['Policy', 'policy'],
  ['polciy', 'policy'],
  ['nothing', null],
  ['x'.repeat(100), null],
]
for (const [word, want] of near) {
  test(`nearest: ${word.slice(0, 12)} means ${want}`, () =>
    assert.equal(nearestWord(word, ['policy', 'capabilities', 'comment']), want))
}

test('nearest: any words can be asked for', () => {
  check(property(string(), string(), (a, b) => [null, b].includes(nearestWord(a, [b]))))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import { lockoutRule } from './rule.ts'

const tune = (threshold: number, more: { duration?: number; isDisabled?: boolean } = {}) => ({
  threshold,
  duration: seconds(more.duration ?? 0),
  counterReset: seconds(0),
  ...(more.isDisabled !== undefined && { isDisabled: more.isDisabled }),
})

for (const [what, stanzas, tuned, want] of [
  ['the default where nothing is said', {}, undefined, [5, 900, false]],
  ['the stanza for all', { all: tune(3, { duration: 60 }) }, undefined, [3, 60, false]],
  ['its own before that', { all: tune(3, { duration: 60 }), userpass: tune(4) }, undefined, [4, 60, false]],
  ['not that of another type', { ldap: tune(9) }, undefined, [5, 900, false]],
  ['the mount before both', { all: tune(3), userpass: tune(4) }, tune(7), [7, 900, false]],
  ['off by a stanza', { userpass: tune(0, { isDisabled: true }) }, undefined, [5, 900, true]],
  ['on by the mount', { all: tune(0, { isDisabled: true }) }, tune(0, { isDisabled: false }), [5, 900, false]],
] as const) {
  test(`lockout rule of a userpass mount: ${what}`, () => {
    const settings = { isDisabled: false, stanzas: new Map(Object.entries(stanzas)) }
    const rule = lockoutRule('userpass', tuned, settings)
    assert.deepEqual([rule.threshold, rule.duration, rule.isDisabled], want)
    assert.equal(lockoutRule('userpass', tuned, { ...settings, isDisabled: true }).isDisabled, true)
  })
}

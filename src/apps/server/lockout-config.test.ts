import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readServerConfig } from './config.ts'

const base = 'storage "inmem" {}\nlistener "tcp" { address = "127.0.0.1:0" tls_disable = true }\n'
const read = (text: string) => readServerConfig([{ name: 'x.hcl', text: base + text }])

test('server configuration: user_lockout stanzas by type and for all', () => {
  const { config, warnings } = read(`
    user_lockout "all" { lockout_duration = "10m" lockout_counter_reset = "5m" }
    user_lockout "UserPass" { lockout_threshold = "3" disable_lockout = "true" }
  `)
  assert.deepEqual(warnings, [])
  assert.deepEqual(
    [...config.lockouts],
    [
      ['all', { threshold: 0, duration: 600, counterReset: 300 }],
      ['userpass', { threshold: 3, duration: 0, counterReset: 0, isDisabled: true }],
    ],
  )
})

for (const [what, text, want] of [
  ['of another type', 'user_lockout "jwt" {}', /user_lockout is for all, approle, ldap, userpass, not "jwt"/],
  ['with a word that is none', 'user_lockout "all" { threshold = 3 }', /invalid key "threshold"/],
  ['with less than nothing', 'user_lockout "all" { lockout_threshold = -3 }', /no negative numbers/],
] as const) {
  test(`server configuration: refused is a user_lockout stanza ${what}`, () => {
    assert.throws(() => read(text), want)
  })
}

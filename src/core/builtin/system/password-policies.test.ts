import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { seededEntropy } from '#ground/base/entropy.ts'
import { defaultPasswordRules, generatePassword } from '#backend/passwords.ts'
import { openTestServer } from '#core/testing/mount.ts'

const lower = 'rule "charset" { charset = "abcdef" min-chars = 1 }'
const good = `length = 12\n${lower}\nrule "charset" { charset = "0123!$" min-chars = 3 }`
const path = 'sys/policies/password/strong'

test('password policy: written, read as sent, listed, used and deleted', async () => {
  await using server = await openTestServer({ catalog: [] })
  assert.equal((await server.ask('POST', path, { body: { policy: good } })).status, 204)
  assert.deepEqual((await server.ask('GET', path)).data, { policy: good })
  assert.deepEqual((await server.ask('LIST', 'sys/policies/password')).data, { keys: ['strong'] })
  const { password } = (await server.ask('GET', `${path}/generate`)).data as { password: string }
  assert.match(password, /^[abcdef0123!$]{12}$/)
  assert.ok(Array.from(password).filter(char => '0123!$'.includes(char)).length >= 3)
  assert.equal((await server.ask('DELETE', path)).status, 204)
  assert.equal((await server.ask('LIST', 'sys/policies/password')).status, 404)
})

test('password policy: base64 is taken, and shown as the text that it holds', async () => {
  await using server = await openTestServer({ catalog: [] })
  await server.ask('POST', path, { body: { policy: Buffer.from(good).toString('base64') } })
  assert.deepEqual((await server.ask('GET', path)).data, { policy: good })
})

for (const way of ['', '/generate']) {
  test(`password policy: an unknown one is 404 with a text: GET ${path}${way}`, async () => {
    await using server = await openTestServer({ catalog: [] })
    const { status, errors } = await server.ask('GET', path + way)
    assert.deepEqual([status, errors], [404, ['1 error occurred:\n\t* policy does not exist\n\n']])
  })
}

for (const [what, policy, text] of [
  ['no policy', '', /^missing policy$/],
  ['what is no HCL', 'length = ', /^invalid password policy: /],
  ['no length', lower, /^passwords must be between 4 and 100 characters$/],
  ['a short length', `length = 3 ${lower}`, /^passwords must be between 4 and 100 characters$/],
  ['a long length', `length = 101 ${lower}`, /^passwords must be between 4 and 100 characters$/],
  ['no charset', 'length = 20', /^invalid password policy: at least one rule/],
  ['an empty charset', 'length = 20 rule "charset" { charset = "" }', /charset must not be empty/],
  ['a line feed in a charset', 'length = 20 rule "charset" { charset = "a\\n" }', /non-printable character in charset/],
  ['another kind of rule', 'length = 20 rule "words" { }', /unrecognized rule type "words"/],
  ['an unknown key', `length = 20 min = 3 ${lower}`, /invalid key "min"/],
  ['more than fits', 'length = 4 rule "charset" { charset = "a" min-chars = 5 }', /ask for 5 characters/],
] as const) {
  test(`password policy: refused is ${what}`, async () => {
    await using server = await openTestServer({ catalog: [] })
    const { status, errors } = await server.ask('POST', path, { body: { policy } })
    assert.equal(status, 400)
    assert.match(errors.join(), text)
  })
}

test('a password has its length, its least counts, and nothing that no charset holds', () => {
  const charset = fc.record({
    charset: fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
    charactersMin: fc.integer({ min: 0, max: 4 }),
  })
  const rules = fc.record({
    length: fc.integer({ min: 20, max: 100 }),
    charsets: fc.array(charset, { minLength: 1, maxLength: 5 }),
  })
  fc.assert(
    fc.property(rules, fc.integer(), (one, seed) => {
      const password = Array.from(generatePassword(seededEntropy(seed), one))
      const all = new Set(one.charsets.flatMap(each => Array.from(each.charset)))
      assert.equal(password.length, one.length)
      assert.ok(password.every(char => all.has(char)))
      for (const each of one.charsets) {
        const chars = new Set(each.charset)
        assert.ok(password.filter(char => chars.has(char)).length >= each.charactersMin)
      }
    }),
    { numRuns: 200 },
  )
})

test('without a policy a password has 20 letters, digits and hyphens, one of each kind at least', () => {
  const entropy = seededEntropy(1)
  for (let i = 0; i < 200; i++) {
    const password = generatePassword(entropy, defaultPasswordRules)
    assert.match(password, /^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*-)[A-Za-z0-9-]{20}$/)
  }
})

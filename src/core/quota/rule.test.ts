import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Rule, ruleFor } from './rule.ts'

const rule = (name: string, mount = '', suffix = '', role = ''): Rule => ({
  name,
  mount,
  suffix,
  role,
  maxLeases: 1,
  isInheritable: false,
})

const rules = [
  rule('all'),
  rule('db', 'db/'),
  rule('app', 'db/', 'creds/app'),
  rule('creds', 'db/', 'creds/*'),
  rule('creds-a', 'db/', 'creds/a*'),
  rule('admins', 'db/', '', 'admin'),
]

for (const [what, place, want] of [
  ['a mount without a rule falls to the rule on everything', { mount: 'aws/', path: 'aws/creds/x' }, 'all'],
  ['a mount beats everything', { mount: 'db/', path: 'db/static/x' }, 'db'],
  ['the beginning of a path beats its mount', { mount: 'db/', path: 'db/creds/web' }, 'creds'],
  ['the longer beginning beats the shorter', { mount: 'db/', path: 'db/creds/api' }, 'creds-a'],
  ['a whole path beats its beginning', { mount: 'db/', path: 'db/creds/app' }, 'app'],
  ['a whole path is not the beginning of another', { mount: 'db/', path: 'db/creds/app2' }, 'creds-a'],
  ['a role beats all', { mount: 'db/', path: 'db/creds/app', role: 'admin' }, 'admins'],
  ['a role of another mount is another', { mount: 'aws/', path: 'aws/creds/app', role: 'admin' }, 'all'],
  ['what a gone mount left falls to everything', { mount: null, path: 'db/creds/app' }, 'all'],
] as const) {
  test(`quota rule: ${what}`, () => {
    assert.equal(ruleFor(rules, { role: null, ...place })?.name, want)
    assert.equal(ruleFor([...rules].reverse(), { role: null, ...place })?.name, want)
  })
}

test('quota rule: without one nothing is counted', () => {
  assert.equal(ruleFor([], { mount: 'db/', path: 'db/creds/app', role: null }), null)
})

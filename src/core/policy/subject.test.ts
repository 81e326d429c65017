import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instant } from '#ground/base/clock.ts'
import { rootNamespace } from '#backend/namespace.ts'
import { type Acl, compileAcl, grantsBelow } from './acl.ts'
import { controlGroupPolicyText, defaultPolicyText, responseWrappingPolicyText } from './builtin.ts'
import { capabilitiesOn, type Demand, decide } from './decide.ts'
import { isRootPolicy, normalPolicyName, parsePolicyName } from './names.ts'
import { parsePolicy, policyText } from './parse.ts'
import { PolicyError, type Policy } from './policy.ts'
import { nobody, type TemplateSubject } from './template.ts'

const alice: TemplateSubject = {
  entity: {
    id: 'e-1',
    name: 'alice',
    metadata: { team: 'ops', evil: 'x/*', plus: '+', slash: 'a/b', empty: '' },
    aliases: [
      { mountAccessor: 'auth_k8s_1', id: 'al-1', name: 'sa', metadata: { ns: 'web' }, customMetadata: { cost: '42' } },
      { mountAccessor: 'auth_oidc_2', id: 'al-2', name: 'alice@x', metadata: { ns: 'other' }, customMetadata: {} },
    ],
  },
  groups: [{ id: 'g-1', name: 'admins', namespaceId: 'root', metadata: { tier: 'gold' } }],
}

const policy = (text: string, more: Partial<Policy> = {}): Policy => ({
  name: 'p',
  namespace: rootNamespace,
  parsed: parsePolicy(text),
  ...more,
})

function compile(policies: readonly Policy[], subject = alice, now = 0): Acl {
  return compileAcl({ policies, subject, rootNamespace, now: instant(now) })
}

const reads = (acl: Acl, path: string, namespacePath = ''): boolean =>
  decide(acl, { operation: 'read', path, namespacePath, values: null, wrapTtl: 0 }).allowed

const filled: readonly (readonly [selector: string, value: string])[] = [
  ['identity.entity.id', 'e-1'],
  ['identity.entity.name', 'alice'],
  ['identity.entity.metadata.team', 'ops'],
  ['identity.entity.aliases.auth_k8s_1.id', 'al-1'],
  ['identity.entity.aliases.auth_k8s_1.name', 'sa'],
  ['identity.entity.aliases.auth_k8s_1.metadata.ns', 'web'],
  ['identity.entity.aliases.auth_k8s_1.custom_metadata.cost', '42'],
  ['identity.groups.ids.g-1.name', 'admins'],
  ['identity.groups.names.admins.id', 'g-1'],
  ['identity.groups.names.admins.metadata.tier', 'gold'],
]
for (const [selector, value] of filled) {
  test(`policy template: {{${selector}}} is filled in`, () => {
    const acl = compile([policy(`path "s/{{ ${selector} }}/*" { capabilities = ["read"] }`)])
    assert.ok(reads(acl, `s/${value}/x`))
    assert.ok(!reads(acl, 's/{{x}}/x'))
  })
}

const lost: readonly (readonly [rule: string, selector: string])[] = [
  ['an unknown key', 'identity.entity.metadata.none'],
  ['an inherited name', 'identity.entity.metadata.constructor'],
  ['an empty value', 'identity.entity.metadata.empty'],
  ['an unknown mount', 'identity.entity.aliases.auth_x.name'],
  ['a group of others', 'identity.groups.names.root.id'],
  ['another family', 'request.path'],
  ['a value with a star', 'identity.entity.metadata.evil'],
  ['a value with a plus', 'identity.entity.metadata.plus'],
  ['a value with a slash', 'identity.entity.metadata.slash'],
]
for (const [rule, selector] of lost) {
  test(`policy template: the block vanishes with ${rule}, and the reason says so`, () => {
    const acl = compile([policy(`path "s/{{${selector}}}" { capabilities = ["read"] }`)])
    assert.equal(acl.exact.size + acl.prefixes.size + acl.segments.length, 0)
    const verdict = decide(acl, { operation: 'read', path: 's/x', namespacePath: '', values: null, wrapTtl: 0 })
    assert.match(verdict.reason, /doesn't count: /)
    assert.doesNotMatch(verdict.reason, /x\/\*|a\/b/)
  })
}

test('policy template: a value with a wildcard counts where the policy allows it', () => {
  const acl = compile([
    policy('path "s/{{identity.entity.metadata.evil}}" { capabilities = ["read"] }', {
      allowsSlashes: true,
      allowsWildcards: true,
    }),
  ])
  assert.ok(reads(acl, 's/x/y'))
})

test('policy template: a deny is not shaken off by a wildcard in the own metadata', () => {
  const text =
    'path "s/*" { capabilities = ["read"] } path "s/no/{{identity.entity.metadata.evil}}" { capabilities = ["deny"] }'
  assert.ok(!reads(compile([policy(text)]), 's/no/x'))
  assert.ok(reads(compile([policy(text)]), 's/yes'))
})

test('policy template: a token without an entity has no templated path', () => {
  assert.ok(!reads(compile([policy('path "s/{{identity.entity.id}}" { capabilities = ["read"] }')], nobody), 's/e-1'))
})

test('policy: the default policy grants what every token may do about itself', () => {
  const acl = compile([policy(defaultPolicyText, { name: 'default' })])
  for (const [path, words] of [
    ['auth/token/lookup-self', ['read']],
    ['auth/token/renew-self', ['update']],
    ['sys/capabilities-self', ['update']],
    ['identity/entity/id/e-1', ['read']],
    ['identity/entity/name/alice', ['read']],
    ['cubbyhole/a/b', ['create', 'delete', 'list', 'read', 'update']],
    ['sys/tools/hash/sha2-256', ['update']],
    ['identity/oidc/provider/p/authorize', ['read', 'update']],
    ['secret/data/x', ['deny']],
  ] as const) {
    assert.deepEqual(capabilitiesOn(acl, path, ''), words, path)
  }
})

test('policy: the policies of wrapping and control group tokens can be parsed', () => {
  assert.equal(parsePolicy(responseWrappingPolicyText).rules.length, 2)
  assert.equal(parsePolicy(controlGroupPolicyText).rules.length, 2)
})

test('policy: root allows everything in its namespace and below, and says so', () => {
  const root = policy('', { name: 'root' })
  const acl = compile([root])
  const verdict = decide(acl, {
    operation: 'sudo',
    path: 'sys/raw/x',
    namespacePath: 'team/',
    values: null,
    wrapTtl: 0,
  })
  assert.ok(verdict.allowed && verdict.isRoot && verdict.hasSudo)
  assert.deepEqual(
    verdict.granting.map(one => one.name),
    ['root'],
  )
  assert.deepEqual(capabilitiesOn(acl, 'any', ''), ['root'])
  const below = compileAcl({
    policies: [root],
    subject: nobody,
    rootNamespace: { id: 'n1', path: 'team/' },
    now: instant(0),
  })
  assert.ok(!reads(below, 'secret/x'))
  assert.ok(reads(below, 'secret/x', 'team/a/'))
})

test('policy: a token that carries root carries nothing else', () => {
  assert.throws(() => compile([policy('', { name: 'root' }), policy('')]), PolicyError)
})

test('policy: rules hold below the path of their namespace', () => {
  const acl = compile([
    policy('path "secret/*" { capabilities = ["read"] }', { namespace: { id: 'n1', path: 'team/' } }),
  ])
  assert.ok(reads(acl, 'secret/x', 'team/'))
  assert.ok(reads(acl, 'team/secret/x'))
  assert.ok(!reads(acl, 'secret/x'))
})

test('policy: a block counts until it expires, and the set says until when it holds', () => {
  const one = policy('path "a" { capabilities = ["read"] expiration = "2026-01-01T00:00:00Z" }')
  const at = 1_767_225_600_000
  assert.equal(compile([one], nobody, at - 1).validUntil, at)
  assert.ok(reads(compile([one], nobody, at - 1), 'a'))
  assert.ok(!reads(compile([one], nobody, at), 'a'))
})

test('policy: what a rule demands beyond the token is in the verdict', () => {
  const text = `path "a" {
    capabilities = ["read", "list"]
    mfa_methods = ["duo"]
    list_scan_response_keys_filter_path = "x"
    control_group = { ttl = "4h" factor "ops" { identity { group_names = ["g"] approvals = 2 } } }
  }`
  const verdict = decide(compile([policy(text)]), {
    operation: 'read',
    path: 'a',
    namespacePath: '',
    values: null,
    wrapTtl: 0,
  })
  assert.deepEqual(verdict.demands, {
    mfaMethods: ['duo'],
    keysFilter: 'x',
    controlGroup: {
      ttlSeconds: 14_400,
      isSelfAuthorizationAllowed: false,
      factors: [{ name: 'ops', groupNames: ['g'], groupIds: [], approvals: 2, controlledCapabilities: [] }],
    },
  })
})

const demanding: readonly (readonly [demand: Demand, text: string, operation: 'read' | 'list'])[] = [
  ['mfa_methods', 'mfa_methods = ["duo"]', 'read'],
  ['control_group', 'control_group = { factor "f" { identity { approvals = 1 } } }', 'read'],
  ['list_scan_response_keys_filter_path', 'list_scan_response_keys_filter_path = "x"', 'list'],
]
for (const [demand, text, operation] of demanding) {
  test(`policy: a rule with ${demand} refuses unless the demand is seen to`, () => {
    const acl = compile([policy(`path "a" { capabilities = ["read", "list"] ${text} }`)])
    const ask = { operation, path: 'a', namespacePath: '', values: null, wrapTtl: 0 }
    assert.equal(decide(acl, ask).allowed, false)
    assert.match(decide(acl, ask).reason, new RegExp(`${demand} can't be enforced here`))
    assert.equal(decide(acl, { ...ask, enforces: new Set([demand]) }).allowed, true)
  })
}

test('policy: reasons name rule and policies, and no value', () => {
  const acl = compile([
    policy(
      'path "a" { capabilities = ["update"] denied_parameters = { "x" = ["s3cret"] } } path "b" { capabilities = ["deny"] }',
    ),
  ])
  const reason = (path: string, operation: 'read' | 'update'): string =>
    decide(acl, { operation, path, namespacePath: '', values: { x: 's3cret' }, wrapTtl: 0 }).reason
  assert.equal(
    reason('a', 'read'),
    'the rule "a" (policy "p") is the most specific that matches and doesn\'t grant read; it grants update',
  )
  assert.equal(
    reason('a', 'update'),
    'the rule "a" (policy "p") has the capability, but the value of the parameter "x" is denied',
  )
  assert.equal(reason('b', 'read'), 'the rule "b" (policy "p") denies everything')
  assert.equal(reason('c', 'read'), 'no rule of policy "p" matches "c"')
})

const below: readonly (readonly [text: string, want: boolean])[] = [
  ['secret/*', true],
  ['secret/data/x', true],
  ['s*', true],
  ['*', true],
  ['+/data/x', true],
  ['+/x*', true],
  ['secret/+/x', true],
  ['other/*', false],
  ['+', true],
  ['secret', true],
]
for (const [text, want] of below) {
  test(`policy: "${text}" ${want ? 'shows' : 'hides'} the mount secret/`, () => {
    assert.equal(grantsBelow(compile([policy(`path "${text}" { capabilities = ["read"] }`)]), 'secret/'), want)
    assert.equal(grantsBelow(compile([policy(`path "${text}" { capabilities = ["deny"] }`)]), 'secret/'), false)
  })
}

for (const spelling of ['root', 'Root', ' ROOT ', 'rooT\u00a0', '\ufeffroot', 'root\n']) {
  test(`policy names: ${JSON.stringify(spelling)} is root`, () => assert.ok(isRootPolicy(spelling)))
}
for (const bad of ['', '  ', 'a/../b', '.', 'a\u0000b', 'a\u200bb', 'x'.repeat(513)]) {
  test(`policy names: ${JSON.stringify(bad.slice(0, 10))} is refused`, () =>
    assert.throws(() => parsePolicyName(bad), { name: 'PolicyNameError' }))
}
test('policy names: they are lower case without outer blanks, and may hold slashes', () => {
  assert.equal(parsePolicyName(' Team/App '), 'team/app')
  assert.equal(normalPolicyName('\ud800X'), '\ufffdx')
})

test('policy text: base64 of it is taken, too', () => {
  const text = 'path "a" { capabilities = ["read"] }'
  assert.equal(policyText(Buffer.from(text).toString('base64')), text)
  assert.equal(policyText(text), text)
})

test('policy text: an error names line, path and the nearest key', () => {
  assert.throws(() => parsePolicy('path "a" {\n  capabilitys = ["read"]\n}'), {
    message:
      'failed to parse policy: At 2:3: path "a": invalid key "capabilitys" on line 2, did you mean "capabilities"?',
  })
  assert.throws(() => parsePolicy('path "a" { capabilities = ["raed"] }'), {
    message: 'failed to parse policy: path "a": invalid capability "raed", did you mean "read"?',
  })
})

test('policy template: a block that vanished is not named to who asks for another path', () => {
  const acl = compile([policy('path "other/{{identity.entity.metadata.none}}" { capabilities = ["read"] }')])
  const verdict = decide(acl, { operation: 'read', path: 's/x', namespacePath: '', values: null, wrapTtl: 0 })
  assert.doesNotMatch(verdict.reason, /doesn't count/)
})

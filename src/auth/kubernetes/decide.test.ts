import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { test } from 'node:test'
import { noParameters } from '#backend/token-parameters.ts'
import { judgeClaims, judgeName, judgeNamespace, judgeReview, judgeUid, type Judgement } from './decide.ts'
import { type AccountToken, isSignedBy, parseAccountToken, TokenProblem } from './jwt.ts'
import type { Role } from './role.ts'
import { app, claimsOf, jwtOf } from './scripted-api-server.ts'

const role: Role = {
  names: ['app'],
  namespaces: ['shop'],
  namespaceSelector: '',
  uids: [],
  audience: '',
  aliasNameSource: 'serviceaccount_uid',
  stored: noParameters,
}
const token = parseAccountToken(jwtOf(claimsOf(app)))
const now = 1_000_000
const anyIssuer = { issuer: '', disablesIssuerCheck: true }

const verdict = (judgement: Judgement): string => (judgement.ok ? 'pass' : judgement.text)

for (const [rule, claims, want] of [
  ['no times at all', {}, 'pass'],
  ['an end within skew and leeway', { expiresAt: now - 210 }, 'pass'],
  ['an end beyond them', { expiresAt: now - 211 }, 'invalid expiration time (exp) claim: token is expired'],
  ['a beginning within them', { notBefore: now + 210 }, 'pass'],
  ['a beginning beyond them', { notBefore: now + 211 }, 'invalid not before (nbf) claim: token not yet valid'],
  ['an issue within them', { issuedAt: now + 210 }, 'pass'],
  ['an issue beyond them', { issuedAt: now + 211 }, 'invalid issued at (iat) claim: token issued in the future'],
] as const) {
  test(`kubernetes claims: ${rule}: ${want}`, () => {
    const judged = judgeClaims({ ...token, ...claims }, role, anyIssuer, now * 1000)
    assert.equal(verdict(judged), want)
    if (!judged.ok) assert.match(judged.reason, /seconds since 1970/)
  })
}

const wrongIssuer = 'invalid issuer (iss) claim'
for (const [rule, config, want] of [
  ['is not looked at by default', { issuer: 'https://mine', disablesIssuerCheck: true }, 'pass'],
  ['is not looked at without one to compare', { issuer: '', disablesIssuerCheck: false }, 'pass'],
  ['fits', { issuer: 'https://kubernetes.default.svc', disablesIssuerCheck: false }, 'pass'],
  ['is another', { issuer: 'https://kubernetes.default.svc/', disablesIssuerCheck: false }, wrongIssuer],
] as const) {
  test(`kubernetes claims: an issuer that ${rule}: ${want}`, () => {
    assert.equal(verdict(judgeClaims(token, role, config, 0)), want)
  })
}

const wrongAudience = 'invalid audience (aud) claim: audience claim does not match any expected audience'
for (const [aud, bound, want] of [
  ['vault', '', 'pass'],
  ['vault', 'vault', 'pass'],
  ['vault', 'Vault', wrongAudience],
  ['vault', 'va', wrongAudience],
  [['a', 'vault'], 'vault', 'pass'],
  [['a', 'b'], 'vault', wrongAudience],
  [['a', 'b'], '', 'pass'],
  [[], 'vault', wrongAudience],
  [[], '', 'pass'],
  ['', 'vault', wrongAudience],
  [undefined, 'vault', wrongAudience],
  [undefined, '', 'pass'],
  [null, 'vault', wrongAudience],
] as const) {
  test(`kubernetes claims: aud ${JSON.stringify(aud)} for a role with "${bound}": ${want}`, () => {
    const parsed = parseAccountToken(jwtOf(claimsOf(app, { aud })))
    assert.equal(verdict(judgeClaims(parsed, { audience: bound }, anyIssuer, 0)), want)
  })
}

for (const [patterns, value, want] of [
  [['app'], 'app', true],
  [['app'], 'App', false],
  [['app'], 'app2', false],
  [['other', 'app'], 'app', true],
  [['*'], 'anything', true],
  [['app*'], 'app-1', true],
  [['*app'], 'my-app', true],
  [['*-app-*'], 'a-app-b', true],
  [['app*'], 'my-app', false],
  [['a.p'], 'axp', false],
  [['[a]pp'], 'app', false],
  [[''], '', true],
  [['app'], '', false],
] as const) {
  test(`kubernetes names: ${JSON.stringify(patterns)} and "${value}" ${want ? 'fit' : 'do not fit'}`, () => {
    assert.equal(judgeName({ ...token, name: value }, { ...role, names: patterns }).ok, want)
    assert.equal(judgeNamespace({ ...token, namespace: value }, { ...role, namespaces: patterns }).ok, want)
  })
}

test('kubernetes uids: none bound lets all in, else the very one; the refusal is as that of a name', () => {
  assert.ok(judgeUid(token, role).ok)
  assert.ok(judgeUid(token, { ...role, uids: ['x', 'uid-of-app'] }).ok)
  for (const uids of [['x'], ['*'], ['uid-*'], ['UID-OF-APP']]) {
    assert.equal(verdict(judgeUid(token, { ...role, uids })), 'service account name not authorized')
  }
})

const user = { username: 'system:serviceaccount:shop:app', uid: 'uid-of-app' }
for (const [rule, review, asked, reason] of [
  ['all fits', { authenticated: true, user }, [], null],
  ['one audience of those asked is confirmed', { authenticated: true, user, audiences: ['b'] }, ['a', 'b'], null],
  ['audiences were not asked for', { authenticated: true, user, audiences: ['b'] }, [], null],
  ['the API server says nothing of audiences', { authenticated: true, user }, ['a'], null],
  [
    'an error, whatever stands beside it',
    { authenticated: true, user, error: 'expired' },
    [],
    'the API server refuses the token: expired',
  ],
  ['no word of authentication', { user }, [], 'the API server does not know the token'],
  ['nothing', {}, [], 'the API server does not know the token'],
  [
    'no audience is confirmed',
    { authenticated: true, user, audiences: [] },
    ['a'],
    'the API server confirms audiences , none of a',
  ],
  ['no user', { authenticated: true }, [], 'the API server names a user that is no service account'],
  [
    'a user of five parts',
    { authenticated: true, user: { ...user, username: 'system:serviceaccount:shop:app:x' } },
    [],
    'the API server names a user that is no service account',
  ],
  [
    'a node',
    { authenticated: true, user: { ...user, username: 'system:node:shop:app' } },
    [],
    'the API server names the user "system:node:shop:app", which is no service account',
  ],
  [
    'another name',
    { authenticated: true, user: { ...user, username: 'system:serviceaccount:shop:b' } },
    [],
    'JWT names did not match: "b" and "app"',
  ],
  [
    'another UID',
    { authenticated: true, user: { ...user, uid: 'b' } },
    [],
    'JWT UIDs did not match: "b" and "uid-of-app"',
  ],
  [
    'another namespace',
    { authenticated: true, user: { ...user, username: 'system:serviceaccount:b:app' } },
    [],
    'JWT namepaces did not match: "b" and "shop"',
  ],
] as const) {
  test(`kubernetes review: ${rule}: ${reason === null ? 'passes' : 'permission denied'}`, () => {
    const judged = judgeReview(review, token, asked)
    if (reason === null) assert.ok(judged.ok)
    else assert.deepEqual(judged, { ok: false, text: 'permission denied', reason })
  })
}

for (const [rule, jwt] of [
  ['nothing', ''],
  ['one part', 'abc'],
  ['two parts', 'a.b'],
  ['five parts', 'a.b.c.d.e'],
  ['dots alone', '.'.repeat(60_000)],
  ['more than 64 KiB', jwtOf(claimsOf(app, { more: 'x'.repeat(64 * 1024) }))],
  ['a header that is no JSON', `${Buffer.from('x').toString('base64url')}.e30.c2ln`],
  ['a header that is a list', `${Buffer.from('[]').toString('base64url')}.e30.c2ln`],
  ['a header in plain base64', 'eyJhbGciOiJSUzI1NiJ9==.e30.c2ln'],
  ['claims that are a text', `${jwtOf({}).split('.')[0]}.${Buffer.from('"x"').toString('base64url')}.c2ln`],
  ['no algorithm', jwtOf(claimsOf(app), {})],
  ['alg none', jwtOf(claimsOf(app), { alg: 'none' })],
  ['alg NONE', jwtOf(claimsOf(app), { alg: 'NONE' })],
  ['alg HS256', jwtOf(claimsOf(app), { alg: 'HS256' })],
  ['alg that is in every object', jwtOf(claimsOf(app), { alg: 'constructor' })],
  ['alg that is a list', jwtOf(claimsOf(app), { alg: ['RS256'] })],
  ['an exp that is a text', jwtOf(claimsOf(app, { exp: '1' }))],
  ['an aud that is a number', jwtOf(claimsOf(app, { aud: 5 }))],
  ['an aud with a number in it', jwtOf(claimsOf(app, { aud: ['a', 5] }))],
] as const) {
  test(`kubernetes jwt: ${rule} is no token, and is not quoted`, () => {
    const isTold = (error: unknown): boolean =>
      error instanceof TokenProblem && error.message.length < 80 && !/eyJ|abc/.test(error.message)
    assert.throws(() => parseAccountToken(jwt), isTold)
  })
}

test('kubernetes jwt: claims of another shape name nobody', () => {
  for (const claims of [
    {},
    { 'kubernetes.io': 'x' },
    { 'kubernetes.io': { namespace: 5, serviceaccount: [] } },
    { 'kubernetes.io': { serviceaccount: { name: { a: 1 }, uid: null } } },
  ]) {
    const { name, namespace, uid } = parseAccountToken(jwtOf(claims))
    assert.deepEqual([name, namespace, uid], ['', '', ''])
  }
})

test('kubernetes jwt: the projected claims win over legacy ones beside them', () => {
  const legacy = {
    'kubernetes.io/serviceaccount/service-account.name': 'admin',
    'kubernetes.io/serviceaccount/namespace': 'kube-system',
  }
  const { name, namespace } = parseAccountToken(jwtOf(claimsOf(app, legacy)))
  assert.deepEqual([name, namespace], ['app', 'shop'])
})

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

function signed(alg: string, key: KeyObject): AccountToken {
  const text = jwtOf(claimsOf(app), { alg }).split('.').slice(0, 2).join('.')
  const signature = sign('sha256', Buffer.from(text), alg.startsWith('ES') ? { key, dsaEncoding: 'ieee-p1363' } : key)
  return parseAccountToken(`${text}.${signature.toString('base64url')}`)
}

test('kubernetes jwt: a signature is verified by any of the keys, by the algorithm it names and none other', () => {
  const es = signed('ES256', ec.privateKey)
  const rs = signed('RS256', rsa.privateKey)
  assert.ok(isSignedBy(es, [ec.publicKey]))
  assert.ok(isSignedBy(es, [rsa.publicKey, other.publicKey, ec.publicKey]))
  assert.ok(isSignedBy(rs, [ec.publicKey, rsa.publicKey]))
  assert.ok(!isSignedBy(es, [other.publicKey]))
  assert.ok(!isSignedBy(es, []))
  assert.ok(!isSignedBy({ ...es, algorithm: 'RS256' }, [ec.publicKey]))
  assert.ok(!isSignedBy({ ...es, signed: `${es.signed}x` }, [ec.publicKey]))
  assert.ok(!isSignedBy({ ...es, signature: Buffer.alloc(0) }, [ec.publicKey]))
  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' })
  const mac = createHmac('sha256', pem).update(rs.signed).digest()
  assert.ok(!isSignedBy({ ...rs, signature: mac, algorithm: 'HS256' }, [rsa.publicKey]))
  assert.ok(!isSignedBy({ ...rs, signature: mac }, [rsa.publicKey]))
})

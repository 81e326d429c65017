import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { personOf } from './claims.ts'
import { jwtAuth } from './engine.ts'
import { granted } from './login.ts'
import type { JwtRole } from './role-entry.ts'
import { openSigner, signByHmac } from './signer.lab.ts'

const signer = openSigner()
const stranger = openSigner('one')
const rsa = openSigner('rsa', 'rsa')
const ed = openSigner('ed', 'ed25519')
const other = openSigner('other')

type Claims = Readonly<Record<string, unknown>>

const pubkeys = [signer.publicPem, rsa.publicPem, ed.publicPem]
const base: Record<string, Json> = {
  role_type: 'jwt',
  user_claim: 'sub',
  bound_audiences: 'coffer',
  token_policies: 'app',
}

async function open(role: Record<string, Json> = {}, config: Record<string, Json> = {}): Promise<TestServer> {
  const server = await openTestMount(jwtAuth)
  const written = await server.ask('POST', 'auth/jwt/config', { body: { jwt_validation_pubkeys: pubkeys, ...config } })
  assert.deepEqual([written.status, written.errors], [204, []])
  const made = await server.ask('POST', 'auth/jwt/role/app', { body: { ...base, ...role } })
  assert.deepEqual([made.status, made.errors], [204, []])
  return server
}

const login = (server: TestServer, jwt: string, role = 'app'): Promise<TestAnswer> =>
  server.ask('POST', 'auth/jwt/login', { token: null, body: { ...(role !== '' && { role }), jwt } })

const nowOf = (server: TestServer): number => Math.trunc(server.world.clock.now() / 1000)

/** Claims of a good token. @param more replaces claims; undefined takes one away. */
const claimsAt = (now: number, more: Claims = {}): Claims => ({
  iss: 'https://ci.example',
  sub: 'project:shop',
  aud: 'coffer',
  iat: now,
  nbf: now,
  exp: now + 300,
  ...more,
})

const validating = 'error validating token: '
const unsigned = `${validating}error verifying token signature: `
const unknownKey = `${unsigned}no known key successfully validated the token signature`
const notTaken = `${unsigned}the token is signed with an algorithm that is not taken`

test('jwt login: alias, metadata, display name, policies come from claims and role', async () => {
  await using server = await open({
    claim_mappings: { ref: 'branch', '/job/id': 'job', absent: 'nothing' },
  })
  const claims = claimsAt(nowOf(server), { ref: 'main', job: { id: 'j1' } })
  const answer = await login(server, signer.sign(claims))
  assert.equal(answer.status, 200, answer.text)
  const { auth } = answer.body as { auth: Record<string, Json> & { client_token: string; entity_id: string } }
  assert.deepEqual(auth['metadata'], { branch: 'main', job: 'j1', role: 'app' })
  assert.deepEqual(auth['token_policies'], ['app', 'default'])
  assert.equal(auth['renewable'], true)
  const { data } = await server.ask('GET', 'auth/token/lookup-self', { token: auth.client_token })
  assert.equal((data as { display_name: Json }).display_name, 'jwt-project:shop')
  const again = (await login(server, rsa.sign(claims))).body as { auth: { entity_id: string } }
  assert.equal(again.auth.entity_id, auth.entity_id)
})

for (const [rule, make, want] of [
  ['RS256', now => rsa.sign(claimsAt(now)), null],
  ['EdDSA', now => ed.sign(claimsAt(now)), null],
  ['a key that is another', now => stranger.sign(claimsAt(now)), unknownKey],
  [
    'no signature at all',
    now => `${signer.sign(claimsAt(now), { alg: 'none' }).split('.').slice(0, 2).join('.')}.`,
    notTaken,
  ],
  ['an algorithm of none with a signature', now => signer.sign(claimsAt(now), { alg: 'none' }), notTaken],
  ['an algorithm of None', now => signer.sign(claimsAt(now), { alg: 'None' }), notTaken],
  ['the public key as shared secret', now => signByHmac(claimsAt(now), rsa.publicPem), notTaken],
  ['an algorithm of another key', now => signer.sign(claimsAt(now), { alg: 'RS256' }), unknownKey],
  ['its own key in the header', now => other.sign(claimsAt(now), { jwk: other.jwk }), unknownKey],
  [
    'the address of its own keys',
    now => other.sign(claimsAt(now), { jku: 'http://127.0.0.1:1/', x5u: 'http://127.0.0.1:1/' }),
    unknownKey,
  ],
  ['a key id that is a path', now => other.sign(claimsAt(now), { kid: '../../../dev/null' }), unknownKey],
  [
    'a critical extension',
    now => signer.sign(claimsAt(now), { crit: ['b64'], b64: false }),
    `${unsigned}the token has a critical extension that is not known`,
  ],
  ['a token of five parts', () => 'a.b.c.d.e', `${unsigned}the token must have three parts`],
  ['a token of many dots', () => '.'.repeat(60_000), `${unsigned}the token must have three parts`],
  [
    'a token that is too long',
    now => signer.sign(claimsAt(now, { x: 'x'.repeat(70_000) })),
    `${unsigned}the token is too long`,
  ],
  ['a payload that is no object', () => signer.sign('"x"'), `${unsigned}the payload of the token is no JSON object`],
  [
    'a payload nested without end',
    () => signer.sign(`${'['.repeat(20_000)}${']'.repeat(20_000)}`),
    `${unsigned}the payload of the token is not JSON`,
  ],
  [
    'another audience',
    now => signer.sign(claimsAt(now, { aud: 'x' })),
    `${validating}invalid audience (aud) claim: audience claim does not match any expected audience`,
  ],
  ['one of several audiences', now => signer.sign(claimsAt(now, { aud: ['x', 'coffer'] })), null],
  [
    'no audience',
    now => signer.sign(claimsAt(now, { aud: undefined })),
    `${validating}invalid audience (aud) claim: audience claim does not match any expected audience`,
  ],
  [
    'an empty list of audiences',
    now => signer.sign(claimsAt(now, { aud: [] })),
    `${validating}invalid audience (aud) claim: audience claim does not match any expected audience`,
  ],
  [
    'an audience that is an object',
    now => signer.sign(claimsAt(now, { aud: { coffer: 1 } })),
    `${validating}invalid audience (aud) claim: it is no text`,
  ],
  ['an end within the skew', now => signer.sign(claimsAt(now, { exp: now - 59 })), null],
  [
    'an end beyond the skew',
    now => signer.sign(claimsAt(now, { exp: now - 61 })),
    `${validating}invalid expiration time (exp) claim: token is expired`,
  ],
  ['a beginning within the skew', now => signer.sign(claimsAt(now, { nbf: now + 59 })), null],
  [
    'a beginning beyond the skew',
    now => signer.sign(claimsAt(now, { nbf: now + 61 })),
    `${validating}invalid not before (nbf) claim: token not yet valid`,
  ],
  [
    'an issue in the future',
    now => signer.sign(claimsAt(now, { iat: now + 61, nbf: undefined })),
    `${validating}invalid not before (nbf) claim: token not yet valid`,
  ],
  [
    'an issue after its beginning, in the future',
    now => signer.sign(claimsAt(now, { iat: now + 61 })),
    `${validating}invalid issued at (iat) claim: token issued in the future`,
  ],
  [
    'no times',
    now => signer.sign(claimsAt(now, { iat: undefined, nbf: undefined, exp: undefined })),
    `${validating}no issued at (iat), not before (nbf), or expiration time (exp) claims in token`,
  ],
  ['a time that is text', now => signer.sign(claimsAt(now, { exp: 'never' })), `${validating}claim exp is no number`],
  [
    'no end, begun within leeway and skew',
    now => signer.sign(claimsAt(now, { iat: now - 209, nbf: undefined, exp: undefined })),
    null,
  ],
  [
    'no end, begun before',
    now => signer.sign(claimsAt(now, { iat: now - 211, nbf: undefined, exp: undefined })),
    `${validating}invalid expiration time (exp) claim: token is expired`,
  ],
  ['no user', now => signer.sign(claimsAt(now, { sub: undefined })), 'claim "sub" not found in token'],
  [
    'a user that is a number',
    now => signer.sign(claimsAt(now, { sub: 7 })),
    'claim "sub" could not be converted to string',
  ],
] as const satisfies readonly (readonly [string, (now: number) => string, string | null])[]) {
  test(`jwt login: ${want === null ? 'takes' : 'refuses'} ${rule}`, async () => {
    await using server = await open()
    const answer = await login(server, make(nowOf(server)))
    if (want === null) return assert.equal(answer.status, 200, answer.text)
    assert.deepEqual([answer.status, answer.errors], [400, [want]])
  })
}

const noMatch = (name: string): string =>
  `error validating claims: claim "${name}" does not match any associated bound claim values`

for (const [rule, role, more, want] of [
  ['another issuer', {}, { iss: 'https://other.example' }, `${validating}invalid issuer (iss) claim`],
  ['another subject', { bound_subject: 'x' }, {}, `${validating}invalid subject (sub) claim`],
  ['the subject', { bound_subject: 'project:shop' }, {}, null],
  [
    'an audience that nobody bound',
    { bound_audiences: [], bound_subject: 'project:shop' },
    {},
    'audience claim found in JWT but no audiences bound to the role',
  ],
  ['no audience where none is bound', { bound_audiences: [], bound_subject: 'project:shop' }, { aud: undefined }, null],
  ['an empty audience where none is bound', { bound_audiences: [], bound_subject: 'project:shop' }, { aud: [] }, null],
  ['a bound claim', { bound_claims: { ref: 'main' } }, { ref: 'main' }, null],
  [
    'a bound claim that is missing',
    { bound_claims: { ref: 'main' } },
    {},
    'error validating claims: claim "ref" is missing',
  ],
  ['a bound claim that differs', { bound_claims: { ref: 'main' } }, { ref: 'other' }, noMatch('ref')],
  ['a star where no globs are asked for', { bound_claims: { ref: '*' } }, { ref: 'main' }, noMatch('ref')],
  ['a glob', { bound_claims: { ref: 'rel-*' }, bound_claims_type: 'glob' }, { ref: 'rel-1' }, null],
  [
    'what a glob does not fit',
    { bound_claims: { ref: 'rel-*' }, bound_claims_type: 'glob' },
    { ref: 'xrel-1' },
    noMatch('ref'),
  ],
  ['one of a list against one of a list', { bound_claims: { env: ['a', 'b'] } }, { env: ['c', 'b'] }, null],
  ['no member of a list', { bound_claims: { env: ['a', 'b'] } }, { env: ['c'] }, noMatch('env')],
  ['a number without its fraction', { bound_claims: { id: 7 } }, { id: 7.9 }, null],
  ['a number against text', { bound_claims: { id: '7' } }, { id: 7 }, noMatch('id')],
  ['a boolean', { bound_claims: { ok: true } }, { ok: true }, null],
  ['a claim by JSON pointer', { bound_claims: { '/a/b~1c/0': 'x' } }, { a: { 'b/c': ['x'] } }, null],
  [
    'a claim that is an object',
    { bound_claims: { ref: 'main' } },
    { ref: { main: 1 } },
    'error validating claims: received claim is not a string or list: ref',
  ],
  [
    'an inherited name as a claim',
    { bound_claims: { constructor: 'x' } },
    {},
    'error validating claims: claim "constructor" is missing',
  ],
  ['an inherited name as user', { user_claim: 'toString' }, {}, 'claim "toString" not found in token'],
  ['a nested user', { user_claim: '/who/name', user_claim_json_pointer: true }, { who: { name: 'bob' } }, null],
  [
    'a pointer without its switch',
    { user_claim: '/who/name' },
    { who: { name: 'bob' } },
    'claim "/who/name" not found in token',
  ],
  ['no groups', { groups_claim: 'groups' }, {}, '"groups" claim not found in token'],
  [
    'groups that are an object',
    { groups_claim: 'groups' },
    { groups: {} },
    '"groups" claim could not be converted to string list',
  ],
  [
    'a group that is a number',
    { groups_claim: 'groups' },
    { groups: [7] },
    'value 7 in groups claim could not be parsed as string',
  ],
  ['metadata that is no text', { claim_mappings: { id: 'id' } }, { id: 7 }, "error converting claim 'id' to string"],
  [
    'an expired one without skew',
    { clock_skew_leeway: -1 },
    { exp: 1 },
    `${validating}invalid expiration time (exp) claim: token is expired`,
  ],
] as const satisfies readonly (readonly [string, Record<string, Json>, Claims, string | null])[]) {
  test(`jwt role: ${want === null ? 'takes' : 'refuses'} ${rule}`, async () => {
    await using server = await open(role, { bound_issuer: 'https://ci.example' })
    const answer = await login(server, signer.sign(claimsAt(nowOf(server), more)))
    if (want === null) return assert.equal(answer.status, 200, answer.text)
    assert.deepEqual([answer.status, answer.errors], [400, [want]])
  })
}

test('jwt login: claims named __proto__ are claims like others', async () => {
  await using server = await open({ bound_claims: { admin: 'yes' } })
  const now = nowOf(server)
  const text = JSON.stringify(claimsAt(now)).replace('{', '{"__proto__":{"admin":"yes"},')
  assert.deepEqual((await login(server, signer.sign(text))).errors, [
    'error validating claims: claim "admin" is missing',
  ])
  const pointed = { ...base, bound_claims: { '/__proto__/admin': 'yes' } }
  assert.equal((await server.ask('POST', 'auth/jwt/role/app', { body: pointed })).status, 204)
  assert.equal((await login(server, signer.sign(text))).status, 200)
  assert.equal((await login(server, signer.sign(claimsAt(now)))).status, 400)
})

for (const [rule, ask, errors] of [
  ['missing role', { jwt: 'x' }, ['missing role']],
  ['an unknown role', { role: 'other', jwt: 'x' }, ['role "other" could not be found']],
  ['a role with a path in it', { role: '../config', jwt: 'x' }, ['role "../config" could not be found']],
  ['missing token', { role: 'app' }, ['missing token']],
  ['a role of people', { role: 'people', jwt: 'x' }, ['role with oidc role_type is not allowed']],
] as const) {
  test(`jwt login: ${rule} is told`, async () => {
    await using server = await open()
    const people = { user_claim: 'sub', allowed_redirect_uris: 'http://localhost:8250/oidc/callback' }
    assert.equal((await server.ask('POST', 'auth/jwt/role/people', { body: people })).status, 204)
    const answer = await server.ask('POST', 'auth/jwt/login', { token: null, body: ask })
    assert.deepEqual([answer.status, answer.errors], [400, errors])
  })
}

test('jwt login: without a configuration it says so', async () => {
  await using server = await openTestMount(jwtAuth)
  assert.deepEqual((await login(server, 'x')).errors, ['could not load configuration'])
})

test('jwt login: the default role is that of logins that name none, and case does not count', async () => {
  await using server = await open({}, { default_role: 'APP' })
  const jwt = signer.sign(claimsAt(nowOf(server)))
  for (const role of ['', 'App']) {
    const { status, body } = await login(server, jwt, role)
    assert.equal(status, 200)
    assert.equal((body as { auth: { metadata: { role: string } } }).auth.metadata.role, 'app')
  }
})

test('jwt login: from outside of token_bound_cidrs it is 403', async () => {
  await using server = await open({ token_bound_cidrs: '10.0.0.0/8' })
  const answer = await login(server, signer.sign(claimsAt(nowOf(server))))
  assert.deepEqual([answer.status, answer.errors], [403, ['permission denied']])
})

test('jwt login: jwt_supported_algs bounds what is taken', async () => {
  await using server = await open({}, { jwt_supported_algs: 'RS256' })
  const now = nowOf(server)
  assert.equal((await login(server, rsa.sign(claimsAt(now)))).status, 200)
  assert.deepEqual((await login(server, signer.sign(claimsAt(now)))).errors, [notTaken])
})

test('jwt renewal: goes by the role as it is now, after a restart too, and ends with it', async () => {
  await using server = await open({ token_ttl: 600 })
  const { auth } = (await login(server, signer.sign(claimsAt(nowOf(server))))).body as {
    auth: { client_token: string }
  }
  await server.ask('POST', 'auth/jwt/role/app', { body: { token_ttl: 1200 } })
  await server.restart()
  const renew = (): Promise<TestAnswer> => server.ask('POST', 'auth/token/renew-self', { token: auth.client_token })
  const renewed = (await renew()).body as { auth: { lease_duration: number } }
  assert.equal(renewed.auth.lease_duration, 1200)
  await server.ask('DELETE', 'auth/jwt/role/app')
  const refused = await renew()
  assert.deepEqual(
    [refused.status, refused.errors],
    [500, ['failed to renew entry: role app does not exist during renewal']],
  )
})

for (const [rule, groupsClaim, claims, want] of [
  ['a list without doubles and empty names', 'groups', { groups: ['a', '', 'b', 'a'] }, ['a', 'b']],
  ['one text', 'groups', { groups: 'a' }, ['a']],
  ['a list by JSON pointer', '/realm/roles', { realm: { roles: ['a'] } }, ['a']],
  ['nothing where no claim is named', '', { groups: ['a'] }, []],
] as const satisfies readonly (readonly [string, string, Record<string, Json>, readonly string[]])[]) {
  test(`jwt groups: are the external groups of the login: ${rule}`, () => {
    const role = { userClaim: 'sub', groupsClaim, mappings: null, stored: { parameters: {} } } as unknown as JwtRole
    const reply = granted('app', role, personOf({ sub: 'bob', ...claims }, role))
    const names = reply.kind === 'login' ? (reply.login.groupAliases ?? []).map(({ name }) => name) : null
    assert.deepEqual(names, want)
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer } from '#core/testing/mount.ts'
import { jwtAuth } from './engine.ts'
import { openSigner, openWeb, signByHmac } from './signer.lab.ts'

const back = 'http://localhost:8250/oidc/callback'
const signer = openSigner('one', 'rsa')
const other = openSigner('one', 'rsa')
const curve = openSigner('curve')

type Claims = Record<string, unknown>

/** A login at a provider that answers what it likes. */
async function logIn(
  make: (claims: Claims) => string,
  { role = {}, userinfo }: { readonly role?: Record<string, Json>; readonly userinfo?: unknown } = {},
): Promise<TestAnswer> {
  await using web = await openWeb()
  await using server = await openTestMount(jwtAuth)
  web.pages.set('/.well-known/openid-configuration', {
    issuer: web.url,
    jwks_uri: `${web.url}/keys`,
    authorization_endpoint: `${web.url}/authorize`,
    token_endpoint: `${web.url}/token`,
    ...(userinfo !== undefined && { userinfo_endpoint: `${web.url}/me` }),
  })
  web.pages.set('/keys', { keys: [signer.jwk, curve.jwk] })
  web.pages.set('/me', userinfo)
  const config = { oidc_discovery_url: web.url, oidc_client_id: 'coffer', oidc_client_secret: 's' }
  await server.ask('POST', 'auth/jwt/config', { body: config })
  const body = { user_claim: 'sub', allowed_redirect_uris: back, ...role }
  assert.equal((await server.ask('POST', 'auth/jwt/role/dev', { body })).status, 204)
  const begun = await server.ask('POST', 'auth/jwt/oidc/auth_url', { body: { role: 'dev', redirect_uri: back } })
  const { searchParams } = new URL((begun.data as { auth_url: string }).auth_url)
  const now = Math.trunc(server.world.clock.now() / 1000)
  const claims = { iss: web.url, sub: 'bob', aud: 'coffer', iat: now, exp: now + 60, nonce: searchParams.get('nonce') }
  web.pages.set('/token', { access_token: 'a', token_type: 'Bearer', id_token: make(claims) })
  const query = new URLSearchParams({ state: searchParams.get('state') ?? '', code: 'c' })
  return await server.ask('GET', `auth/jwt/oidc/callback?${query.toString()}`, { token: null })
}

const failed = 'Vault login failed.'
const unverified = `${failed} Token verification failed.`

for (const [rule, make, want] of [
  ['another nonce', claims => signer.sign({ ...claims, nonce: 'x' }), `${failed} invalid ID token nonce.`],
  ['no nonce', claims => signer.sign({ ...claims, nonce: undefined }), `${failed} invalid ID token nonce.`],
  [
    'another issuer',
    claims => signer.sign({ ...claims, iss: 'https://x' }),
    `${unverified} invalid issuer (iss) claim`,
  ],
  [
    'another client',
    claims => signer.sign({ ...claims, aud: 'x' }),
    `${unverified} invalid audience (aud) claim: audience claim does not match any expected audience`,
  ],
  [
    'several audiences without a party',
    claims => signer.sign({ ...claims, aud: ['coffer', 'x'] }),
    `${unverified} the token was made for another party (azp)`,
  ],
  [
    'another party',
    claims => signer.sign({ ...claims, azp: 'x' }),
    `${unverified} the token was made for another party (azp)`,
  ],
  [
    'an end that is past',
    claims => signer.sign({ ...claims, exp: 1 }),
    `${unverified} invalid expiration time (exp) claim: token is expired`,
  ],
  [
    'no end',
    claims => signer.sign({ ...claims, exp: undefined }),
    `${unverified} no expiration time (exp) claim in token`,
  ],
  [
    'another key',
    claims => other.sign(claims),
    `${unverified} no known key successfully validated the token signature`,
  ],
  [
    'the public key as shared secret',
    claims => signByHmac(claims, signer.publicPem),
    `${unverified} the token is signed with an algorithm that is not taken`,
  ],
  [
    'an algorithm that nobody asked for',
    claims => curve.sign(claims),
    `${unverified} the token is signed with an algorithm that is not taken`,
  ],
] as const satisfies readonly (readonly [string, (claims: Claims) => string, string])[]) {
  test(`oidc ID token: refused is ${rule}`, async () => {
    const answer = await logIn(make)
    assert.deepEqual([answer.status, answer.errors], [400, [want]])
  })
}

const plain = (claims: Claims): string => signer.sign(claims)

test('oidc userinfo: fills in claims, replaces none, and may fail', async () => {
  const role = { groups_claim: 'groups', claim_mappings: { mail: 'mail' } }
  const good = await logIn(claims => signer.sign({ ...claims, mail: 'of the token' }), {
    role,
    userinfo: { sub: 'bob', groups: ['dev'], mail: 'of the page', iss: 'x' },
  })
  assert.equal(good.status, 200, good.text)
  const { auth } = good.body as { auth: { metadata: Json } }
  assert.deepEqual(auth.metadata, { mail: 'of the token', role: 'dev' })
  assert.equal((await logIn(plain, { userinfo: 'no JSON' })).status, 200)
})

test('oidc userinfo: of another subject is refused', async () => {
  const answer = await logIn(plain, { userinfo: { sub: 'eve' } })
  assert.deepEqual(answer.errors, [`${unverified} The userinfo endpoint answers for another subject.`])
})

for (const [rule, more, want] of [
  ['recently', (iat: number) => ({ auth_time: iat - 60 }), null],
  [
    'too long ago',
    (iat: number) => ({ auth_time: iat - 200 }),
    `${unverified} the person proved too long ago who it is (max_age)`,
  ],
  ['nobody knows when', () => ({}), `${unverified} no auth_time claim in token, which max_age needs`],
] as const) {
  test(`oidc max_age: the person proved who it is ${rule}`, async () => {
    const answer = await logIn(claims => signer.sign({ ...claims, ...more(claims['iat'] as number) }), {
      role: { max_age: 60 },
    })
    if (want === null) return assert.equal(answer.status, 200, answer.text)
    assert.deepEqual([answer.status, answer.errors], [400, [want]])
  })
}

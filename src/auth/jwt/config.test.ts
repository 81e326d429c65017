import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { jwtAuth, oidcAuth } from './engine.ts'
import { openSigner, openWeb, type Signer, type Web } from './signer.lab.ts'

const signer = openSigner()
const next = openSigner('two')

const write = (server: TestServer, body: Record<string, Json>): Promise<TestAnswer> =>
  server.ask('POST', 'auth/jwt/config', { body })

const setOf = (...signers: readonly Signer[]): unknown => ({ keys: signers.map(({ jwk }) => jwk) })

function login(server: TestServer, by: Signer): Promise<TestAnswer> {
  const now = Math.trunc(server.world.clock.now() / 1000)
  const jwt = by.sign({ iss: 'x', sub: 'bob', aud: 'coffer', iat: now, exp: now + 300 })
  return server.ask('POST', 'auth/jwt/login', { token: null, body: { role: 'app', jwt } })
}

async function open(config: Record<string, Json>): Promise<TestServer> {
  const server = await openTestMount(jwtAuth)
  const written = await write(server, config)
  assert.deepEqual([written.status, written.errors], [204, []])
  const body = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'coffer' }
  assert.equal((await server.ask('POST', 'auth/jwt/role/app', { body })).status, 204)
  return server
}

/** A discovery document, with its keys beside it. */
function publish(web: Web, signers: readonly Signer[], more: Record<string, unknown> = {}): void {
  const document = { issuer: web.url, jwks_uri: `${web.url}/keys`, ...more }
  web.pages.set('/.well-known/openid-configuration', document)
  web.pages.set('/keys', setOf(...signers))
}

const one = "exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs' or 'oidc_discovery_url' must be set"
const pem = signer.publicPem

for (const [rule, body, want] of [
  ['no place of keys', {}, one],
  ['two places of keys', { jwt_validation_pubkeys: pem, jwks_url: 'http://127.0.0.1:1/' }, one],
  [
    'a key that is none',
    { jwt_validation_pubkeys: 'x' },
    'error parsing public key: neither a public key nor a certificate in PEM',
  ],
  [
    'a key set without a key',
    { jwt_validation_pubkeys: '{"keys":[]}' },
    'error parsing public key: the key set has no key for signatures',
  ],
  [
    'an algorithm without a public key',
    { jwt_validation_pubkeys: pem, jwt_supported_algs: 'HS256' },
    'invalid jwt_supported_algs: unsupported signing algorithm "HS256"',
  ],
  [
    'a client without its secret',
    { oidc_discovery_url: 'http://127.0.0.1:1', oidc_client_id: 'x' },
    "both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC",
  ],
  [
    'a client without discovery',
    { jwt_validation_pubkeys: pem, oidc_client_id: 'x', oidc_client_secret: 'y' },
    "'oidc_discovery_url' must be set for OIDC",
  ],
  [
    'the discovery document itself',
    { oidc_discovery_url: 'http://127.0.0.1:1/.well-known/openid-configuration' },
    "'oidc_discovery_url' contains '.well-known' component",
  ],
  [
    'a CA that is none',
    { jwks_url: 'http://127.0.0.1:1/', jwks_ca_pem: 'x' },
    'error checking jwks_ca_pem: could not parse CA PEM value successfully',
  ],
  [
    'pairs with a CA beside them',
    { jwks_pairs: [{ jwks_url: 'http://127.0.0.1:1/' }], jwks_ca_pem: 'x' },
    "CA PEMs must be provided as part of the 'jwks_pairs' when using multiple JWKS URLs",
  ],
  [
    'pairs with an issuer',
    { jwks_pairs: [{ jwks_url: 'http://127.0.0.1:1/' }], bound_issuer: 'x' },
    "Bound issuer is not supported for use with 'jwks_pairs'",
  ],
  ['pairs that are no list', { jwks_pairs: 'x' }, 'jwks_pairs must be a list'],
  [
    'a response mode that is none',
    { jwt_validation_pubkeys: pem, oidc_response_mode: 'x' },
    'invalid response_mode: "x"; this server takes query',
  ],
  [
    'a token in the query',
    { jwt_validation_pubkeys: pem, oidc_response_types: 'id_token' },
    'query response_mode may not be used with an id_token response_type',
  ],
  [
    'an address without a scheme',
    { jwks_url: 'file:///etc/passwd' },
    'error checking jwks URL: "file:///etc/passwd" is no address with http:// or https://',
  ],
] as const satisfies readonly (readonly [string, Record<string, Json>, string])[]) {
  test(`jwt config: refused is ${rule}, and nothing is kept`, async () => {
    await using server = await openTestMount(jwtAuth)
    const answer = await write(server, body)
    assert.deepEqual([answer.status, answer.errors], [400, [want]])
    assert.equal((await server.ask('GET', 'auth/jwt/config')).status, 404)
  })
}

for (const [rule, page, want] of [
  ['that is not there', undefined, /answers with status 404$/],
  ['that sends elsewhere', new URL('http://127.0.0.1:1/'), /answers with status 302$/],
  ['that hangs up', null, /connection to .* broke/],
  ['that is no set', { keys: 'x' }, /the key set has no list of keys$/],
  ['that is no JSON', '<html>', /the key set is not JSON$/],
  ['that does not end', 'x'.repeat(2 << 20), /the answer is above 1048576 bytes$/],
] as const) {
  test(`jwt config: refused is a key set ${rule}`, async () => {
    await using web = await openWeb()
    if (page !== undefined) web.pages.set('/keys', page)
    await using server = await openTestMount(jwtAuth)
    const { status, errors } = await write(server, { jwks_url: `${web.url}/keys` })
    assert.equal(status, 400)
    assert.match(errors[0]!, /^error checking jwks URL: /)
    assert.match(errors[0]!, want)
  })
}

test('jwt config: refused is a discovery document of another issuer', async () => {
  await using web = await openWeb()
  publish(web, [signer], { issuer: 'https://other.example' })
  await using server = await openTestMount(jwtAuth)
  const { status, errors } = await write(server, { oidc_discovery_url: web.url })
  assert.equal(status, 400)
  assert.match(errors[0]!, /^error checking oidc discovery URL: issuer did not match the issuer returned by provider/)
})

test('jwt config: shows what was written, but for the secret, and a write replaces all', async () => {
  await using web = await openWeb()
  publish(web, [signer])
  const secret = 'not-to-be-shown'
  await using server = await open({
    oidc_discovery_url: web.url,
    oidc_client_id: 'coffer',
    oidc_client_secret: secret,
    default_role: 'App',
    bound_issuer: web.url,
    jwt_supported_algs: ['RS256', 'ES256'],
  })
  const shown = await server.ask('GET', 'auth/jwt/config')
  assert.ok(!shown.text.includes(secret))
  assert.deepEqual(shown.data, {
    oidc_discovery_url: web.url,
    oidc_discovery_ca_pem: '',
    oidc_client_id: 'coffer',
    oidc_response_mode: '',
    oidc_response_types: [],
    jwks_url: '',
    jwks_ca_pem: '',
    jwks_pairs: [],
    jwt_validation_pubkeys: [],
    bound_issuer: web.url,
    jwt_supported_algs: ['RS256', 'ES256'],
    default_role: 'app',
    provider_config: {},
    namespace_in_state: true,
  })
  assert.equal((await write(server, { jwt_validation_pubkeys: pem })).status, 204)
  const { data } = await server.ask('GET', 'auth/jwt/config')
  assert.deepEqual((data as { oidc_client_id: string }).oidc_client_id, '')
  assert.equal((await login(server, signer)).status, 200)
})

for (const way of ['jwks_url', 'jwks_pairs', 'oidc_discovery_url'] as const) {
  test(`jwt keys: ${way}: a new key is fetched once it signs, and not more often than every 10 s`, async () => {
    await using web = await openWeb()
    publish(web, [signer])
    const url = `${web.url}/keys`
    const value = { jwks_url: url, jwks_pairs: [{ jwks_url: url, jwks_ca_pem: '' }], oidc_discovery_url: web.url }[way]
    await using server = await open({ [way]: value })
    assert.equal((await login(server, signer)).status, 200)
    publish(web, [next])
    assert.equal((await login(server, next)).status, 400)
    await server.world.clock.advance(10_000)
    assert.equal((await login(server, next)).status, 200)
    assert.equal((await login(server, signer)).status, 400, 'a key that is gone counts no more')
    const before = web.asked.length
    await Promise.all(Array.from({ length: 20 }, () => login(server, openSigner('two'))))
    assert.equal(web.asked.length, before)
  })
}

for (const [form, keys] of [
  ['text', JSON.stringify(setOf(signer, next), null, 2)],
  ['a list of PEM', [signer.publicPem, next.publicPem]],
  ['blocks of PEM', `${signer.publicPem}${next.publicPem}`],
] as const) {
  test(`jwt keys: a key set can be pinned as ${form}`, async () => {
    await using server = await open({ jwt_validation_pubkeys: keys })
    for (const by of [signer, next]) assert.equal((await login(server, by)).status, 200)
    assert.equal((await login(server, openSigner('two'))).status, 400)
  })
}

test('jwt keys: of two issuers one may be away', async () => {
  await using web = await openWeb()
  web.pages.set('/a', setOf(signer))
  web.pages.set('/b', setOf(next))
  await using server = await open({ jwks_pairs: [{ jwks_url: `${web.url}/a` }, { jwks_url: `${web.url}/b` }] })
  web.pages.set('/a', null)
  assert.equal((await login(server, next)).status, 200)
})

test('jwt keys: an issuer that is away after a restart is told of, and the server works', async () => {
  await using web = await openWeb()
  publish(web, [signer])
  await using server = await open({ oidc_discovery_url: web.url })
  web.pages.set('/.well-known/openid-configuration', null)
  await server.restart()
  assert.equal((await server.ask('GET', 'auth/jwt/config')).status, 200)
  const refused = await login(server, signer)
  assert.equal(refused.status, 400)
  assert.match(
    refused.errors[0]!,
    /^error validating token: error verifying token signature: http.* connection to .* broke/,
  )
  publish(web, [signer])
  await server.world.clock.advance(10_000)
  assert.equal((await login(server, signer)).status, 200)
})

test('jwt keys: while the issuer is away those that are known count, for a day', async () => {
  await using web = await openWeb()
  publish(web, [signer])
  await using server = await open({ oidc_discovery_url: web.url })
  assert.equal((await login(server, signer)).status, 200)
  web.pages.set('/.well-known/openid-configuration', null)
  web.pages.set('/keys', null)
  await server.world.clock.advance(2 * 3_600_000)
  assert.equal((await login(server, signer)).status, 200)
  await server.world.clock.advance(24 * 3_600_000)
  assert.equal((await login(server, signer)).status, 400)
})

test('jwt keys: a key for encryption, or of a shared secret, is none', async () => {
  await using web = await openWeb()
  const secret = { kty: 'oct', k: Buffer.from('x'.repeat(32)).toString('base64url'), kid: 'one' }
  web.pages.set('/keys', { keys: [secret, { ...signer.jwk, use: 'enc' }, null, 'x', { kty: 'RSA', n: 'AQAB' }] })
  await using server = await open({ jwks_url: `${web.url}/keys` })
  assert.equal((await login(server, signer)).status, 400)
})

test('jwt role: shows what was written, and what is not sent stays', async () => {
  await using server = await open({ jwt_validation_pubkeys: pem })
  const body = {
    bound_subject: 's',
    bound_claims: { ref: ['a', 'b'] },
    claim_mappings: { ref: 'branch' },
    groups_claim: 'groups',
    max_age: '1m',
    expiration_leeway: -1,
    not_before_leeway: '2m',
    oidc_scopes: 'profile',
    verbose_oidc_logging: true,
  }
  assert.equal((await server.ask('POST', 'auth/jwt/role/App', { body })).status, 204)
  const { data } = await server.ask('GET', 'auth/jwt/role/app')
  assert.deepEqual(data, {
    role_type: 'jwt',
    bound_audiences: ['coffer'],
    bound_subject: 's',
    bound_claims: { ref: ['a', 'b'] },
    bound_claims_type: 'string',
    claim_mappings: { ref: 'branch' },
    user_claim: 'sub',
    user_claim_json_pointer: false,
    groups_claim: 'groups',
    oidc_scopes: ['profile'],
    allowed_redirect_uris: [],
    expiration_leeway: -1,
    not_before_leeway: 120,
    clock_skew_leeway: 0,
    max_age: 60,
    verbose_oidc_logging: true,
    token_bound_cidrs: [],
    token_explicit_max_ttl: 0,
    token_max_ttl: 0,
    token_no_default_policy: false,
    token_num_uses: 0,
    token_period: 0,
    token_policies: [],
    token_ttl: 0,
    token_type: 'default',
  })
  assert.deepEqual((await server.ask('LIST', 'auth/jwt/role')).data, { keys: ['app'] })
  assert.equal((await server.ask('DELETE', 'auth/jwt/role/app')).status, 204)
  assert.equal((await server.ask('GET', 'auth/jwt/role/app')).status, 404)
})

const bound = { role_type: 'jwt', user_claim: 'sub', bound_subject: 'x' }

for (const [rule, body, want] of [
  ['a type that is none', { ...bound, role_type: 'x' }, "invalid 'role_type': x"],
  ['no user claim', { role_type: 'jwt', bound_subject: 'x' }, 'a user claim must be defined on the role'],
  [
    'nothing bound',
    { role_type: 'jwt', user_claim: 'sub' },
    'must have at least one bound constraint when creating/updating a role',
  ],
  [
    'people without a way back',
    { user_claim: 'sub' },
    "'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified.",
  ],
  ['a way of comparing that is none', { ...bound, bound_claims_type: 'regex' }, "invalid 'bound_claims_type': regex"],
  ['a bound claim that is an object', { ...bound, bound_claims: { a: {} } }, 'claim is not a string or list: {}'],
  [
    'a glob that is no text',
    { ...bound, bound_claims: { a: [7] }, bound_claims_type: 'glob' },
    'claim is not a string: 7',
  ],
  [
    'metadata named role',
    { ...bound, claim_mappings: { a: 'role' } },
    'metadata key "role" is reserved and may not be a mapping destination',
  ],
  [
    'two claims for one name',
    { ...bound, claim_mappings: { a: 'x', b: 'x' } },
    'multiple keys are mapped to metadata key "x"',
  ],
] as const satisfies readonly (readonly [string, Record<string, Json>, string])[]) {
  test(`jwt role: refused is ${rule}, and nothing is kept`, async () => {
    await using server = await openTestMount(jwtAuth)
    const answer = await server.ask('POST', 'auth/jwt/role/app', { body })
    assert.deepEqual([answer.status, answer.errors], [400, [want]])
    assert.equal((await server.ask('GET', 'auth/jwt/role/app')).status, 404)
  })
}

test('jwt: the same method is mounted as oidc', async () => {
  await using server = await openTestMount(oidcAuth)
  const mounts = (await server.ask('GET', 'sys/auth')).data as Record<string, { type: string }>
  assert.equal(mounts['oidc/']!.type, 'oidc')
  const body = { jwt_validation_pubkeys: pem }
  assert.equal((await server.ask('POST', 'auth/oidc/config', { body })).status, 204)
})

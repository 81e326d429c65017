import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instant, systemClock } from '#ground/base/clock.ts'
import { systemEntropy } from '#ground/base/entropy.ts'
import { issueAuthority, issueLeaf } from '#ground/crypto/issue-certificate.ts'
import type { Json } from '#ground/text/json.ts'
import { openTestMount } from '#core/testing/mount.ts'
import { jwtAuth } from './engine.ts'
import { openSigner, openWeb } from './signer.lab.ts'

const now = systemClock.now()
const world = { clock: systemClock, entropy: systemEntropy }
const validity = { notBefore: instant(now - 60_000), notAfter: instant(now + 3_600_000) }
const authority = issueAuthority(world, { commonName: 'CA of the issuer', ...validity })
const other = issueAuthority(world, { commonName: 'another CA', ...validity })
const leaf = issueLeaf(world, authority, {
  commonName: 'issuer',
  ipAddresses: ['127.0.0.1'],
  usage: 'server',
  ...validity,
})
const signer = openSigner()

for (const [rule, bodyOf] of [
  ['jwks_ca_pem', (url, ca) => ({ jwks_url: `${url}/keys`, ...(ca && { jwks_ca_pem: ca }) })],
  ['oidc_discovery_ca_pem', (url, ca) => ({ oidc_discovery_url: url, ...(ca && { oidc_discovery_ca_pem: ca }) })],
  ['the CA of a pair', (url, ca) => ({ jwks_pairs: [{ jwks_url: `${url}/keys`, ...(ca && { jwks_ca_pem: ca }) }] })],
] as const satisfies readonly (readonly [string, (url: string, ca: string | null) => Record<string, Json>])[]) {
  test(`jwt issuer: ${rule} is the CA that counts, and no other`, async () => {
    await using web = await openWeb({ cert: leaf.certificate, key: leaf.key.reveal('key of the issuer') })
    web.pages.set('/.well-known/openid-configuration', { issuer: web.url, jwks_uri: `${web.url}/keys` })
    web.pages.set('/keys', { keys: [signer.jwk] })
    await using server = await openTestMount(jwtAuth)
    for (const ca of [null, other.certificate]) {
      const refused = await server.ask('POST', 'auth/jwt/config', { body: bodyOf(web.url, ca) })
      assert.equal(refused.status, 400)
      assert.match(refused.errors.join(), /certificate/)
    }
    assert.deepEqual(web.asked, [])
    const body = bodyOf(web.url, authority.certificate)
    assert.equal((await server.ask('POST', 'auth/jwt/config', { body })).status, 204)
    const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'coffer' }
    assert.equal((await server.ask('POST', 'auth/jwt/role/app', { body: role })).status, 204)
    const at = Math.trunc(server.world.clock.now() / 1000)
    const jwt = signer.sign({ sub: 'bob', aud: 'coffer', iat: at, exp: at + 300 })
    const login = await server.ask('POST', 'auth/jwt/login', { token: null, body: { role: 'app', jwt } })
    assert.deepEqual([login.status, login.errors], [200, []])
  })
}

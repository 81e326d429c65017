import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount } from '#core/testing/mount.ts'
import { certAuth } from './engine.ts'
import { pem } from './golden.lab.ts'

test('cert role: shows what was written; what is not sent stays', async () => {
  await using server = await openTestMount(certAuth)
  const body = {
    certificate: pem('root'),
    allowed_names: 'a,b',
    required_extensions: ['1.2.3.4:x*', 'hex:1.2.3.5:00'],
    ocsp_enabled: true,
    ocsp_servers_override: 'http://ocsp.example',
    token_policies: 'dev',
  }
  assert.equal((await server.ask('POST', 'auth/cert/certs/dev', { body })).status, 204)
  assert.equal((await server.ask('POST', 'auth/cert/certs/dev', { body: { token_ttl: 60 } })).status, 204)
  await server.restart()
  const { data } = await server.ask('GET', 'auth/cert/certs/dev')
  assert.deepEqual(data, {
    allowed_common_names: [],
    allowed_dns_sans: [],
    allowed_email_sans: [],
    allowed_metadata_extensions: [],
    allowed_names: ['a', 'b'],
    allowed_organizational_units: [],
    allowed_uri_sans: [],
    certificate: pem('root'),
    display_name: 'dev',
    ocsp_ca_certificates: '',
    ocsp_enabled: true,
    ocsp_fail_open: false,
    ocsp_query_all_servers: false,
    ocsp_servers_override: ['http://ocsp.example'],
    required_extensions: ['1.2.3.4:x*', 'hex:1.2.3.5:00'],
    token_bound_cidrs: [],
    token_explicit_max_ttl: 0,
    token_max_ttl: 0,
    token_no_default_policy: false,
    token_num_uses: 0,
    token_period: 0,
    token_policies: ['dev'],
    token_ttl: 60,
    token_type: 'default',
  })
  const listed = await server.ask('LIST', 'auth/cert/certs')
  assert.deepEqual(listed.data, { keys: ['dev'] })
  assert.equal((await server.ask('DELETE', 'auth/cert/certs/dev')).status, 204)
  assert.equal((await server.ask('GET', 'auth/cert/certs/dev')).status, 404)
  assert.equal((await server.ask('LIST', 'auth/cert/certs')).status, 404)
})

for (const [rule, body, text] of [
  ['no certificate', {}, 'failed to parse certificate'],
  ['what is no PEM', { certificate: 'x' }, 'failed to parse certificate'],
  ['a broken certificate', { certificate: pem('root').replace('M', 'N') }, 'failed to parse certificate'],
  [
    'the certificate of a server',
    { certificate: pem('server') },
    'nonCA certificates should have TLS client authentication set as an extended key usage',
  ],
  [
    'an extension without a value',
    { certificate: pem('root'), required_extensions: '1.2.3' },
    'required_extensions: "1.2.3" is neither oid:value nor hex:oid:value',
  ],
  [
    'metadata of what is no OID',
    { certificate: pem('root'), allowed_metadata_extensions: 'blue' },
    'allowed_metadata_extensions: "blue" is no OID',
  ],
  [
    'an OCSP server that is no address',
    { certificate: pem('root'), ocsp_servers_override: 'file:///etc/passwd' },
    'ocsp_servers_override: "file:///etc/passwd" is no address with http:// or https://',
  ],
  [
    'a TTL beyond the largest',
    { certificate: pem('root'), token_ttl: 60, token_max_ttl: 30 },
    "'token_ttl' cannot be greater than 'token_max_ttl'",
  ],
] as const satisfies readonly (readonly [string, Record<string, Json>, string])[]) {
  test(`cert role: refused is ${rule}, and nothing is kept`, async () => {
    await using server = await openTestMount(certAuth)
    const { status, errors } = await server.ask('POST', 'auth/cert/certs/dev', { body })
    assert.deepEqual([status, errors], [400, [text]])
    assert.equal((await server.ask('GET', 'auth/cert/certs/dev')).status, 404)
  })
}

test('cert role: TTLs that the mount cuts are told of', async () => {
  await using server = await openTestMount(certAuth)
  const body = { certificate: pem('root'), token_max_ttl: '2000h' }
  const answer = await server.ask('POST', 'auth/cert/certs/dev', { body })
  assert.equal(answer.status, 200)
  assert.match((answer.body as { warnings: string[] }).warnings[0]!, /^Given max_ttl of 7200000 seconds is greater/)
})

test('cert config: only what is sent changes, and is there after a restart', async () => {
  await using server = await openTestMount(certAuth)
  const read = async (): Promise<Json> => (await server.ask('GET', 'auth/cert/config')).data
  assert.deepEqual(await read(), {
    disable_binding: false,
    enable_identity_alias_metadata: false,
    ocsp_cache_size: 100,
  })
  await server.ask('POST', 'auth/cert/config', { body: { enable_identity_alias_metadata: true } })
  await server.ask('POST', 'auth/cert/config', { body: { ocsp_cache_size: 7 } })
  await server.restart()
  assert.deepEqual(await read(), { disable_binding: false, enable_identity_alias_metadata: true, ocsp_cache_size: 7 })
  const { errors } = await server.ask('POST', 'auth/cert/config', { body: { ocsp_cache_size: 1 } })
  assert.match(errors[0]!, /^invalid cache size, must be >= 2/)
})

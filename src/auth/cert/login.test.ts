import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { certAuth } from './engine.ts'
import { der, pem } from './golden.lab.ts'

const open = (): Promise<TestServer> => openTestMount(certAuth)

async function role(
  server: TestServer,
  name: string,
  certificate: string,
  more: Record<string, Json> = {},
): Promise<void> {
  const body = { certificate: pem(certificate), token_policies: name, ...more }
  const { status, errors } = await server.ask('POST', `auth/cert/certs/${name}`, { body })
  assert.deepEqual([status, errors], [204, []])
}

const login = (server: TestServer, chain: readonly string[], name = ''): Promise<TestAnswer> =>
  server.ask('POST', 'auth/cert/login', {
    token: null,
    certificates: chain.map(der),
    body: name === '' ? {} : { name },
  })

const reasonOf = async (server: TestServer, answer: TestAnswer): Promise<string> => {
  const id = answer.headers.get('x-coffer-request-id') ?? ''
  const { data } = await server.ask('POST', 'sys/policies/explain', { body: { request_id: id } })
  return (data as { reason: string }).reason
}

const notTrusted = 'invalid certificate or no client certificate supplied'
const notFitting = 'no chain matching all constraints could be found for this login certificate'

for (const [rule, chain, want] of [
  ['a certificate of the authority', ['bob'], true],
  ['an Ed25519 key', ['ed'], true],
  ['one through an authority between', ['nested', 'between'], true],
  ['one whose purpose is not limited', ['anyuse'], true],
  ['a name inside of what its authority may name', ['inside', 'named'], true],
  ['other certificates beside its own', ['bob', 'other', 'twin', 'between'], true],
  ['the authority between is not sent', ['nested'], /no role has an authority of that name/],
  ['another authority', ['rsa'], /no role has an authority of that name/],
  ['an authority of the same name', ['bytwin'], /No valid certificate paths found/],
  ['it sends an authority of the same name along', ['bytwin', 'twin'], /path/],
  ['a path longer than the authority allows', ['toodeep', 'below', 'short'], /path length/],
  ['a client that signed another', ['byleaf', 'noca'], /not a CA/],
  ['an authority that may sign lists only', ['bynosign', 'nosign'], /not a CA/],
  ['an authority that has expired', ['byended', 'ended'], /expired/],
  ['an authority for servers only', ['byserverca', 'serverca'], /incompatible key usage/],
  ['a name outside of what its authority may name', ['outside', 'named'], /permitted/],
  ['a name that its authority may not name', ['excluded', 'named'], /excluded/],
  ['it has expired', ['expired'], /expired/],
  ['it is not valid yet', ['early'], /not yet valid/],
  ['a certificate of a server', ['server'], /incompatible key usage/],
  ['a critical extension that nobody knows', ['critical'], /critical extension 1\.2\.3\.99/],
] as const) {
  test(`cert login: ${want === true ? 'takes' : 'refuses, for'} ${rule}`, async () => {
    await using server = await open()
    await role(server, 'all', 'root')
    const answer = await login(server, chain)
    if (want === true) return assert.equal(answer.status, 200, answer.text)
    assert.deepEqual([answer.status, answer.errors], [400, [notTrusted]])
    assert.match(await reasonOf(server, answer), want)
  })
}

test('cert login: metadata, alias and display name come from certificate and role', async () => {
  await using server = await open()
  await role(server, 'dev', 'root', {
    display_name: 'developers',
    allowed_metadata_extensions: '1.2.3.4,1.2.3.5,1.2.3.9',
  })
  const answer = await login(server, ['bob'])
  const { auth } = answer.body as { auth: Record<string, Json> & { client_token: string; entity_id: string } }
  const keyIds = auth['metadata'] as Record<string, string>
  assert.match(keyIds['subject_key_id']!, /^([0-9a-f]{2}:){19}[0-9a-f]{2}$/)
  assert.match(keyIds['authority_key_id']!, /^([0-9a-f]{2}:){19}[0-9a-f]{2}$/)
  assert.deepEqual(auth['metadata'], {
    '1-2-3-4': 'blue',
    '1-2-3-5': 'green',
    authority_key_id: keyIds['authority_key_id'],
    cert_name: 'dev',
    common_name: 'bob',
    serial_number: '9',
    subject_key_id: keyIds['subject_key_id'],
  })
  assert.deepEqual(auth['token_policies'], ['default', 'dev'])
  const { data } = await server.ask('GET', 'auth/token/lookup-self', { token: auth.client_token })
  assert.equal((data as { display_name: Json }).display_name, 'cert-developers')
  const again = (await login(server, ['bob'])).body as { auth: { entity_id: string } }
  assert.equal(again.auth.entity_id, auth.entity_id)
  const other = (await login(server, ['ed'])).body as { auth: { entity_id: string } }
  assert.notEqual(other.auth.entity_id, auth.entity_id)
})

test('cert login: without a display name the tokens have that of the role', async () => {
  await using server = await open()
  await role(server, 'dev', 'root')
  const { auth } = (await login(server, ['bob'])).body as { auth: { client_token: string } }
  const { data } = await server.ask('GET', 'auth/token/lookup-self', { token: auth.client_token })
  assert.equal((data as { display_name: Json }).display_name, 'cert-dev')
})

test('cert login: without a common name there is nobody to be', async () => {
  await using server = await open()
  await role(server, 'all', 'root')
  const answer = await login(server, ['nobody'])
  assert.deepEqual([answer.status, answer.errors], [500, ['missing name in alias']])
})

for (const [what, ask, text] of [
  ['without TLS', {}, 'tls connection not found'],
  ['without a certificate', { certificates: [] }, 'no client certificate found'],
] as const) {
  test(`cert login: ${what} is 500, as in the original`, async () => {
    await using server = await open()
    await role(server, 'all', 'root')
    const answer = await server.ask('POST', 'auth/cert/login', { token: null, ...ask })
    assert.deepEqual([answer.status, answer.errors], [500, [text]])
  })
}

test('cert login: what is no certificate is 400', async () => {
  await using server = await open()
  await role(server, 'all', 'root')
  for (const broken of [
    new Uint8Array(0),
    new Uint8Array([0x30, 0x80]),
    der('bob').subarray(0, 200),
    new Uint8Array(9_000).fill(0x30),
  ]) {
    const answer = await server.ask('POST', 'auth/cert/login', { token: null, certificates: [broken] })
    assert.deepEqual([answer.status, answer.errors], [400, ['failed to parse certificate']])
  }
})

test('cert login: any changed byte of what the authority signed is refused', async () => {
  await using server = await open()
  await role(server, 'all', 'root')
  const whole = der('bob')
  // The first member of the outer sequence; both have lengths of two bytes.
  const signedEnd = 8 + whole[6]! * 256 + whole[7]!
  for (let at = 0; at < signedEnd; at++) {
    const changed = Uint8Array.from(whole)
    changed[at]! ^= 0x01
    const answer = await server.ask('POST', 'auth/cert/login', { token: null, certificates: [changed] })
    assert.equal(answer.status, 400, `byte ${at}: ${answer.text}`)
  }
})

for (const [rule, constraints, fits] of [
  ['allowed_names by common name', { allowed_names: 'bob' }, true],
  ['allowed_names by a DNS name', { allowed_names: '*.example' }, true],
  ['allowed_names by an address', { allowed_names: '*@example.org' }, true],
  ['allowed_names by another name', { allowed_names: 'eve,mallory' }, false],
  ['allowed_common_names', { allowed_common_names: 'b*' }, true],
  ['allowed_common_names, another', { allowed_common_names: 'bob.example' }, false],
  ['allowed_dns_sans', { allowed_dns_sans: 'bob.example' }, true],
  ['allowed_dns_sans, another', { allowed_dns_sans: 'bob' }, false],
  ['allowed_email_sans', { allowed_email_sans: 'bob@*' }, true],
  ['allowed_email_sans, another', { allowed_email_sans: 'eve@*' }, false],
  ['allowed_uri_sans', { allowed_uri_sans: 'spiffe://example/*' }, true],
  ['allowed_uri_sans, another', { allowed_uri_sans: 'spiffe://other/*' }, false],
  ['allowed_organizational_units', { allowed_organizational_units: 'ops' }, true],
  ['allowed_organizational_units, another', { allowed_organizational_units: 'admins' }, false],
  ['required_extensions', { required_extensions: '1.2.3.4:bl*,1.2.3.5:green' }, true],
  ['required_extensions, one is not met', { required_extensions: '1.2.3.4:blue,1.2.3.5:red' }, false],
  ['required_extensions that is not there', { required_extensions: '1.2.3.7:*' }, false],
  ['required_extensions by bytes', { required_extensions: 'hex:1.2.3.6:0402ABcd' }, true],
  ['required_extensions by other bytes', { required_extensions: 'hex:1.2.3.6:0402abce' }, false],
  ['required_extensions that is no text', { required_extensions: '1.2.3.6:?*' }, false],
  ['all at once', { allowed_names: 'bob', allowed_organizational_units: 'dev', allowed_uri_sans: '*' }, true],
  ['all but one', { allowed_names: 'bob', allowed_organizational_units: 'none', allowed_uri_sans: '*' }, false],
] as const) {
  test(`cert constraints: ${rule} ${fits ? 'fits' : 'does not fit'}`, async () => {
    await using server = await open()
    await role(server, 'bound', 'root', constraints)
    const answer = await login(server, ['bob'])
    if (fits) return assert.equal(answer.status, 200, answer.text)
    assert.deepEqual([answer.status, answer.errors], [400, [notFitting]])
    assert.match(
      await reasonOf(server, answer),
      new RegExp(`^bound: .*${Object.keys(constraints).at(-2) ?? Object.keys(constraints)[0]}`),
    )
  })
}

test('cert login: of several roles the first by name that fits is taken, or the one that is named', async () => {
  await using server = await open()
  await role(server, 'a-others', 'root', { allowed_common_names: 'eve' })
  await role(server, 'b-first', 'root')
  await role(server, 'c-second', 'root')
  const policies = async (name?: string): Promise<Json> =>
    ((await login(server, ['bob'], name)).body as { auth?: { token_policies: Json } }).auth?.token_policies ?? null
  assert.deepEqual(await policies(), ['b-first', 'default'])
  assert.deepEqual(await policies('c-second'), ['c-second', 'default'])
  assert.equal(await policies('a-others'), null)
  assert.equal(await policies('none'), null)
})

test("cert login: a client's own certificate lets in it alone, as long as it is valid", async () => {
  await using server = await open()
  await role(server, 'bob', 'bob')
  assert.equal((await login(server, ['bob'])).status, 200)
  for (const other of ['ed', 'bytwin', 'expired']) assert.equal((await login(server, [other])).status, 400, other)
  await role(server, 'old', 'expired')
  const late = await login(server, ['expired'])
  assert.equal(late.status, 400)
  assert.match(await reasonOf(server, late), /old: the certificate is not valid at this time/)
})

test('cert login: an authority in the middle may be trusted alone', async () => {
  await using server = await open()
  await role(server, 'part', 'between')
  assert.equal((await login(server, ['nested'])).status, 200)
  assert.equal((await login(server, ['nested', 'between', 'root'])).status, 200)
  assert.equal((await login(server, ['bob'])).status, 400)
})

test('cert login: a role that was changed or deleted counts at once, and after a restart', async () => {
  await using server = await open()
  await role(server, 'all', 'root')
  await server.restart()
  assert.equal((await login(server, ['bob'])).status, 200)
  await role(server, 'all', 'other')
  assert.equal((await login(server, ['bob'])).status, 400)
  assert.equal((await login(server, ['rsa'])).status, 200)
  await server.ask('DELETE', 'auth/cert/certs/all')
  assert.equal((await login(server, ['rsa'])).status, 400)
})

test('cert login: bound addresses count', async () => {
  await using server = await open()
  await role(server, 'all', 'root', { token_bound_cidrs: '198.51.100.0/24' })
  assert.equal((await login(server, ['bob'])).status, 403)
})

const renewSelf = (server: TestServer, token: string, chain?: readonly string[]): Promise<TestAnswer> =>
  server.ask('POST', 'auth/token/renew-self', { token, ...(chain && { certificates: chain.map(der) }) })

const tokenOf = (answer: TestAnswer): string => (answer.body as { auth: { client_token: string } }).auth.client_token

test('cert renewal: needs the certificate of the login, unless the mount does not bind', async () => {
  await using server = await open()
  await role(server, 'all', 'root', { token_ttl: 60, token_max_ttl: 600 })
  const token = tokenOf(await login(server, ['bob']))
  assert.equal((await renewSelf(server, token, ['bob'])).status, 200)
  for (const [chain, text] of [
    [undefined, 'failed to renew entry: tls connection not found'],
    [[], 'failed to renew entry: no client certificate found'],
    [['ed'], 'failed to renew entry: client identity during renewal not matching client identity used during login'],
    [
      ['bytwin'],
      'failed to renew entry: client identity during renewal not matching client identity used during login',
    ],
  ] as const) {
    const answer = await renewSelf(server, token, chain)
    assert.deepEqual([answer.status, answer.errors], [500, [text]])
  }
  assert.equal((await server.ask('POST', 'auth/cert/config', { body: { disable_binding: true } })).status, 204)
  assert.equal((await renewSelf(server, token)).status, 200)
})

test('cert renewal: ends with the role, and with other policies', async () => {
  await using server = await open()
  await role(server, 'all', 'root', { token_ttl: 60 })
  const token = tokenOf(await login(server, ['bob']))
  await role(server, 'all', 'root', { token_policies: 'others' })
  assert.deepEqual((await renewSelf(server, token, ['bob'])).errors, [
    'failed to renew entry: policies have changed, not renewing',
  ])
  await server.ask('DELETE', 'auth/cert/certs/all')
  assert.deepEqual((await renewSelf(server, token, ['bob'])).errors, [
    'failed to renew entry: role "all" does not exist during renewal',
  ])
})

import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { type Instant, instant } from '#ground/base/clock.ts'
import { seededEntropy } from '#ground/base/entropy.ts'
import { CertificateError, chainFault, inspectCertificate, splitPem } from './certificates.ts'
import { Secret } from '#ground/base/secret.ts'
import { issueAuthority, issueLeaf } from './issue-certificate.ts'

const world = { entropy: seededEntropy(3) }
const at = (text: string): Instant => instant(Date.parse(text))
const year = { notBefore: at('2026-01-01T00:00:00Z'), notAfter: at('2027-01-01T00:00:00Z') }
const authority = issueAuthority(world, { commonName: 'coffer CA', ...year, notAfter: at('2060-06-01T00:00:00Z') })
const leaf = issueLeaf(world, authority, {
  commonName: 'coffer',
  ...year,
  dnsNames: ['coffer.default.svc', '*.example.com'],
  ipAddresses: ['10.0.0.7', '::1'],
  usage: 'server',
})

test('certificate: a leaf tells its names, times and issuer', () => {
  const facts = inspectCertificate(leaf.certificate)
  assert.equal(facts.subject, 'CN=coffer')
  assert.equal(facts.issuer, 'CN=coffer CA')
  assert.deepEqual(facts.dnsNames, ['coffer.default.svc', '*.example.com'])
  assert.deepEqual(facts.ipAddresses, ['10.0.0.7', '0:0:0:0:0:0:0:1'])
  assert.deepEqual([facts.notBefore, facts.notAfter, facts.isAuthority], [year.notBefore, year.notAfter, false])
  assert.match(facts.serial, /^[4-7][0-9a-f]{39}$/)
  assert.match(facts.fingerprint, /^[0-9a-f]{64}$/)
})

test('certificate: an authority may outlive 2049, and is one', () => {
  const facts = inspectCertificate(authority.certificate)
  assert.deepEqual([facts.isAuthority, facts.notAfter], [true, at('2060-06-01T00:00:00Z')])
})

test('certificate: the key belongs to it and is a secret', () => {
  const key = createPrivateKey(leaf.key.reveal('test'))
  assert.ok(new X509Certificate(leaf.certificate).checkPrivateKey(key))
  assert.equal(String(leaf.key), '[secret]')
})

test('certificate: usage says what a leaf is for', () => {
  const usage = (pem: string): string[] | undefined => new X509Certificate(pem).keyUsage
  assert.deepEqual(usage(leaf.certificate), ['1.3.6.1.5.5.7.3.1'])
  const both = issueLeaf(world, authority, { commonName: 'node', ...year, usage: 'both' })
  assert.deepEqual(usage(both.certificate), ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
})

const pairs = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  p384: generateKeyPairSync('ec', { namedCurve: 'secp384r1' }),
  ed25519: generateKeyPairSync('ed25519'),
}
for (const [type, bits] of [
  ['rsa', undefined],
  ['rsa', 512],
  ['p384', undefined],
  ['p384', 256],
  ['ed25519', undefined],
] as const) {
  test(`certificate: an authority with a key of type ${type} signs keys of every type (${bits ?? 'its own hash'})`, () => {
    const { publicKey, privateKey } = pairs[type]
    // The name of one that is there already; its key is another.
    const key = new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
    const signer = { certificate: authority.certificate, key }
    for (const pair of Object.values(pairs)) {
      const request = { commonName: 'user', ...year, usage: 'client', pair } as const
      const made = issueLeaf(world, signer, { ...request, ...(bits !== undefined && { signatureBits: bits }) })
      const parsed = new X509Certificate(made.certificate)
      assert.ok(parsed.verify(publicKey))
      assert.ok(parsed.checkPrivateKey(pair.privateKey))
    }
  })
}

test('certificate: an address that is none is refused', () => {
  const request = { commonName: 'x', ...year, ipAddresses: ['10.0.0'], usage: 'server' } as const
  assert.throws(() => issueLeaf(world, authority, request), RangeError)
})

const stranger = issueAuthority(world, { commonName: 'coffer CA', ...year })
const inside = at('2026-06-01T00:00:00Z')
for (const [rule, chain, trusted, when, name, want] of [
  ['its own authority', leaf.certificate, authority.certificate, inside, 'coffer.default.svc', null],
  ['a wildcard name', leaf.certificate, authority.certificate, inside, 'a.example.com', null],
  ['an address', leaf.certificate, authority.certificate, inside, '10.0.0.7', null],
  [
    'one of several authorities',
    leaf.certificate,
    stranger.certificate + authority.certificate,
    inside,
    undefined,
    null,
  ],
  ['not another name', leaf.certificate, authority.certificate, inside, 'other', 'certificate is not valid for other'],
  [
    'not a subject without alternative name',
    leaf.certificate,
    authority.certificate,
    inside,
    'coffer',
    'certificate is not valid for coffer',
  ],
  [
    'not an authority of the same name',
    leaf.certificate,
    stranger.certificate,
    inside,
    undefined,
    'certificate signed by unknown authority',
  ],
  [
    'not before its time',
    leaf.certificate,
    authority.certificate,
    at('2025-12-31T23:59:59Z'),
    undefined,
    'certificate is not yet valid',
  ],
  [
    'not after its time',
    leaf.certificate,
    authority.certificate,
    at('2027-01-01T00:00:01Z'),
    undefined,
    'certificate has expired',
  ],
] as const) {
  test(`chain: a leaf is trusted by ${rule}`, () => assert.equal(chainFault(chain, trusted, when, name), want))
}

test('chain: a leaf that signs another is no authority', () => {
  const forged = issueLeaf(world, leaf, { commonName: 'forged', ...year, dnsNames: ['victim'], usage: 'server' })
  const fault = chainFault(forged.certificate + leaf.certificate, authority.certificate, inside, 'victim')
  assert.equal(fault, 'certificate signed by unknown authority')
})

test('certificate: text without one is an error that says so', () => {
  assert.throws(() => splitPem('nothing'), CertificateError)
  assert.throws(() => inspectCertificate('nothing'), CertificateError)
  assert.throws(() => inspectCertificate(Buffer.from([0x30, 0x03])), CertificateError)
  assert.equal(splitPem(`# head\n${leaf.certificate}\n# between\n${authority.certificate}`).length, 2)
})

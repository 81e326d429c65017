import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { BitString, fromBER, Integer, Null, OctetString, Utf8String } from 'asn1js'
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  Extension,
  ExtKeyUsage,
  GeneralName,
  GeneralNames,
  PublicKeyInfo,
  type RelativeDistinguishedNames,
  Time,
  TimeType,
} from 'pkijs'
import { assert } from '#ground/base/assert.ts'
import type { Bytes } from '#ground/base/brand.ts'
import type { Instant } from '#ground/base/clock.ts'
import type { Entropy } from '#ground/base/entropy.ts'
import { Secret } from '#ground/base/secret.ts'
import { parseIp } from '#ground/text/cidr.ts'

/** A certificate with its key, both PEM (the key as PKCS #8). */
export type IssuedCertificate = { readonly certificate: string; readonly key: Secret }

export type Validity = {
  /** From when, whole seconds; what lies below a second is cut off. */
  readonly notBefore: Instant
  readonly notAfter: Instant
}

export type AuthorityRequest = Validity & { readonly commonName: string }

export type LeafRequest = Validity & {
  readonly commonName: string
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  /** `server`: TLS server authentication; `client`; `both`. */
  readonly usage: 'server' | 'client' | 'both'
  /** Default: a new ECDSA P-256 pair. Making an RSA pair takes too long to be done here. */
  readonly pair?: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
  /** Of the hash that is signed; default: what fits the authority's key. Ed25519 has its own. */
  readonly signatureBits?: SignatureBits
}

export type SignatureBits = 256 | 384 | 512

type World = { readonly entropy: Entropy }

/** Makes a self-signed authority that may sign leaves only (path length 0). Keys come from OpenSSL's own chance. */
export function issueAuthority(world: World, request: AuthorityRequest): IssuedCertificate {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const id = keyId(pair.publicKey)
  const certificate = draft(world, request, pair.publicKey, [
    extension('2.5.29.19', true, new BasicConstraints({ cA: true, pathLenConstraint: 0 }).toSchema().toBER()),
    keyUsage('sign'),
    extension('2.5.29.14', false, new OctetString({ valueHex: id }).toBER()),
  ])
  setName(certificate.issuer, request.commonName)
  return finish(certificate, pair.privateKey, pair.privateKey)
}

/**
 * Makes a leaf, signed by the authority, whose key may be RSA, ECDSA or Ed25519.
 * @throws RangeError for an address that isn't one, and for an authority's key of another kind
 */
export function issueLeaf(world: World, authority: IssuedCertificate, request: LeafRequest): IssuedCertificate {
  const pair = request.pair ?? generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const authorityKey = createPrivateKey(authority.key.reveal('sign a leaf'))
  const purposes = { server: ['1.3.6.1.5.5.7.3.1'], client: ['1.3.6.1.5.5.7.3.2'] }
  const usages = request.usage === 'both' ? [...purposes.server, ...purposes.client] : purposes[request.usage]
  const authorityId = new OctetString({ valueHex: keyId(createPublicKey(authorityKey)) })
  const extensions = [
    extension('2.5.29.19', true, new BasicConstraints({ cA: false }).toSchema().toBER()),
    keyUsage(request.pair === undefined ? 'leaf' : 'signature'),
    extension('2.5.29.37', false, new ExtKeyUsage({ keyPurposes: usages }).toSchema().toBER()),
    extension('2.5.29.14', false, new OctetString({ valueHex: keyId(pair.publicKey) }).toBER()),
    extension('2.5.29.35', false, new AuthorityKeyIdentifier({ keyIdentifier: authorityId }).toSchema().toBER()),
  ]
  const names = alternativeNames(request)
  if (names.length > 0) extensions.push(extension('2.5.29.17', false, new GeneralNames({ names }).toSchema().toBER()))
  const certificate = draft(world, request, pair.publicKey, extensions)
  certificate.issuer = parseCertificate(authority.certificate).subject
  return finish(certificate, authorityKey, pair.privateKey, request.signatureBits)
}

function alternativeNames(request: LeafRequest): GeneralName[] {
  const names = (request.dnsNames ?? []).map(value => new GeneralName({ type: 2, value }))
  for (const address of request.ipAddresses ?? []) {
    const bytes = parseIp(address)
    if (!bytes) throw new RangeError(`${address} is no IP address`)
    names.push(new GeneralName({ type: 7, value: new OctetString({ valueHex: tight(bytes) }) }))
  }
  return names
}

function draft(
  world: World,
  request: Validity & { commonName: string },
  publicKey: KeyObject,
  extensions: Extension[],
): Certificate {
  assert(request.notBefore < request.notAfter, 'a certificate is valid for some time')
  const certificate = new Certificate()
  certificate.version = 2 // X.509 v3 (RFC 5280 section 4.1.2.1)
  certificate.serialNumber = new Integer({ valueHex: tight(serialNumber(world.entropy)) })
  certificate.notBefore = time(request.notBefore)
  certificate.notAfter = time(request.notAfter)
  certificate.subjectPublicKeyInfo = publicKeyInfo(publicKey)
  certificate.extensions = extensions
  setName(certificate.subject, request.commonName)
  return certificate
}

function finish(
  certificate: Certificate,
  signer: KeyObject,
  own: KeyObject,
  signatureBits?: SignatureBits,
): IssuedCertificate {
  const { algorithmId, hash } = signatureOf(signer, signatureBits)
  // Only RSA's has parameters, and they are NULL (RFC 4055 section 5, RFC 5758 section 3.2, RFC 8410 section 3).
  const isRsa = signer.asymmetricKeyType === 'rsa'
  const algorithm = new AlgorithmIdentifier({ algorithmId, ...(isRsa && { algorithmParams: new Null() }) })
  certificate.signature = algorithm
  certificate.signatureAlgorithm = algorithm
  const tbs = certificate.encodeTBS().toBER()
  // By node:crypto: WebCrypto is asynchronous and 50 times slower.
  const signature = sign(hash, new Uint8Array(tbs), { key: signer, dsaEncoding: 'der' })
  certificate.signatureValue = new BitString({ valueHex: tight(signature) })
  return {
    certificate: toPem('CERTIFICATE', certificate.toSchema(true).toBER()),
    key: new Secret(own.export({ type: 'pkcs8', format: 'pem' }) as string),
  }
}

const rsaSignatures = { 256: '1.2.840.113549.1.1.11', 384: '1.2.840.113549.1.1.12', 512: '1.2.840.113549.1.1.13' }
const ecdsaSignatures = { 256: '1.2.840.10045.4.3.2', 384: '1.2.840.10045.4.3.3', 512: '1.2.840.10045.4.3.4' }
const curveBits: Readonly<Record<string, SignatureBits>> = { prime256v1: 256, secp384r1: 384, secp521r1: 512 }

function signatureOf(
  signer: KeyObject,
  asked: SignatureBits | undefined,
): { algorithmId: string; hash: string | null } {
  const curve = signer.asymmetricKeyDetails?.namedCurve ?? ''
  const bits = asked ?? curveBits[curve] ?? 256
  const type = signer.asymmetricKeyType
  if (type === 'rsa') return { algorithmId: rsaSignatures[bits], hash: `sha${bits}` }
  if (type === 'ec') return { algorithmId: ecdsaSignatures[bits], hash: `sha${bits}` }
  if (type === 'ed25519') return { algorithmId: '1.3.101.112', hash: null }
  throw new RangeError(`a key of type ${type ?? 'unknown'} signs no certificates here`)
}

// 20 bytes at most, positive and not zero (RFC 5280 section 4.1.2.2).
function serialNumber(entropy: Entropy): Bytes {
  const serial = entropy.bytes(20)
  serial[0] = (serial[0]! & 0x3f) | 0x40
  return serial
}

function time(at: Instant): Time {
  // oxlint-disable-next-line no-restricted-globals -- pkijs takes a Date; the moment comes from the caller
  const value = new Date(Math.floor(at / 1000) * 1000)
  // UTCTime holds years up to 2049 (RFC 5280 section 4.1.2.5).
  return new Time({ type: value.getUTCFullYear() < 2050 ? TimeType.UTCTime : TimeType.GeneralizedTime, value })
}

function setName(name: RelativeDistinguishedNames, commonName: string): void {
  name.typesAndValues = [new AttributeTypeAndValue({ type: '2.5.4.3', value: new Utf8String({ value: commonName }) })]
}

function extension(extnID: string, critical: boolean, value: ArrayBuffer): Extension {
  return new Extension({ extnID, critical, extnValue: value })
}

function keyUsage(kind: 'sign' | 'leaf' | 'signature'): Extension {
  // Bits from the left: digitalSignature 0, keyAgreement 4, keyCertSign 5, cRLSign 6.
  const bits = {
    sign: { byte: 0x06, unused: 1 },
    leaf: { byte: 0x88, unused: 3 },
    signature: { byte: 0x80, unused: 7 },
  }[kind]
  const value = new BitString({ valueHex: Uint8Array.of(bits.byte).buffer, unusedBits: bits.unused })
  return extension('2.5.29.15', true, value.toBER())
}

function publicKeyInfo(key: KeyObject): PublicKeyInfo {
  return new PublicKeyInfo({ schema: fromBER(tight(key.export({ type: 'spki', format: 'der' }))).result })
}

/** RFC 5280 section 4.2.1.2, method 1: SHA-1 over the bits of the public key; an identifier, not a protection. */
function keyId(key: KeyObject): ArrayBuffer {
  const bits = publicKeyInfo(key).subjectPublicKey.valueBlock.valueHexView
  return tight(createHash('sha1').update(bits).digest())
}

function parseCertificate(pem: string): Certificate {
  return Certificate.fromBER(tight(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')))
}

// asn1js takes whole ArrayBuffers: a pooled Buffer's would hold its neighbours too.
function tight(bytes: Bytes): ArrayBuffer {
  return Uint8Array.from(bytes).buffer
}

function toPem(label: string, der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

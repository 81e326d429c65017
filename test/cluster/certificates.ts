import { createHash, generateKeyPair, KeyObject, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import { BitString, Integer, ObjectIdentifier, OctetString, PrintableString, Sequence, Set, Utf8String } from 'asn1js'
import {
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  Extension,
  ExtKeyUsage,
  GeneralName,
  GeneralNames,
  RelativeDistinguishedNames,
  Time,
  TimeType,
} from 'pkijs'

/** A certificate and its private key (PKCS #8), both PEM. */
export type Identity = { cert: string; key: string }

/** What a leaf is for. The common name is a client's user name, the organization its group. */
export type Leaf = {
  commonName: string
  organization?: string
  /** DNS names and IP addresses of a server; none for a client. */
  names?: readonly string[]
}

/** A certificate authority of one run: P-256, valid for 30 days. */
export type Authority = { pem: string; keyPem: string; issue(leaf: Leaf): Promise<Identity> }

const oid = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

const dayMs = 86_400_000
// RFC 5280 section 4.2.1.3: bits from the left.
const keyUsage = { digitalSignature: 0x80, keyCertSign: 0x04, crlSign: 0x02 }

type KeyPair = webcrypto.CryptoKeyPair
type Name = readonly (readonly [type: string, value: string])[]

const newKey = (): Promise<KeyPair> =>
  webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])

const pemOfKey = (pair: KeyPair): string => KeyObject.from(pair.privateKey).export({ type: 'pkcs8', format: 'pem' })

/** The key that signs service account tokens: RSA, because RS256 is what clusters have. */
export async function newServiceAccountKey(): Promise<{ privatePem: string; publicPem: string }> {
  const pair = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  return {
    privatePem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    publicPem: pair.publicKey.export({ type: 'spki', format: 'pem' }),
  }
}

export async function createAuthority(): Promise<Authority> {
  const pair = await newKey()
  const name: Name = [[oid.commonName, 'test-ca']]
  const certificate = await sign({
    subject: name,
    issuer: name,
    key: pair,
    signer: pair,
    extensions: [
      extension(oid.basicConstraints, true, new BasicConstraints({ cA: true }).toSchema()),
      usage(keyUsage.digitalSignature | keyUsage.keyCertSign | keyUsage.crlSign),
    ],
  })
  return {
    pem: certificate,
    keyPem: pemOfKey(pair),
    async issue(leaf) {
      const key = await newKey()
      const subject: [string, string][] = [[oid.commonName, leaf.commonName]]
      if (leaf.organization) subject.unshift([oid.organization, leaf.organization])
      const purpose = leaf.names ? oid.serverAuth : oid.clientAuth
      const extensions = [
        usage(keyUsage.digitalSignature),
        extension(oid.extKeyUsage, false, new ExtKeyUsage({ keyPurposes: [purpose] }).toSchema()),
        ...(leaf.names ? [altNames(leaf.names)] : []),
      ]
      return { cert: await sign({ subject, issuer: name, key, signer: pair, extensions }), key: pemOfKey(key) }
    },
  }
}

type ToSign = { subject: Name; issuer: Name; key: KeyPair; signer: KeyPair; extensions: Extension[] }

async function sign(parts: ToSign): Promise<string> {
  const certificate = new Certificate()
  certificate.version = 2
  certificate.serialNumber = new Integer({ valueHex: positive(webcrypto.getRandomValues(new Uint8Array(16))) })
  certificate.subject = distinguishedName(parts.subject)
  certificate.issuer = distinguishedName(parts.issuer)
  const now = Date.now()
  // From yesterday on: clocks of containers lag.
  certificate.notBefore = new Time({ type: TimeType.UTCTime, value: new Date(now - dayMs) })
  certificate.notAfter = new Time({ type: TimeType.UTCTime, value: new Date(now + 30 * dayMs) })
  await certificate.subjectPublicKeyInfo.importKey(parts.key.publicKey)
  const [own, signers] = await Promise.all([keyIdentifier(parts.key), keyIdentifier(parts.signer)])
  certificate.extensions = [
    ...parts.extensions,
    // Go doesn't ask for the two identifiers, clients with strict X.509 checks (Python 3.13) do.
    extension(oid.subjectKeyIdentifier, false, own),
    extension(oid.authorityKeyIdentifier, false, new AuthorityKeyIdentifier({ keyIdentifier: signers }).toSchema()),
  ]
  await certificate.sign(parts.signer.privateKey, 'SHA-256')
  const base64 = Buffer.from(certificate.toSchema(true).toBER(false)).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`
}

/** A serial number's bytes with the sign bit off and the first byte not zero. */
function positive(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.buffer
}

async function keyIdentifier(pair: KeyPair): Promise<OctetString> {
  const raw = await webcrypto.subtle.exportKey('raw', pair.publicKey)
  const digest = createHash('sha1').update(new Uint8Array(raw)).digest()
  return new OctetString({ valueHex: Uint8Array.from(digest).buffer })
}

// pkijs by itself would put all attributes into one set, `O + CN`. Parsed names keep their form, so it parses ours.
function distinguishedName(name: Name): RelativeDistinguishedNames {
  const sets = name.map(([type, value]) => {
    const text = /^[A-Za-z0-9 '()+,./:=?-]*$/.test(value) ? new PrintableString({ value }) : new Utf8String({ value })
    return new Set({ value: [new Sequence({ value: [new ObjectIdentifier({ value: type }), text] })] })
  })
  return RelativeDistinguishedNames.fromBER(new Sequence({ value: sets }).toBER(false))
}

function extension(extnID: string, critical: boolean, value: { toBER(sizeOnly?: boolean): ArrayBuffer }): Extension {
  return new Extension({ extnID, critical, extnValue: value.toBER(false) })
}

function usage(bits: number): Extension {
  const unusedBits = Math.clz32(bits & -bits) ^ 31
  return extension(oid.keyUsage, true, new BitString({ valueHex: Uint8Array.of(bits).buffer, unusedBits }))
}

function altNames(names: readonly string[]): Extension {
  const list = names.map(name =>
    isIP(name) === 4
      ? new GeneralName({
          type: 7,
          value: new OctetString({ valueHex: Uint8Array.from(name.split('.'), Number).buffer }),
        })
      : new GeneralName({ type: 2, value: name }),
  )
  return extension(oid.subjectAltName, false, new GeneralNames({ names: list }).toSchema())
}

import { fromBER } from 'asn1js'
import {
  BasicConstraints,
  Certificate,
  CertificateChainValidationEngine,
  CertificateRevocationList,
  ExtKeyUsage,
  type GeneralName,
  GeneralNames,
  InfoAccess,
  type RelativeDistinguishedNames,
} from 'pkijs'
import type { Bytes } from '#ground/base/brand.ts'
import { type Instant, instant } from '#ground/base/clock.ts'

// Parsing and path validation (RFC 5280 section 6) are that library's. What it
// leaves out is checked here: path length, unknown critical extensions, and purposes of authorities.

/** Bytes that should be a certificate or a CRL and aren't. */
export class X509Error extends Error {
  override readonly name = 'X509Error'
}

/** A certificate, read. Two with the same bytes are equal. */
export type X509 = {
  readonly der: Bytes
  /** As a decimal number, as Go prints it. */
  readonly serial: string
  readonly commonName: string
  readonly organizationalUnits: readonly string[]
  readonly dnsNames: readonly string[]
  readonly emails: readonly string[]
  readonly uris: readonly string[]
  readonly subjectKeyId: Bytes | null
  readonly authorityKeyId: Bytes | null
  /** Values (DER) by OID. */
  readonly extensions: ReadonlyMap<string, Bytes>
  readonly isAuthority: boolean
  readonly notBefore: Instant
  readonly notAfter: Instant
  /** Equal for equal names. */
  readonly subject: string
  readonly issuer: string
  /** Where its issuer answers whether it is revoked. */
  readonly ocspServers: readonly string[]
}

/** A revocation list, read. Its signature isn't checked: who uploads it vouches for it. */
export type RevocationList = {
  readonly issuer: string
  /** Decimal. */
  readonly serials: ReadonlySet<string>
  readonly nextUpdate: Instant | null
}

export const oids = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  policies: '2.5.29.32',
  authorityKeyId: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  issuingDistributionPoint: '2.5.29.28',
  authorityInfo: '1.3.6.1.5.5.7.1.1',
  ocspAccess: '1.3.6.1.5.5.7.48.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  anyPurpose: '2.5.29.37.0',
  commonName: '2.5.4.3',
  organizationalUnit: '2.5.4.11',
} as const

const understood: ReadonlySet<string> = new Set([
  oids.keyUsage,
  oids.subjectAltName,
  oids.basicConstraints,
  oids.nameConstraints,
  oids.policies,
  oids.policyConstraints,
  oids.extendedKeyUsage,
])

const parsedOf = new WeakMap<X509, Certificate>()

/** @throws X509Error */
export function readX509(der: Bytes): X509 {
  const parsed = attempt('certificate', () => {
    if (!isOneSequence(der)) throw new X509Error('not a certificate')
    return Certificate.fromBER(tight(der))
  })
  const extensions = new Map<string, Bytes>()
  for (const { extnID, extnValue } of parsed.extensions ?? []) {
    if (extensions.has(extnID)) throw new X509Error(`the certificate has two extensions ${extnID}`)
    extensions.set(extnID, extnValue.valueBlock.valueHexView.slice())
  }
  return attempt('certificate', () => {
    const names = generalNames(extensions.get(oids.subjectAltName))
    const one: X509 = {
      der,
      serial: decimal(parsed.serialNumber.valueBlock.valueHexView),
      commonName: namesOf(parsed.subject, oids.commonName).at(-1) ?? '',
      organizationalUnits: namesOf(parsed.subject, oids.organizationalUnit),
      dnsNames: textsOf(names, 2),
      emails: textsOf(names, 1),
      uris: textsOf(names, 6),
      subjectKeyId: octets(extensions.get(oids.subjectKeyId)),
      authorityKeyId: firstTagged(extensions.get(oids.authorityKeyId)),
      extensions,
      isAuthority: constraintsOf(extensions).isAuthority,
      notBefore: instant(parsed.notBefore.value.getTime()),
      notAfter: instant(parsed.notAfter.value.getTime()),
      subject: nameKey(parsed.subject),
      issuer: nameKey(parsed.issuer),
      ocspServers: ocspServersOf(extensions.get(oids.authorityInfo)),
    }
    parsedOf.set(one, parsed)
    return one
  })
}

export const isSame = (a: X509, b: X509): boolean => Buffer.compare(a.der, b.der) === 0

/** May it be used for logging in to a TLS server? None said means all. */
export function servesClients({ extensions }: X509): boolean {
  const purposes = purposesOf(extensions)
  return purposes === null || purposes.includes(oids.clientAuth) || purposes.includes(oids.anyPurpose)
}

export type PathAsk = {
  readonly leaf: X509
  /** What came with it, in any order. */
  readonly between: readonly X509[]
  readonly anchors: readonly X509[]
  readonly at: Instant
}

/**
 * The way from a leaf to a trusted authority, for the purpose of client authentication.
 * @returns leaf first, the anchor last; or why there is none.
 */
export async function pathTo({ leaf, between, anchors, at }: PathAsk): Promise<readonly X509[] | string> {
  const all = [leaf, ...between, ...anchors]
  const engine = new CertificateChainValidationEngine({
    trustedCerts: anchors.map(pkijsOf),
    certs: [...between, leaf].map(pkijsOf),
    // oxlint-disable-next-line no-restricted-globals -- pkijs takes a Date; the moment comes from the caller
    checkDate: new Date(at),
  })
  const result = await engine.verify()
  if (!result.result) return result.resultMessage || 'no valid certificate path found'
  const found = result.certificatePath?.map(one => all.find(candidate => pkijsOf(candidate) === one))
  if (found === undefined || found.includes(undefined)) return 'no valid certificate path found'
  const path = found as X509[]
  return pathFault(path) ?? path
}

function pathFault(path: readonly X509[]): string | null {
  for (const [depth, one] of path.entries()) {
    const unknown = (pkijsOf(one).extensions ?? []).find(({ critical, extnID }) => critical && !understood.has(extnID))
    if (unknown) return `a certificate has the critical extension ${unknown.extnID}, which is not known`
    if (!servesClients(one)) return 'certificate specifies an incompatible key usage'
    if (depth === 0) continue
    const { pathLength } = constraintsOf(one.extensions)
    // RFC 5280 section 4.2.1.9: the certificates between it and the leaf.
    if (pathLength !== null && depth - 1 > pathLength) return 'too many intermediates for path length constraint'
  }
  return null
}

/** @param bytes DER. @throws X509Error */
export function readRevocationList(bytes: Bytes): RevocationList {
  return attempt('certificate revocation list', () => {
    const list = CertificateRevocationList.fromBER(tight(bytes))
    const scope = list.crlExtensions?.extensions.find(one => one.extnID === oids.issuingDistributionPoint)
    if (scope?.critical) throw new X509Error('a revocation list for a part of the certificates only is not supported')
    const serials = (list.revokedCertificates ?? []).map(one => decimal(one.userCertificate.valueBlock.valueHexView))
    const next = list.nextUpdate?.value.getTime()
    return {
      issuer: nameKey(list.issuer),
      serials: new Set(serials),
      nextUpdate: next === undefined ? null : instant(next),
    }
  })
}

export const isRevoked = (one: X509, list: RevocationList): boolean =>
  list.issuer === one.issuer && list.serials.has(one.serial)

/** The text of an extension's value when it is a string of ASN.1, else null. */
export function extensionText(value: Bytes): string | null {
  const { result, offset } = fromBER(tight(value))
  const stringTags: readonly number[] = [12, 18, 19, 20, 22, 26, 30]
  if (offset === -1 || result.idBlock.tagClass !== 1 || !stringTags.includes(result.idBlock.tagNumber)) return null
  return textOf(result)
}

function textOf(value: object): string | null {
  const text = 'getValue' in value && typeof value.getValue === 'function' ? (value.getValue() as unknown) : null
  return typeof text === 'string' ? text : null
}

/** Colon-separated lower-case hex, as Vault shows key ids. */
export const hexPairs = (bytes: Bytes | null): string =>
  bytes === null ? '' : [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join(':')

/** For other files of this room that need the library's own form. */
export function pkijsOf(one: X509): Certificate {
  return parsedOf.get(one)!
}

function attempt<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof X509Error) throw error
    throw new X509Error(`not a ${what}`)
  }
}

function constraintsOf(extensions: ReadonlyMap<string, Bytes>): { isAuthority: boolean; pathLength: number | null } {
  const value = extensions.get(oids.basicConstraints)
  if (value === undefined) return { isAuthority: false, pathLength: null }
  const { cA, pathLenConstraint } = new BasicConstraints({ schema: fromBER(tight(value)).result })
  const length = typeof pathLenConstraint === 'object' ? pathLenConstraint.valueBlock.valueDec : pathLenConstraint
  return { isAuthority: cA, pathLength: length ?? null }
}

function purposesOf(extensions: ReadonlyMap<string, Bytes>): readonly string[] | null {
  const value = extensions.get(oids.extendedKeyUsage)
  return value === undefined ? null : new ExtKeyUsage({ schema: fromBER(tight(value)).result }).keyPurposes
}

function generalNames(value: Bytes | undefined): readonly GeneralName[] {
  return value === undefined ? [] : new GeneralNames({ schema: fromBER(tight(value)).result }).names
}

function ocspServersOf(value: Bytes | undefined): readonly string[] {
  if (value === undefined) return []
  const { accessDescriptions } = new InfoAccess({ schema: fromBER(tight(value)).result })
  return textsOf(
    accessDescriptions.filter(one => one.accessMethod === oids.ocspAccess).map(one => one.accessLocation),
    6,
  )
}

const textsOf = (names: readonly GeneralName[], type: number): readonly string[] =>
  names.filter(name => name.type === type).map(name => String(name.value))

const namesOf = (name: RelativeDistinguishedNames, type: string): readonly string[] =>
  name.typesAndValues.filter(one => one.type === type).map(one => textOf(one.value) ?? '')

const nameKey = (name: RelativeDistinguishedNames): string => Buffer.from(name.valueBeforeDecode).toString('base64')

const octets = (value: Bytes | undefined): Bytes | null =>
  value === undefined || value.length < 2 ? null : value.subarray(2)

// AuthorityKeyIdentifier's first member: [0] IMPLICIT OCTET STRING.
function firstTagged(value: Bytes | undefined): Bytes | null {
  if (value === undefined || value.length < 4 || value[2] !== 0x80) return null
  return value.subarray(4, 4 + value[3]!)
}

const decimal = (bytes: Bytes): string => BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`).toString()

/** The library takes an outer length that doesn't fit; DER has one form only. */
function isOneSequence(der: Bytes): boolean {
  if (der[0] !== 0x30 || der.length < 4) return false
  const lengthBytes = der[1]! > 0x80 ? der[1]! - 0x80 : 0
  const length =
    lengthBytes === 0 ? der[1]! : Number(`0x${Buffer.from(der.subarray(2, 2 + lengthBytes)).toString('hex')}`)
  return lengthBytes <= 3 && der.length === 2 + lengthBytes + length
}

// asn1js takes whole ArrayBuffers: a pooled Buffer's would hold its neighbours too.
const tight = (bytes: Bytes): ArrayBuffer => Uint8Array.from(bytes).buffer

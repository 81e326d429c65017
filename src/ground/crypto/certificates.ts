import { X509Certificate } from 'node:crypto'
import type { Bytes } from '#ground/base/brand.ts'
import { type Instant, instant } from '#ground/base/clock.ts'
import { parseIp } from '#ground/text/cidr.ts'

/** What a certificate says, as far as our parts ask. */
export type CertificateFacts = {
  /** RFC 4514-like, one relative name a line joined by `, `: `CN=coffer, O=…`. */
  readonly subject: string
  readonly issuer: string
  /** Lower-case hex without colons. */
  readonly serial: string
  readonly notBefore: Instant
  readonly notAfter: Instant
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  readonly uris: readonly string[]
  readonly isAuthority: boolean
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string
}

/** Text that should hold certificates and doesn't. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
}

const pemBlock =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g
const certificatesMax = 1000

/**
 * The certificates of a PEM text, in order; anything between them is skipped.
 * @throws CertificateError when there is none, one can't be read, or there are more than 1,000.
 */
export function splitPem(text: string): string[] {
  const blocks = text.match(pemBlock) ?? []
  if (blocks.length === 0) throw new CertificateError('no PEM block of type CERTIFICATE found')
  if (blocks.length > certificatesMax) throw new CertificateError(`more than ${certificatesMax} certificates`)
  return blocks
}

/** @param certificate PEM or DER. @throws CertificateError */
export function inspectCertificate(certificate: string | Bytes): CertificateFacts {
  const parsed = parse(certificate)
  const names = subjectAltNames(parsed.subjectAltName ?? '')
  return {
    subject: parsed.subject.split('\n').join(', '),
    issuer: parsed.issuer.split('\n').join(', '),
    serial: parsed.serialNumber.toLowerCase(),
    notBefore: instant(parsed.validFromDate.getTime()),
    notAfter: instant(parsed.validToDate.getTime()),
    dnsNames: names.get('DNS') ?? [],
    ipAddresses: names.get('IP Address') ?? [],
    uris: names.get('URI') ?? [],
    isAuthority: parsed.ca,
    fingerprint: parsed.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}

function parse(certificate: string | Bytes): X509Certificate {
  try {
    return new X509Certificate(typeof certificate === 'string' ? certificate : Buffer.from(certificate))
  } catch {
    throw new CertificateError('not a certificate in PEM or DER')
  }
}

// OpenSSL's text: `DNS:a.example, IP Address:10.0.0.1`; names with odd characters come as JSON strings.
function subjectAltNames(text: string): Map<string, string[]> {
  const names = new Map<string, string[]>()
  for (const match of text.matchAll(/([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g)) {
    const kind = match[1]!
    const raw = match[2]!
    const value = raw.startsWith('"') ? (JSON.parse(raw) as string) : raw
    names.set(kind, [...(names.get(kind) ?? []), value])
  }
  return names
}

const depthMax = 8

/**
 * Does the chain of a leaf end in a trusted authority?
 * @param chain leaf first, then intermediates in any order, PEM. @param trusted authorities, PEM.
 * @param at the moment for which all of them must be valid.
 * @param name a DNS name or an address that the leaf must carry.
 * @returns null when it does, else why not.
 */
export function chainFault(chain: string, trusted: string, at: Instant, name?: string): string | null {
  const [leaf, ...between] = splitPem(chain).map(pem => parse(pem))
  const roots = splitPem(trusted).map(pem => parse(pem))
  if (!leaf) return 'there is no certificate'
  if (name !== undefined && !carries(leaf, name)) return `certificate is not valid for ${name}`
  let current = leaf
  for (let depth = 0; depth < depthMax; depth++) {
    const fault = validityFault(current, at)
    if (fault) return fault
    const root = roots.find(
      candidate => candidate.fingerprint256 === current.fingerprint256 || signed(candidate, current),
    )
    if (root) return validityFault(root, at)
    const next = between.find(candidate => candidate !== current && signed(candidate, current))
    if (!next) return 'certificate signed by unknown authority'
    current = next
  }
  return `the chain is longer than ${depthMax} certificates`
}

function carries(leaf: X509Certificate, name: string): boolean {
  return (parseIp(name) ? leaf.checkIP(name) : leaf.checkHost(name, { subject: 'never' })) !== undefined
}

function signed(issuer: X509Certificate, subject: X509Certificate): boolean {
  return issuer.ca && subject.checkIssued(issuer) && subject.verify(issuer.publicKey)
}

function validityFault(certificate: X509Certificate, at: Instant): string | null {
  if (at < certificate.validFromDate.getTime()) return 'certificate is not yet valid'
  if (at > certificate.validToDate.getTime()) return 'certificate has expired'
  return null
}

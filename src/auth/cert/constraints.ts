import { matchesAnyGlob, matchGlob } from '#ground/text/glob.ts'
import type { X509 } from '#ground/crypto/x509.ts'
import type { Kit } from './kit.ts'
import type { CertRole } from './role-entry.ts'

type Asked = readonly [what: string, patterns: readonly string[], values: readonly string[]]

/**
 * Does a certificate meet what a role asks beside its authority?
 * @returns null when it does, else which rule says no.
 * @source openbao builtin/credential/cert/path_login.go matchesConstraints
 */
export function constraintFault(role: CertRole, leaf: X509, kit: Kit): string | null {
  const { commonName, dnsNames, emails, uris, organizationalUnits } = leaf
  const asked: readonly Asked[] = [
    ['allowed_names', role.names, [commonName, ...dnsNames, ...emails]],
    ['allowed_common_names', role.commonNames, [commonName]],
    ['allowed_dns_sans', role.dnsNames, dnsNames],
    ['allowed_email_sans', role.emails, emails],
    ['allowed_uri_sans', role.uris, uris],
    ['allowed_organizational_units', role.organizationalUnits, organizationalUnits],
  ]
  for (const [what, patterns, values] of asked) {
    if (patterns.length > 0 && !values.some(value => matchesAnyGlob(patterns, value))) return `${what} does not fit`
  }
  const missing = role.requiredExtensions.find(required => !hasExtension(leaf, required, kit))
  return missing === undefined ? null : `required_extensions: ${missing} is not met`
}

function hasExtension(leaf: X509, required: string, kit: Kit): boolean {
  const isHex = required.startsWith('hex:')
  const { oid, pattern } = splitExtension(isHex ? required.slice(4) : required)
  const value = leaf.extensions.get(oid)
  if (value === undefined) return false
  if (isHex) return matchGlob(pattern.toLowerCase(), Buffer.from(value).toString('hex'))
  return matchGlob(pattern, kit.extensionText(value) ?? '')
}

/** The pattern may hold colons itself. */
export function splitExtension(required: string): { readonly oid: string; readonly pattern: string } {
  const colon = required.indexOf(':')
  return colon < 0
    ? { oid: required, pattern: '' }
    : { oid: required.slice(0, colon), pattern: required.slice(colon + 1) }
}

/** What of the certificate a token carries. OIDs are written with dashes: policy templates take dots for paths. */
export function metadataOf(role: CertRole, leaf: X509, kit: Kit): Record<string, string> {
  const metadata: Record<string, string> = {}
  for (const oid of role.metadataExtensions) {
    const value = leaf.extensions.get(oid)
    if (value !== undefined) metadata[oid.replaceAll('.', '-')] = kit.extensionText(value) ?? ''
  }
  return metadata
}

import { jsonEntries } from '#backend/storage.ts'
import type { StoredParameters } from '#backend/token-parameters.ts'

/** Whom a certificate lets in: an authority, or one client. Lists are globs unless said otherwise; empty = any. */
export type CertRole = {
  /** PEM, one or several. */
  readonly certificate: string
  /** Of common name, DNS names and addresses together. */
  readonly names: readonly string[]
  readonly commonNames: readonly string[]
  readonly dnsNames: readonly string[]
  readonly emails: readonly string[]
  readonly uris: readonly string[]
  readonly organizationalUnits: readonly string[]
  /** `oid:glob`, or `hex:oid:glob` of the value's DER. All must be met. */
  readonly requiredExtensions: readonly string[]
  /** OIDs whose values become metadata of the token. */
  readonly metadataExtensions: readonly string[]
  readonly displayName: string
  readonly ocsp: OcspSettings
  readonly stored: StoredParameters
}

export type OcspSettings = {
  readonly isEnabled: boolean
  /** PEM: who may sign answers beside the issuer. */
  readonly authorities: string
  /** Instead of the address in the certificate. */
  readonly servers: readonly string[]
  /** Let in when no server answers. */
  readonly failsOpen: boolean
  readonly asksAll: boolean
}

export const roleEntries = jsonEntries<CertRole>('cert/')

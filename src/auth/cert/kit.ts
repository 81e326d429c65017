import type * as ocsp from '#ground/crypto/ocsp.ts'
import type * as x509 from '#ground/crypto/x509.ts'

/** What reads certificates: large libraries, loaded with the first mount and not with the server. */
export type Kit = typeof x509 & typeof ocsp

export const loadKit = async (): Promise<Kit> => ({
  ...(await import('#ground/crypto/x509.ts')),
  ...(await import('#ground/crypto/ocsp.ts')),
})

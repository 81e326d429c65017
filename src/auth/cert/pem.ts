import { CertificateError, splitPem } from '#ground/crypto/certificates.ts'
import type { X509 } from '#ground/crypto/x509.ts'
import { fault } from '#protocol/fault.ts'
import type { Kit } from './kit.ts'

/** The certificates of a PEM text. @throws Fault 400 when there is none, or one can't be read. */
export function certificatesOf(pem: string, kit: Kit): readonly X509[] {
  try {
    return splitPem(pem).map(block => kit.readX509(pemBytes(block)))
  } catch (error) {
    if (error instanceof CertificateError || error instanceof kit.X509Error) {
      throw fault('request.invalid', 'failed to parse certificate', { reason: error.message })
    }
    throw error
  }
}

/** What stands between the lines of a PEM block. */
export const pemBytes = (block: string): Uint8Array =>
  new Uint8Array(Buffer.from(block.replace(/-----[^-]+-----|\s/g, ''), 'base64'))

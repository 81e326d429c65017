import { OctetString } from 'asn1js'
import { BasicOCSPResponse, OCSPRequest, OCSPResponse } from 'pkijs'
import type { Bytes } from '#ground/base/brand.ts'
import type { Instant } from '#ground/base/clock.ts'
import { pkijsOf, type X509, X509Error } from './x509.ts'

/** What a responder says of a certificate. */
export type OcspStatus = 'good' | 'revoked' | 'unknown'

export type OcspAnswer = {
  readonly status: OcspStatus
  /** Until when it counts; null = it doesn't say. */
  readonly nextUpdate: Instant | null
}

const basicResponse = '1.3.6.1.5.5.7.48.1.1'
const statuses: readonly OcspStatus[] = ['good', 'revoked', 'unknown']
/** Clocks of two machines differ. */
const skewMs = 300_000

/** The question about one certificate, DER. @source RFC 6960 section 4.1 */
export async function ocspRequest(certificate: X509, issuer: X509): Promise<Bytes> {
  const request = new OCSPRequest()
  // SHA-1 names the issuer and protects nothing; every responder takes it.
  await request.createForCertificate(pkijsOf(certificate), {
    hashAlgorithm: 'SHA-1',
    issuerCertificate: pkijsOf(issuer),
  })
  return new Uint8Array(request.toSchema(true).toBER())
}

/**
 * Reads an answer, and believes it only when the issuer signed it, or somebody to whom the issuer gave that purpose, or one
 * of `signers`, and when it is about this certificate and this time.
 * @throws X509Error with what is wrong.
 * @source RFC 6960 sections 3.2 and 4.2
 */
export async function readOcspAnswer(
  der: Bytes,
  { certificate, issuer, signers, at }: { certificate: X509; issuer: X509; signers: readonly X509[]; at: Instant },
): Promise<OcspAnswer> {
  const basic = basicOf(der)
  await checkSigner(basic, [issuer, ...signers])
  const found = await basic.getCertificateStatus(pkijsOf(certificate), pkijsOf(issuer))
  if (!found.isForCertificate) throw new X509Error('the answer is about another certificate')
  const single = basic.tbsResponseData.responses[0]!
  const nextUpdate = single.nextUpdate?.getTime() ?? null
  if (single.thisUpdate.getTime() > at + skewMs) throw new X509Error('the answer is from the future')
  if (nextUpdate !== null && nextUpdate < at - skewMs) throw new X509Error('the answer is out of date')
  return { status: statuses[found.status] ?? 'unknown', nextUpdate: nextUpdate as Instant | null }
}

function basicOf(der: Bytes): BasicOCSPResponse {
  try {
    const response = OCSPResponse.fromBER(Uint8Array.from(der).buffer)
    const code = response.responseStatus.valueBlock.valueDec
    if (code !== 0) throw new X509Error(`the responder answers with status ${code}`)
    const { responseType, response: inner } = response.responseBytes!
    if (responseType !== basicResponse || !(inner instanceof OctetString))
      throw new X509Error('not a basic OCSP response')
    const basic = BasicOCSPResponse.fromBER(inner.valueBlock.valueHexView.slice().buffer)
    if (basic.tbsResponseData.responses.length !== 1) throw new X509Error('the answer is not about one certificate')
    return basic
  } catch (error) {
    if (error instanceof X509Error) throw error
    throw new X509Error('not an OCSP response')
  }
}

/** The library looks for the signer among the certificates in the answer, where an issuer often leaves out its own. */
async function checkSigner(basic: BasicOCSPResponse, trusted: readonly X509[]): Promise<void> {
  const known = trusted.map(pkijsOf)
  basic.certs = [...(basic.certs ?? []), ...known]
  const ask = { trustedCerts: known, issuerCerts: known.slice(0, 1), trustedResponders: known }
  const isSigned = await basic.verify(ask).catch(() => false)
  if (!isSigned) throw new X509Error('nobody who may signed the answer')
}

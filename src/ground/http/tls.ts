import { constants } from 'node:crypto'
import type { DetailedPeerCertificate, TLSSocket, TlsOptions } from 'node:tls'
import type { Bytes } from '#ground/base/brand.ts'
import type { Secret } from '#ground/base/secret.ts'
import type { Peer } from './message.ts'

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

export type TlsSettings = {
  /** PEM: the server's certificate, then its intermediates. */
  readonly certificate: string
  /** PEM. */
  readonly key: Secret
  readonly passphrase?: Secret
  /**
   * `request` (default): a client may show a certificate, of any issuer; who needs it checked looks at
   * `peer.tls.isAuthorized` or checks it himself. `require`: none, or one that `clientCa` doesn't vouch for, ends the
   * handshake.
   */
  readonly clientCertificates?: 'none' | 'request' | 'require'
  /** PEM: who vouches for clients. */
  readonly clientCa?: string
  /** Default TLSv1.2. */
  readonly versionMin?: TlsVersion
  /** Default TLSv1.3. */
  readonly versionMax?: TlsVersion
  /** OpenSSL's names, joined by colons; default: Node's list. */
  readonly ciphers?: string
}

/** @throws Error when `require` has no `clientCa` */
export function tlsOptions(settings: TlsSettings, handshakeTimeoutMs: number): TlsOptions {
  const clients = settings.clientCertificates ?? 'request'
  if (clients === 'require' && settings.clientCa === undefined) {
    throw new Error('client certificates are required, but no CA that vouches for them is given (tls_client_ca_file)')
  }
  return {
    cert: settings.certificate,
    key: settings.key.reveal('TLS server key'),
    ...(settings.passphrase && { passphrase: settings.passphrase.reveal('TLS server key passphrase') }),
    // Without a list of our own Node would take the public CAs, any of which could then vouch for a client.
    ca: settings.clientCa ?? [],
    requestCert: clients !== 'none',
    rejectUnauthorized: clients === 'require',
    minVersion: settings.versionMin ?? 'TLSv1.2',
    maxVersion: settings.versionMax ?? 'TLSv1.3',
    ...(settings.ciphers !== undefined && { ciphers: settings.ciphers }),
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: handshakeTimeoutMs,
    // A resumed session has lost the client's chain, and would outlive a reload that took its CA away.
    ...(clients !== 'none' && { secureOptions: constants.SSL_OP_NO_TICKET }),
  }
}

/** Certificates in a chain; more is no chain that anyone issues. */
const chainMax = 10

/** What the handshake told about the client. */
export function tlsPeer(socket: TLSSocket): NonNullable<Peer['tls']> {
  const certificates: Bytes[] = []
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  const seen = new Set<DetailedPeerCertificate>()
  // A root is its own issuer.
  while (next?.raw !== undefined && !seen.has(next) && certificates.length < chainMax) {
    seen.add(next)
    certificates.push(next.raw)
    next = next.issuerCertificate
  }
  return {
    version: socket.getProtocol() ?? '',
    certificates,
    isAuthorized: certificates.length > 0 && socket.authorized,
    serverName: typeof socket.servername === 'string' && socket.servername !== '' ? socket.servername : null,
  }
}

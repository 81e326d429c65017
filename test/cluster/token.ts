import { createHash, createPublicKey, randomUUID, sign } from 'node:crypto'

/** The issuer of every test cluster's service account tokens. */
export const tokenIssuer = 'https://kubernetes.default.svc.cluster.local'

export type TokenClaims = {
  namespace: string
  serviceAccount: string
  /** The service account's uid; another one is refused by TokenReview. */
  uid: string
  /** Default: the issuer, which is the API server's own audience. */
  audiences?: readonly string[]
  /** From `issuedAt` on; may be short or negative, which a TokenRequest refuses. TokenReview has 60 s of leeway. */
  lifetimeSeconds: number
  /** Seconds since 1970; default now. */
  issuedAt?: number
  pod?: { name: string; uid: string }
}

/**
 * A token as the cluster itself would sign it, with a lifetime that no TokenRequest gives (its least is 600 s).
 * @param saKeyPem the cluster's private key for service account tokens.
 */
export function signToken(saKeyPem: string, claims: TokenClaims): string {
  const spki = createPublicKey(saKeyPem).export({ type: 'spki', format: 'der' })
  const header = { alg: 'RS256', kid: createHash('sha256').update(spki).digest('base64url') }
  const issuedAt = claims.issuedAt ?? Math.floor(Date.now() / 1000)
  const payload = {
    aud: claims.audiences ?? [tokenIssuer],
    exp: issuedAt + claims.lifetimeSeconds,
    iat: issuedAt,
    iss: tokenIssuer,
    jti: randomUUID(),
    'kubernetes.io': {
      namespace: claims.namespace,
      ...(claims.pod && { pod: claims.pod }),
      serviceaccount: { name: claims.serviceAccount, uid: claims.uid },
    },
    nbf: issuedAt,
    sub: `system:serviceaccount:${claims.namespace}:${claims.serviceAccount}`,
  }
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${encode(header)}.${encode(payload)}`
  return `${signed}.${sign('sha256', Buffer.from(signed), saKeyPem).toString('base64url')}`
}

import { matchGlob } from '#ground/text/glob.ts'
import type { TokenReviewStatus } from '#kube/reviews.ts'
import type { AccountToken } from './jwt.ts'
import type { Role } from './role.ts'

/**
 * Verdicts of a login, pure. `text` is what the client is told, in the original's words, which give little away;
 * `reason` is what audit, log and `policy explain` say.
 */
export type Refusal = { readonly ok: false; readonly text: string; readonly reason: string }
export type Judgement = { readonly ok: true } | Refusal

const pass: Judgement = { ok: true }
const refuse = (text: string, reason: string): Refusal => ({ ok: false, text, reason })
const denied = 'permission denied'

/** Seconds of clock skew, and of leeway where exp or nbf are missing. @source cap jwt.Expected defaults as set by the plugin */
const skewSeconds = 60
const leewaySeconds = 150

/** Issuer, audience and times as the token claims them; before anybody is asked. */
export function judgeClaims(
  token: AccountToken,
  role: Pick<Role, 'audience'>,
  config: { readonly issuer: string; readonly disablesIssuerCheck: boolean },
  nowMs: number,
): Judgement {
  if (!config.disablesIssuerCheck && config.issuer !== '' && token.issuer !== config.issuer) {
    return refuse('invalid issuer (iss) claim', `the token was issued by "${token.issuer}", not by "${config.issuer}"`)
  }
  if (role.audience !== '' && !token.audiences.includes(role.audience)) {
    return refuse(
      'invalid audience (aud) claim: audience claim does not match any expected audience',
      `the role wants audience "${role.audience}"; the token is for ${token.audiences.map(one => `"${one}"`).join(', ') || 'none'}`,
    )
  }
  return judgeTimes(token, nowMs / 1000)
}

function judgeTimes({ expiresAt, notBefore, issuedAt }: AccountToken, now: number): Judgement {
  if (expiresAt !== null && now > expiresAt + leewaySeconds + skewSeconds) {
    return refuse('invalid expiration time (exp) claim: token is expired', `the token expired at ${isoOf(expiresAt)}`)
  }
  if (notBefore !== null && now < notBefore - leewaySeconds - skewSeconds) {
    return refuse(
      'invalid not before (nbf) claim: token not yet valid',
      `the token is valid from ${isoOf(notBefore)} on`,
    )
  }
  if (issuedAt !== null && now < issuedAt - leewaySeconds - skewSeconds) {
    return refuse(
      'invalid issued at (iat) claim: token issued in the future',
      `the token says it was issued at ${isoOf(issuedAt)}`,
    )
  }
  return pass
}

const isoOf = (second: number): string => `${Math.trunc(second)} (seconds since 1970)`

const matches = (patterns: readonly string[], value: string): boolean =>
  patterns.some(pattern => pattern === '*' || pattern === value || matchGlob(pattern, value))

export function judgeName(token: AccountToken, role: Role): Judgement {
  if (matches(role.names, token.name)) return pass
  return refuse('service account name not authorized', `account "${token.name}" is none of ${role.names.join(', ')}`)
}

/** By the list alone; a selector has to be asked about when this refuses. */
export function judgeNamespace(token: AccountToken, role: Role): Judgement {
  if (matches(role.namespaces, token.namespace)) return pass
  const bound = role.namespaces.join(', ') || 'no list'
  return refuse('namespace not authorized', `namespace "${token.namespace}" is none of ${bound}`)
}

/** Ours: the UID is bound, too. Told as any refused name, so that nobody learns which accounts there were. */
export function judgeUid(token: AccountToken, role: Role): Judgement {
  if (role.uids.length === 0 || role.uids.includes(token.uid)) return pass
  return refuse(
    'service account name not authorized',
    `account ${token.namespace}/${token.name} has UID ${token.uid}, which is not bound: it was made anew, or is another`,
  )
}

/** @param asked the audiences that the review was asked for. */
export function judgeReview(review: TokenReviewStatus, token: AccountToken, asked: readonly string[]): Judgement {
  if (review.error) return refuse(denied, `the API server refuses the token: ${review.error}`)
  if (review.authenticated !== true) return refuse(denied, 'the API server does not know the token')
  if (asked.length > 0 && review.audiences && !asked.some(one => review.audiences!.includes(one))) {
    return refuse(
      denied,
      `the API server confirms audiences ${review.audiences.join(', ')}, none of ${asked.join(', ')}`,
    )
  }
  const parts = (review.user?.username ?? '').split(':')
  if (parts.length !== 4) return refuse(denied, 'the API server names a user that is no service account')
  if (parts[0] !== 'system' || parts[1] !== 'serviceaccount') {
    return refuse(denied, `the API server names the user "${review.user?.username}", which is no service account`)
  }
  if (parts[3] !== token.name) return refuse(denied, `JWT names did not match: "${parts[3]}" and "${token.name}"`)
  if (review.user?.uid !== token.uid)
    return refuse(denied, `JWT UIDs did not match: "${review.user?.uid}" and "${token.uid}"`)
  if (parts[2] !== token.namespace)
    return refuse(denied, `JWT namepaces did not match: "${parts[2]}" and "${token.namespace}"`)
  return pass
}

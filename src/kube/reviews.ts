import { Secret } from '#ground/base/secret.ts'
import { parseRfc3339 } from '#ground/text/time.ts'
import type { CallOptions, KubeClient } from './client.ts'
import { KubeError } from './errors.ts'
import type { ObjectReference } from './objects.ts'
import { serviceAccounts } from './resources.ts'

/** `status` of a TokenReview: what the API server thinks of a token. */
export type TokenReviewStatus = {
  readonly authenticated?: boolean
  readonly user?: {
    readonly username?: string
    readonly uid?: string
    readonly groups?: readonly string[]
    /** For a pod's token `authentication.kubernetes.io/pod-name` and `…/pod-uid`. */
    readonly extra?: Readonly<Record<string, readonly string[]>>
  }
  readonly audiences?: readonly string[]
  /** Why it isn't good: `service account token has expired`. */
  readonly error?: string
}

/**
 * Asks the API server whether a token is good and whose it is. A positive answer may be 10 s old, and a token's end
 * has 60 s of grace: both are the API server's.
 * @param audiences the token must be for one of them; empty: for the API server itself
 * @param options `bearer` asks with this token in place of our own (Vault lets a login's own token ask).
 * @throws KubeError 401 when the asking token is bad, 403 when it lacks `system:auth-delegator`
 */
export async function tokenReview(
  client: KubeClient,
  token: Secret,
  audiences: readonly string[],
  options: CallOptions & { readonly bearer?: Secret } = {},
): Promise<TokenReviewStatus> {
  const target = { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews' }
  const spec = {
    token: token.reveal('body of a TokenReview'),
    ...(audiences.length > 0 ? { audiences } : {}),
  }
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec }
  const answer = await client.ask<{ status?: TokenReviewStatus }>(target, review, options)
  return answer.status ?? {}
}

export type TokenRequestSpec = {
  readonly audiences?: readonly string[]
  /** At least 600; the server may give less than asked, or more. */
  readonly expirationSeconds?: number
  /** The token dies with this object (a Pod, a Secret). */
  readonly boundObjectRef?: Pick<ObjectReference, 'apiVersion' | 'kind' | 'name' | 'uid'>
}

/** A fresh token of a service account. `expiresAt` is wall time, ms. */
export async function tokenRequest(
  client: KubeClient,
  namespace: string,
  serviceAccount: string,
  spec: TokenRequestSpec = {},
  options: CallOptions = {},
): Promise<{ readonly token: Secret; readonly expiresAt: number | null }> {
  const target = { ...serviceAccounts, namespace, name: serviceAccount, subresource: 'token' }
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }
  type Answer = { status?: { token?: string; expirationTimestamp?: string } }
  const { status } = await client.ask<Answer>(target, request, options)
  if (!status?.token) {
    const message = `the token request for ${namespace}/${serviceAccount} was answered without a token`
    throw new KubeError({ code: 0, reason: 'Unknown', message, operation: 'POST serviceaccounts/token' })
  }
  return { token: new Secret(status.token), expiresAt: parseRfc3339(status.expirationTimestamp ?? '') }
}

/** One action in RBAC's words; `group` is `''` for the core group, `name` absent means any. */
export type ResourceAttributes = {
  readonly verb: string
  readonly group?: string
  readonly version?: string
  readonly resource: string
  readonly subresource?: string
  readonly namespace?: string
  readonly name?: string
}

export type AccessReview = { readonly isAllowed: boolean; readonly reason: string }

/** May we do this? Every authenticated caller may ask about itself. */
export async function selfSubjectAccessReview(
  client: KubeClient,
  attributes: ResourceAttributes,
  options: CallOptions = {},
): Promise<AccessReview> {
  const target = { group: 'authorization.k8s.io', version: 'v1', resource: 'selfsubjectaccessreviews' }
  const spec = { resourceAttributes: attributes }
  const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec }
  type Answer = { status?: { allowed?: boolean; reason?: string; evaluationError?: string } }
  const { status } = await client.ask<Answer>(target, review, options)
  return { isAllowed: status?.allowed ?? false, reason: status?.reason || status?.evaluationError || '' }
}

/** As `selfSubjectAccessReview`, about somebody else: `user` may be `system:serviceaccount:NS:NAME`. */
export async function subjectAccessReview(
  client: KubeClient,
  user: { readonly user: string; readonly groups?: readonly string[] },
  attributes: ResourceAttributes,
  options: CallOptions = {},
): Promise<AccessReview> {
  const target = { group: 'authorization.k8s.io', version: 'v1', resource: 'subjectaccessreviews' }
  const spec = { ...user, resourceAttributes: attributes }
  const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec }
  type Answer = { status?: { allowed?: boolean; reason?: string; evaluationError?: string } }
  const { status } = await client.ask<Answer>(target, review, options)
  return { isAllowed: status?.allowed ?? false, reason: status?.reason || status?.evaluationError || '' }
}

/** Header names of the wire, lower case as `ground/http` hands them out. What a client sends, what a server answers. */
export const headerNames = {
  token: 'x-vault-token',
  namespace: 'x-vault-namespace',
  wrapTtl: 'x-vault-wrap-ttl',
  wrapFormat: 'x-vault-wrap-format',
  /** `true` from every Go client; a listener with `require_request_header` refuses a request without it. */
  request: 'x-vault-request',
  policyOverride: 'x-vault-policy-override',
  mfa: 'x-vault-mfa',
  /** Non-empty: a standby answers 307 instead of forwarding. */
  noForwarding: 'x-vault-no-request-forwarding',
  authorization: 'authorization',
  contentType: 'content-type',
  retryAfter: 'retry-after',
  location: 'location',
  /** Ours, on every answer: what `policy explain` asks for. */
  requestId: 'x-coffer-request-id',
} as const

/** What PATCH must carry; anything else is 415. */
export const mergePatchType = 'application/merge-patch+json'
export const jsonType = 'application/json'

/** What a token shows in audit lines; one object per cached token. The plain token is hashed, never written. */
export type AuditedToken = {
  readonly token: string
  readonly accessor: string
  readonly displayName: string
  readonly policies: readonly string[]
  readonly tokenPolicies: readonly string[]
  readonly identityPolicies: readonly string[]
  readonly metadata: Readonly<Record<string, string>> | null
  readonly numUses: number
  readonly entityId: string
  readonly type: string
  /** Seconds; 0 for tokens without end. */
  readonly ttl: number
  /** Empty when not known. */
  readonly issueTime: string
}

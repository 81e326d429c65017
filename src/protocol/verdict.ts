/** What a policy can grant on a path. `scan` is OpenBao's; `subscribe` and `recover` are Vault's. */
export const capabilities = [
  'create',
  'read',
  'update',
  'patch',
  'delete',
  'list',
  'scan',
  'sudo',
  'subscribe',
  'recover',
  'deny',
] as const
export type Capability = (typeof capabilities)[number]

/** What a request wants to do; the first eight are asked by clients, the rest by the server of its own engines. */
export type Operation =
  | 'create'
  | 'read'
  | 'update'
  | 'patch'
  | 'delete'
  | 'list'
  | 'scan'
  | 'help'
  | 'header'
  | 'alias-lookahead'
  | 'resolve-role'
  | 'revoke'
  | 'renew'
  | 'rollback'

/** A policy that took part in granting, as audit's `policy_results.granting_policies` names it. */
export type GrantingPolicy = {
  readonly name: string
  readonly namespaceId: string
  /** With a trailing `/`; empty for the root namespace. */
  readonly namespacePath: string
  readonly type: 'acl'
}

/** The answer of the access rules to one question: may this caller do this here? */
export type Verdict = {
  readonly allowed: boolean
  /** The caller holds the root policy: every right, `sudo` included. */
  readonly isRoot: boolean
  /** The rule holds `sudo` (or the caller is root): what sudo paths ask for beside the operation's own capability. */
  readonly hasSudo: boolean
  /** Which policies allowed it; empty when it is refused. */
  readonly granting: readonly GrantingPolicy[]
  /** The policies that wrote the deciding rule, also when it refuses. */
  readonly sources: readonly GrantingPolicy[]
  /** The deciding rule's pattern, with the namespace's path and templates filled in; null when no rule matched. */
  readonly pattern: string | null
  /** All that the deciding rule grants, sorted; `['root']` and `['deny']` are made by who shows them. */
  readonly capabilities: readonly Capability[]
  /**
   * For who may ask why, never for the response body: which rule decided and why, in a sentence.
   * Made when it is read; reading it costs.
   */
  readonly reason: string
  /**
   * On an allowed list or scan, what the parameter `limit` must be replaced by (0 = all), from `pagination_limit` or the
   * word `max`; null leaves the request as it is.
   */
  readonly limit: number | null
  /** What the rule asks for beyond the token; null almost always. What can't be enforced must be refused, not skipped. */
  readonly demands: Demands | null
}

/** Conditions of a rule that the decision itself can't check. */
export type Demands = {
  /** Names or ids of second factors (`mfa_methods`). */
  readonly mfaMethods: readonly string[]
  readonly controlGroup: ControlGroup | null
  /** A Go template that makes of each listed key a path; keys whose path the caller can't read or list are left out. */
  readonly keysFilter: string | null
}

/** Approvals that a request must gather before its answer can be had. @source Vault docs/enterprise/control-groups */
export type ControlGroup = {
  /** How long the approval may take, seconds; 0: the server's default. */
  readonly ttlSeconds: number
  readonly isSelfAuthorizationAllowed: boolean
  readonly factors: readonly ControlGroupFactor[]
}

export type ControlGroupFactor = {
  readonly name: string
  readonly groupNames: readonly string[]
  readonly groupIds: readonly string[]
  readonly approvals: number
  /** Which operations it holds for; empty: all. */
  readonly controlledCapabilities: readonly string[]
}

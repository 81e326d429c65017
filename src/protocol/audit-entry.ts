import type { Json } from '#ground/text/json.ts'

/**
 * One line of an audit device, before hashing; keys are left out when empty. The order of keys is that of the original,
 * so that people find their way.
 * @source openbao audit/format.go; server-core 7.1
 */
export type AuditEntry = {
  readonly time: string
  readonly type: 'request' | 'response'
  readonly auth: AuditAuth
  readonly request: AuditRequest
  readonly response?: AuditResponse
  readonly error?: string
  /** Ours: which rule or step decided; the client is not told. */
  readonly reason?: string
}

export type AuditAuth = {
  readonly client_token?: string
  readonly accessor?: string
  readonly display_name?: string
  readonly policies?: readonly string[]
  readonly token_policies?: readonly string[]
  readonly identity_policies?: readonly string[]
  readonly no_default_policy?: true
  readonly policy_results?: {
    readonly allowed: boolean
    readonly granting_policies?: readonly {
      name: string
      namespace_id: string
      namespace_path?: string
      type: string
    }[]
  }
  readonly metadata?: Readonly<Record<string, string>>
  readonly num_uses?: number
  readonly remaining_uses?: number
  readonly entity_id?: string
  readonly entity_created?: true
  readonly token_type?: string
  readonly token_ttl?: number
  readonly token_issue_time?: string
}

export type AuditRequest = {
  readonly id: string
  readonly client_id?: string
  readonly operation: string
  readonly mount_point?: string
  readonly mount_type?: string
  readonly mount_accessor?: string
  readonly mount_running_version?: string
  readonly mount_class?: string
  readonly client_token?: string
  readonly client_token_accessor?: string
  readonly namespace: { readonly id: string; readonly path?: string }
  readonly path: string
  readonly data?: Json
  readonly policy_override?: true
  readonly remote_address?: string
  readonly remote_port?: number
  readonly wrap_ttl?: number
  readonly headers?: Readonly<Record<string, readonly string[]>>
  readonly client_certificate_serial_number?: string
}

export type AuditResponse = {
  readonly auth?: AuditAuth
  readonly mount_point?: string
  readonly mount_type?: string
  readonly mount_accessor?: string
  readonly mount_running_plugin_version?: string
  readonly mount_class?: string
  readonly secret?: { readonly lease_id: string }
  readonly data?: Json
  readonly warnings?: readonly string[]
  readonly redirect?: string
  readonly wrap_info?: {
    readonly ttl: number
    readonly token: string
    readonly accessor: string
    readonly creation_time: string
    readonly creation_path: string
    readonly wrapped_accessor?: string
  }
  readonly headers?: Readonly<Record<string, readonly string[]>>
}

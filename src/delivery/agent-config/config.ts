import type { LogFormat, LogLevel } from '#ground/base/log.ts'
import type { Seconds } from '#ground/base/clock.ts'

/** How the agent reaches its server; null where the file is silent and flag, environment or default decide. */
export type VaultStanza = {
  readonly address: string | null
  readonly namespace: string | null
  readonly caCert: string | null
  readonly caPath: string | null
  readonly clientCert: string | null
  readonly clientKey: string | null
  readonly tlsServerName: string | null
  readonly tlsSkipVerify: boolean | null
  /** Further tries of a request; 12 when nothing else is said, 0 for none. */
  readonly numRetries: number
}

export type MethodStanza = {
  /** Ending without slash: `auth/kubernetes`. */
  readonly mountPath: string
  readonly namespace: string | null
  readonly minBackoff: Seconds
  readonly maxBackoff: Seconds
  /** A failed login ends the agent. */
  readonly exitOnErr: boolean
} & (
  | { readonly type: 'kubernetes'; readonly role: string; readonly tokenPath: string | null }
  | { readonly type: 'token_file'; readonly path: string }
  | ApproleMethod
)

export type ApproleMethod = {
  readonly type: 'approle'
  readonly roleIdPath: string
  /** null: the role asks for no secret id. */
  readonly secretIdPath: string | null
  readonly isSecretIdFileRemoved: boolean
  /** The secret id's file has a wrapping token that was made at this path. */
  readonly wrappingPath: string | null
}

/** A file that the token is written to. */
export type FileSinkStanza = {
  readonly path: string
  readonly mode: number
  readonly uid: number | null
  readonly gid: number | null
}

export type ExecStanza = {
  readonly command: readonly string[]
  /** One text for `sh -c`, instead of a program and its arguments. */
  readonly isShell: boolean
  readonly timeout: Seconds
}

export type TemplateStanza = {
  /** For logs and errors: the source's path, or empty for `contents`. */
  readonly name: string
  readonly text:
    | { readonly kind: 'contents'; readonly contents: string }
    | { readonly kind: 'source'; readonly path: string }
  readonly destination: string
  readonly createDestDirs: boolean
  /** Permission bits; null keeps those of the file that is there, else 0644. */
  readonly perms: number | null
  /** Name or number; null leaves it. */
  readonly user: string | null
  readonly group: string | null
  readonly delimiters: readonly [left: string, right: string]
  readonly errorOnMissingKey: boolean
  /** false: log, and go on with the others. */
  readonly errorFatal: boolean
  /** Run after the file was rewritten. */
  readonly exec: ExecStanza | null
  /** `file` reads only below it. */
  readonly sandboxPath: string | null
}

export type TemplateConfigStanza = {
  /** A template that can't be rendered after all retries ends the agent with 1. */
  readonly exitOnRetryFailure: boolean
  /** How old a value without lease may become. */
  readonly staticSecretRenderInterval: Seconds
}

/** A configuration of `coffer agent`, which is one of `vault agent`. */
export type AgentConfig = {
  readonly vault: VaultStanza
  readonly method: MethodStanza | null
  readonly sinks: readonly FileSinkStanza[]
  readonly templateConfig: TemplateConfigStanza
  readonly templates: readonly TemplateStanza[]
  readonly exitAfterAuth: boolean
  readonly pidFile: string | null
  readonly logLevel: LogLevel | null
  readonly logFormat: LogFormat | null
  readonly logFile: string | null
  /** Folder through which token and leases go on to the next agent of a pod; null where there is none. */
  readonly handoverPath: string | null
  /** When it is stopped it revokes its token, and with it all that was leased. */
  readonly revokeOnShutdown: boolean
  /** How long it waits with that. */
  readonly revokeGrace: Seconds
}

/** `file:line:column` and what to do about it. */
export type ConfigWarning = string

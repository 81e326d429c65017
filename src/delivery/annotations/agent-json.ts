import type { InjectorDefaults } from './defaults.ts'
import type { SecretFile } from './secrets.ts'
import type { Settings } from './table.ts'

/** Where the agent keeps what is its own, in its containers. */
export const home = '/home/vault'
/** The memory volume that only the two agent containers mount. */
export const handoverPath = '/vault/handover'

export type ConfigInput = {
  readonly settings: Settings
  readonly defaults: InjectorDefaults
  readonly files: readonly SecretFile[]
  readonly tokenPath: string
  readonly isInit: boolean
  readonly handsOver: boolean
  /** Seconds to wait before the agent revokes its token at its end; null = it doesn't. */
  readonly revokesAfter: number | null
}

/**
 * The agent's configuration as JSON, members in the original's order. What stands last is ours; other agents pass it over.
 * @source vault-k8s agent-inject/agent/config.go
 */
export function agentJson(input: ConfigInput): string {
  const { settings, defaults, files, tokenPath, isInit, handsOver, revokesAfter } = input
  const sinks = [sink(`${home}/.vault-token`), ...(settings.injectToken ? [sink(tokenSinkPath(settings))] : [])]
  return JSON.stringify({
    auto_auth: {
      method: {
        type: 'kubernetes',
        mount_path: settings.authPath,
        config: { role: settings.role, token_path: tokenPath },
      },
      sink: sinks,
    },
    exit_after_auth: isInit,
    pid_file: `${home}/.pid`,
    vault: {
      address: settings.service,
      ...(settings.caCert !== '' && { ca_cert: settings.caCert }),
      ...(settings.tlsSkipVerify && { tls_skip_verify: true }),
    },
    ...(files.length > 0 && { template: files.map(template) }),
    template_config: {
      exit_on_retry_failure: defaults.exitOnRetryFailure,
      ...(settings.staticSecretRenderInterval !== '' && {
        static_secret_render_interval: settings.staticSecretRenderInterval,
      }),
    },
    ...(handsOver && { handover: { path: handoverPath } }),
    ...(revokesAfter !== null && { revoke_on_shutdown: true, revoke_grace: `${revokesAfter}s` }),
  })
}

const sink = (path: string) => ({ type: 'file', config: { path } })

const tokenSinkPath = (settings: Settings): string => `${settings.secretVolumePath.replace(/\/+$/, '')}/token`

const template = (file: SecretFile) => ({
  destination: file.destination,
  ...(file.contents !== null && { contents: file.contents }),
  left_delimiter: file.leftDelimiter,
  right_delimiter: file.rightDelimiter,
  ...(file.command !== '' && { command: file.command }),
  ...(file.source !== null && { source: file.source }),
  ...(file.perms !== '' && { perms: file.perms }),
  ...(file.errorOnMissingKey && { error_on_missing_key: true }),
})

import { logLevels } from '#ground/base/log.ts'
import { type Seconds, seconds } from '#ground/base/clock.ts'
import { type HclBlock, HclReader } from '#ground/hcl/decode.ts'
import { parseHcl } from '#ground/hcl/parse.ts'
import type { Position } from '#ground/hcl/tree.ts'
import type {
  AgentConfig,
  ApproleMethod,
  ConfigWarning,
  FileSinkStanza,
  MethodStanza,
  TemplateConfigStanza,
  VaultStanza,
} from './config.ts'
import { readTemplate } from './template.ts'

export type SourceFile = { readonly name: string; readonly text: string }

export type ReadAgentConfig = { readonly config: AgentConfig; readonly warnings: readonly ConfigWarning[] }

/** What is wrong with the configuration as a whole; places are named by HclError. */
export class AgentConfigError extends Error {
  override readonly name = 'AgentConfigError'
}

/** What `vault agent` takes and this agent doesn't do: an agent that left it out in silence would not do its work. */
const unsupported: Readonly<Record<string, string>> = {
  listener: 'the agent has no listener',
  api_proxy: 'the agent is no proxy',
  exec: 'the agent supervises no child',
  env_template: 'the agent supervises no child',
}

/** What may be left out without anything missing; said once. */
const passedOver = [
  'cache',
  'telemetry',
  'cluster_name',
  'disable_idle_connections',
  'disable_keep_alives',
  'log_rotate_bytes',
  'log_rotate_duration',
  'log_rotate_max_files',
]

type Draft = { -readonly [K in keyof AgentConfig]: AgentConfig[K] }

const noVault: VaultStanza = {
  address: null,
  namespace: null,
  caCert: null,
  caPath: null,
  clientCert: null,
  clientKey: null,
  tlsServerName: null,
  tlsSkipVerify: null,
  numRetries: 12,
}

/**
 * Reads configuration files in order: a stanza of a later file replaces that of an earlier one, templates add up.
 * @param isStrict an unknown key is an error instead of a warning.
 * @throws HclError with file, line and column; AgentConfigError for what is wrong with the whole.
 * @source openbao command/agent/config/config.go
 */
export function readAgentConfig(files: readonly SourceFile[], isStrict = false): ReadAgentConfig {
  const warnings: ConfigWarning[] = []
  const draft: Draft = {
    vault: noVault,
    method: null,
    sinks: [],
    templateConfig: { exitOnRetryFailure: false, staticSecretRenderInterval: seconds(300) },
    templates: [],
    exitAfterAuth: false,
    pidFile: null,
    logLevel: null,
    logFormat: null,
    logFile: null,
    handoverPath: null,
    revokeOnShutdown: false,
    revokeGrace: seconds(5),
  }
  for (const file of files) readFile(file, draft, warnings, isStrict)
  checkWhole(draft)
  return { config: draft, warnings }
}

function readFile({ name, text }: SourceFile, draft: Draft, warnings: ConfigWarning[], isStrict: boolean): void {
  const reader = new HclReader(parseHcl(text, name), name)
  const end = (body: HclReader): void => finish(body, name, warnings, isStrict)
  const vault = reader.block('vault')
  if (vault) draft.vault = readVault(vault, end)
  const autoAuth = reader.block('auto_auth')
  if (autoAuth) {
    draft.method = readMethod(autoAuth, end)
    draft.sinks = readSinks(autoAuth, end)
    autoAuth.body.ignore('enable_reauth_on_new_credentials')
    end(autoAuth.body)
  }
  const templateConfig = reader.block('template_config')
  if (templateConfig) draft.templateConfig = readTemplateConfig(templateConfig, end)
  draft.templates = [...draft.templates, ...reader.blocks('template').map(block => readTemplate(block, end))]
  const handover = reader.block('handover')
  if (handover) {
    draft.handoverPath = handover.body.string('path') ?? draft.handoverPath
    end(handover.body)
  }
  draft.exitAfterAuth = reader.bool('exit_after_auth') ?? draft.exitAfterAuth
  draft.revokeOnShutdown = reader.bool('revoke_on_shutdown') ?? draft.revokeOnShutdown
  draft.revokeGrace = asSeconds(reader.duration('revoke_grace'), draft.revokeGrace)
  draft.pidFile = reader.string('pid_file') ?? draft.pidFile
  readLog(reader, draft)
  for (const [key, why] of Object.entries(unsupported)) {
    const item = reader.body.items.find(one => one.name === key)
    if (item) throw reader.error(item.at, `${key} is not supported: ${why}`)
  }
  for (const key of passedOver) {
    const item = reader.body.items.find(one => one.name === key)
    if (item) warnings.push(`${name}:${item.at.line}:${item.at.column}: ${key} has no meaning here and is passed over`)
  }
  reader.ignore(...passedOver)
  end(reader)
}

// A typo is silent in the original; here it is told, with what was probably meant.
function finish(body: HclReader, name: string, warnings: ConfigWarning[], isStrict: boolean): void {
  if (isStrict) body.finish()
  else for (const { at, message } of body.unknown()) warnings.push(`${name}:${at.line}:${at.column}: ${message}`)
}

type End = (body: HclReader) => void

function readVault({ body }: HclBlock, end: End): VaultStanza {
  const retry = body.block('retry')
  const retries = retry?.body.integer('num_retries') ?? 0
  if (retry) end(retry.body)
  const stanza: VaultStanza = {
    address: body.string('address'),
    namespace: body.string('namespace'),
    caCert: body.string('ca_cert'),
    caPath: body.string('ca_path'),
    clientCert: body.string('client_cert'),
    clientKey: body.string('client_key'),
    tlsServerName: body.string('tls_server_name'),
    tlsSkipVerify: body.bool('tls_skip_verify'),
    numRetries: retries === 0 ? 12 : Math.max(0, retries),
  }
  end(body)
  return stanza
}

const asSeconds = (value: number | null, fallback: number): Seconds => seconds(value ?? fallback)

function readMethod(autoAuth: HclBlock, end: End): MethodStanza {
  const blocks = autoAuth.body.blocks('method', [0, 1])
  if (blocks.length !== 1) throw autoAuth.body.error(autoAuth.at, 'one and only one "method" block is required')
  const { labels, body, at } = blocks[0]!
  const type = labels[0] ?? body.string('type') ?? ''
  body.ignore('type')
  if (type === '') throw body.error(at, 'method type must be specified')
  const mountPath = (body.string('mount_path') ?? `auth/${type}`).replace(/\/+$/, '')
  const common = {
    mountPath,
    namespace: body.string('namespace'),
    minBackoff: asSeconds(body.duration('min_backoff'), 1),
    maxBackoff: asSeconds(body.duration('max_backoff'), 300),
    exitOnErr: body.bool('exit_on_err') ?? false,
  }
  if (common.minBackoff > common.maxBackoff) throw body.error(at, 'min_backoff cannot be greater than max_backoff')
  if ((body.duration('wrap_ttl') ?? 0) > 0) throw body.error(at, 'wrap_ttl is not supported: leave it out')
  const config = body.block('config') ?? { labels: [], body: new HclReader({ kind: 'object', items: [], at }), at }
  const method = { ...common, ...methodConfig(type, config) }
  end(config.body)
  end(body)
  return method
}

type MethodConfig =
  | { type: 'kubernetes'; role: string; tokenPath: string | null }
  | { type: 'token_file'; path: string }
  | ApproleMethod

function methodConfig(type: string, { body, at }: HclBlock): MethodConfig {
  if (type === 'kubernetes') {
    const role = body.string('role')
    if (role === null || role === '') throw body.error(at, "missing 'role' value")
    return { type, role, tokenPath: body.string('token_path') }
  }
  if (type === 'token_file') {
    // The injector writes token_path for every method.
    body.ignore('token_path')
    const path = body.string('token_file_path')
    if (path === null || path === '') throw body.error(at, "missing 'token_file_path' value")
    return { type, path }
  }
  if (type === 'approle') return readApprole(body, at)
  throw body.error(at, `auto_auth method "${type}" is not supported: this agent has approle, kubernetes and token_file`)
}

// @source openbao command/agentproxyshared/auth/approle
function readApprole(body: HclReader, at: Position): ApproleMethod {
  const text = (name: string): string | null => body.string(name) || null
  body.ignore('token_path')
  const roleIdPath = text('role_id_file_path')
  if (roleIdPath === null) throw body.error(at, "missing 'role_id_file_path' value")
  const secretIdPath = text('secret_id_file_path')
  const wrappingPath = text('secret_id_response_wrapping_path')?.replace(/^\/+|\/+$/g, '') ?? null
  if (wrappingPath !== null && secretIdPath === null) {
    throw body.error(at, "'secret_id_response_wrapping_path' needs 'secret_id_file_path'")
  }
  const isSecretIdFileRemoved = body.bool('remove_secret_id_file_after_reading') ?? true
  return { type: 'approle', roleIdPath, secretIdPath, isSecretIdFileRemoved, wrappingPath }
}

function readSinks(autoAuth: HclBlock, end: End): readonly FileSinkStanza[] {
  return autoAuth.body.blocks('sink', [0, 1]).map(({ labels, body, at }) => {
    const type = labels[0] ?? body.string('type') ?? ''
    body.ignore('type')
    if (type === '') throw body.error(at, 'sink type must be specified')
    if (type !== 'file') throw body.error(at, `sink type "${type}" is not supported: there is only file`)
    for (const key of ['wrap_ttl', 'dh_type', 'dh_path', 'aad', 'aad_env_var', 'derive_key']) {
      if (body.value(key) !== null) throw body.error(at, `${key} is not supported in a sink: leave it out`)
    }
    const config = body.block('config')
    const path = config?.body.string('path') ?? ''
    if (!config || path === '') throw body.error(at, "'path' not specified for file sink")
    const sink = {
      path,
      mode: config.body.integer('mode') ?? 0o640,
      uid: config.body.integer('uid'),
      gid: config.body.integer('gid'),
    }
    end(config.body)
    end(body)
    return { ...sink, uid: sink.uid === -1 ? null : sink.uid, gid: sink.gid === -1 ? null : sink.gid }
  })
}

function readTemplateConfig({ body }: HclBlock, end: End): TemplateConfigStanza {
  body.ignore('max_connections_per_host', 'lease_renewal_threshold')
  const stanza = {
    exitOnRetryFailure: body.bool('exit_on_retry_failure') ?? false,
    staticSecretRenderInterval: asSeconds(body.duration('static_secret_render_interval') || null, 300),
  }
  end(body)
  return stanza
}

function readLog(reader: HclReader, draft: Draft): void {
  const level = reader.string('log_level')?.toLowerCase()
  if (level !== undefined && level !== '') {
    const found = logLevels.find(one => one === level) ?? (level === 'err' ? 'error' : undefined)
    if (found === undefined) throw new AgentConfigError(`log_level "${level}" is none of ${logLevels.join(', ')}`)
    draft.logLevel = found
  }
  const format = reader.string('log_format')?.toLowerCase()
  if (format !== undefined && format !== '') {
    if (format !== 'json' && format !== 'standard')
      throw new AgentConfigError(`log_format "${format}" is neither standard nor json`)
    draft.logFormat = format
  }
  draft.logFile = reader.string('log_file') ?? draft.logFile
}

// @source openbao command/agent/config/config.go ValidateConfig
function checkWhole(config: AgentConfig): void {
  if (config.method === null) throw new AgentConfigError('no auto_auth, cache, or listener block found in config')
  if (config.sinks.length === 0 && config.templates.length === 0) {
    throw new AgentConfigError(
      'auto_auth requires at least one sink or at least one template or api_proxy.use_auto_auth_token=true',
    )
  }
}

import { type Seconds, seconds } from '#ground/base/clock.ts'
import { type LogFormat, type LogLevel, logLevels } from '#ground/base/log.ts'
import { HclReader } from '#ground/hcl/decode.ts'
import { parseHcl } from '#ground/hcl/parse.ts'
import type { LockoutTune } from '#core/mounts/entry.ts'
import type { AuditStanza } from '#core/node/node.ts'
import { noTelemetry, type TelemetrySettings } from '#core/node/telemetry.ts'
import { ConfigError } from './config-error.ts'
import { type ListenerConfig, readListener } from './listener-config.ts'
import { readLockout } from './lockout-config.ts'
import { readTelemetry } from './telemetry-config.ts'

export type StorageConfig = { readonly type: 'sqlite' | 'inmem'; readonly path: string }

/** A `seal "static"` stanza; without one the seal is Shamir. */
export type StaticSealConfig = {
  readonly currentKeyId: string
  /** The key itself, or `file://` or `env://` and where it is. */
  readonly currentKey: string
  readonly previousKeyId: string | null
  readonly previousKey: string | null
}

export type ServerConfig = {
  readonly listeners: readonly ListenerConfig[]
  readonly storage: StorageConfig
  readonly seal: StaticSealConfig | null
  /** Enabled at unseal, if not there yet. */
  readonly audits: readonly AuditStanza[]
  /** Audit files lie below it; null = none may be enabled. */
  readonly auditDirectory: string | null
  readonly apiAddress: string | null
  readonly clusterName: string | null
  readonly defaultLeaseTtl: Seconds
  readonly maxLeaseTtl: Seconds
  readonly requestSecondsMax: number
  readonly cacheBytes: number
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
  readonly logFile: string | null
  readonly pidFile: string | null
  readonly hasUi: boolean
  /** By type of auth method; `all` stands for each. */
  readonly lockouts: ReadonlyMap<string, LockoutTune>
  readonly telemetry: TelemetrySettings
}

/** A configuration, and what in it was passed over. */
export type ReadConfig = { readonly config: ServerConfig; readonly warnings: readonly string[] }

const dayTtl = 2_764_800
// What other servers of this protocol take and what means nothing here: said, not refused.
const withoutMeaning = [
  'disable_mlock',
  'disable_cache',
  'cluster_addr',
  'disable_clustering',
  'plugin_directory',
  'service_registration',
  'detect_deadlocks',
  'raw_storage_endpoint',
  'introspection_endpoint',
  'enable_response_header_hostname',
  'enable_response_header_raft_node_id',
  'log_requests_level',
  'log_rotate_duration',
  'log_rotate_bytes',
  'log_rotate_max_files',
  'license_path',
  'experiments',
]

/**
 * Reads configuration files in order; of a value that stands in several, the last counts, listeners add up.
 * @param files text by name. @throws HclError or ConfigError, with file, place and what was meant.
 * @source openbao command/server/config.go
 */
export function readServerConfig(files: readonly { readonly name: string; readonly text: string }[]): ReadConfig {
  const warnings: string[] = []
  const listeners: ListenerConfig[] = []
  const audits: AuditStanza[] = []
  const lockouts = new Map<string, LockoutTune>()
  let storage: StorageConfig | null = null
  let seal: StaticSealConfig | null = null
  const plain: Partial<{ -readonly [K in keyof ServerConfig]: ServerConfig[K] }> = {}
  for (const { name, text } of files) {
    const reader = new HclReader(parseHcl(text, name), name)
    for (const block of reader.blocks('listener', 1)) listeners.push(readListener(block.labels[0]!, block.body))
    for (const stanza of ['storage', 'backend']) {
      const block = reader.block(stanza, 1)
      if (block) storage = readStorage(block.labels[0]!, block.body, name)
    }
    const sealBlock = reader.block('seal', 1)
    if (sealBlock) seal = readSeal(sealBlock.labels[0]!, sealBlock.body, name)
    const telemetryBlock = reader.block('telemetry')
    if (telemetryBlock) {
      const read = readTelemetry(telemetryBlock.body, name)
      plain.telemetry = read.settings
      warnings.push(...read.warnings)
    }
    for (const block of reader.blocks('audit', [1, 2])) audits.push(readAudit(block.labels, block.body))
    for (const block of reader.blocks('user_lockout', 1)) lockouts.set(...readLockout(block))
    Object.assign(plain, readPlain(reader, name))
    for (const key of withoutMeaning)
      if (reader.body.items.some(item => item.name === key))
        warnings.push(`${name}: ${key} has no meaning here and is passed over`)
    reader.ignore(...withoutMeaning)
    for (const unknown of reader.unknown())
      warnings.push(`${name}:${unknown.at.line}:${unknown.at.column}: unknown or unsupported field: ${unknown.message}`)
  }
  if (storage === null)
    throw new ConfigError('A storage backend must be specified: storage "sqlite" { path = "/data" }')
  if (listeners.length === 0)
    throw new ConfigError('a listener is missing: listener "tcp" { address = "127.0.0.1:8200" }')
  if (audits.length > 0 && plain.auditDirectory == null) {
    throw new ConfigError('an audit stanza needs audit_directory: the folder that audit files may be written below')
  }
  return {
    config: {
      listeners,
      storage,
      seal,
      audits,
      auditDirectory: null,
      apiAddress: null,
      clusterName: null,
      defaultLeaseTtl: seconds(dayTtl),
      maxLeaseTtl: seconds(dayTtl),
      requestSecondsMax: 90,
      cacheBytes: 64 * 1024 * 1024,
      logLevel: 'info',
      logFormat: 'standard',
      logFile: null,
      pidFile: null,
      hasUi: false,
      lockouts,
      telemetry: noTelemetry,
      ...plain,
    },
    warnings,
  }
}

function readPlain(reader: HclReader, name: string): Partial<ServerConfig> {
  const text = (key: string) => reader.string(key)
  const out: { -readonly [K in keyof ServerConfig]?: ServerConfig[K] } = {}
  const set = <K extends keyof ServerConfig>(key: K, value: ServerConfig[K] | null): void => {
    if (value !== null) out[key] = value
  }
  set('auditDirectory', text('audit_directory'))
  set('apiAddress', text('api_addr'))
  set('clusterName', text('cluster_name'))
  set('pidFile', text('pid_file'))
  set('logFile', text('log_file'))
  const defaultTtl = reader.duration('default_lease_ttl')
  if (defaultTtl !== null) out.defaultLeaseTtl = seconds(defaultTtl)
  const maxTtl = reader.duration('max_lease_ttl')
  if (maxTtl !== null) out.maxLeaseTtl = seconds(maxTtl)
  set('requestSecondsMax', reader.duration('default_max_request_duration'))
  set('hasUi', reader.bool('ui'))
  const cacheSize = reader.integer('cache_size')
  if (cacheSize !== null) out.cacheBytes = Math.max(1_000_000, cacheSize * 500)
  const level = text('log_level')?.toLowerCase()
  if (level !== undefined) {
    const found = logLevels.find(one => one === level || (one === 'error' && level === 'err'))
    if (found === undefined) throw new ConfigError(`${name}: log_level "${level}" is none of ${logLevels.join(', ')}`)
    out.logLevel = found
  }
  const format = text('log_format')
  if (format !== null) {
    if (format !== '' && format !== 'standard' && format !== 'json')
      throw new ConfigError(`${name}: log_format "${format}" is neither standard nor json`)
    out.logFormat = format === 'json' ? 'json' : 'standard'
  }
  return out
}

// `file`, and `raft` without peers, name the same embedded store.
function readStorage(type: string, body: HclReader, name: string): StorageConfig {
  if (type === 'inmem') return { type: 'inmem', path: '' }
  if (type !== 'sqlite' && type !== 'file' && type !== 'raft') {
    throw new ConfigError(
      `${name}: storage type "${type}" is not supported: use sqlite (or its old names file and raft), or inmem`,
    )
  }
  if (type === 'raft' && body.blocks('retry_join').length > 0) {
    throw new ConfigError(`${name}: storage "raft" with retry_join: clusters of several nodes are not supported`)
  }
  const path = body.string('path')
  if (path === null || path === '') throw new ConfigError(`${name}: storage "${type}": path is missing`)
  body.ignore('node_id', 'performance_multiplier', 'trailing_logs', 'snapshot_threshold', 'max_entry_size', 'type')
  body.finish()
  return { type: 'sqlite', path }
}

function readSeal(type: string, body: HclReader, name: string): StaticSealConfig | null {
  if (type === 'shamir') return null
  if (type !== 'static')
    throw new ConfigError(`${name}: seal type "${type}" is not supported: use static, or leave it out for Shamir`)
  const currentKey = body.string('current_key')
  if (currentKey === null)
    throw new ConfigError(
      `${name}: seal "static": current_key is missing: 32 bytes, or file:// or env:// and where they are`,
    )
  const seal = {
    currentKeyId: body.string('current_key_id') ?? 'current',
    currentKey,
    previousKeyId: body.string('previous_key_id'),
    previousKey: body.string('previous_key'),
  }
  body.ignore('type', 'disabled')
  body.finish()
  return seal
}

function readAudit(labels: readonly string[], body: HclReader): AuditStanza {
  const options = Object.fromEntries(body.stringMap('options') ?? [])
  body.ignore('description', 'local')
  body.finish()
  return { type: labels[0]!, path: `${(labels[1] ?? labels[0]!).replace(/\/$/, '')}/`, options }
}

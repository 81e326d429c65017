import {
  anything,
  bool,
  commaList,
  object,
  optionalBool,
  optionalStringMap,
  optionalText,
  stringMap,
  text,
} from '#ground/fields/kit.ts'
import { type Seconds, seconds } from '#ground/base/clock.ts'
import { parseDurationSeconds } from '#ground/text/duration.ts'
import { type Json, type JsonObject, NumberLiteral } from '#ground/text/json.ts'
import type { Mount } from '#core/mounts/mount.ts'
import type { MountConfig, MountEntry } from '#core/mounts/entry.ts'
import type { SystemTtls } from '#core/mounts/mounts.ts'
import { fault } from '#protocol/fault.ts'
import { showLockout } from './mount-lockout.ts'

/** What enabling takes. @source server-core 2.6 */
export const enableFields = {
  path: text({ description: 'Where it is mounted.', from: 'path' }),
  type: text({ description: 'Which engine or method: kv, kubernetes, …' }),
  description: text({ description: 'For people.' }),
  config: object({ description: 'TTLs and what else can be tuned.' }),
  options: stringMap({ description: 'Options of the type: {"version":"2"} for kv.' }),
  local: bool({ description: 'Kept and shown; there is no replication.' }),
  seal_wrap: bool({ description: 'Kept and shown; everything is sealed alike.' }),
  external_entropy_access: bool({ description: 'Kept and shown.' }),
  plugin_name: text({ description: 'Old form of type.', isDeprecated: true }),
  plugin_version: text({ description: 'Taken and not used: engines are built in.' }),
} as const

/** What tuning takes; only what is sent changes. */
export const tuneFields = {
  path: text({ description: 'Which mount.', from: 'path' }),
  description: optionalText({ description: 'For people.' }),
  default_lease_ttl: optionalText({ description: 'TTL where nothing else says one; "system" or 0 = the system\'s.' }),
  max_lease_ttl: optionalText({ description: 'The longest TTL; "system" or 0 = the system\'s.' }),
  listing_visibility: optionalText({ description: '"unauth": shown to everybody.' }),
  options: optionalStringMap({ description: 'Options of the type; an empty value removes one.' }),
  token_type: optionalText({
    description:
      'Auth mounts: service or batch for all tokens, default-service or default-batch where a role says nothing.',
  }),
  audit_non_hmac_request_keys: anything({ description: 'Request keys whose values audit shows.' }),
  audit_non_hmac_response_keys: anything({ description: 'Response keys whose values audit shows.' }),
  passthrough_request_headers: anything({ description: 'Headers that the engine sees.' }),
  allowed_response_headers: anything({ description: 'Headers that the engine may set.' }),
  plugin_version: optionalText({ description: 'Taken and not used.' }),
  user_lockout_config: anything({ description: 'When names are locked out: approle, ldap, userpass.' }),
  force_no_cache: optionalBool({ description: 'Kept and shown.' }),
} as const

const listFields = [
  ['audit_non_hmac_request_keys', 'auditNonHmacRequestKeys'],
  ['audit_non_hmac_response_keys', 'auditNonHmacResponseKeys'],
  ['passthrough_request_headers', 'passthroughRequestHeaders'],
  ['allowed_response_headers', 'allowedResponseHeaders'],
] as const

/**
 * Applies what is sent to a configuration. What isn't known is passed over, as Vault does: Go's client sends fields of its
 * own beside those of the mount (`options`).
 * @throws Fault naming what doesn't fit, with Vault's texts.
 */
export function applyConfig(
  now: MountConfig,
  sent: JsonObject,
  kind: MountEntry['kind'],
  system: SystemTtls,
): MountConfig {
  const next: { -readonly [K in keyof MountConfig]: MountConfig[K] } = { ...now }
  if (isGiven(sent['default_lease_ttl'])) next.defaultLeaseTtl = ttl(sent['default_lease_ttl'], 'default')
  if (isGiven(sent['max_lease_ttl'])) next.maxLeaseTtl = ttl(sent['max_lease_ttl'], 'max')
  if (typeof sent['force_no_cache'] === 'boolean') next.forceNoCache = sent['force_no_cache']
  for (const [name, member] of listFields)
    if (isGiven(sent[name])) next[member] = commaList({ description: name }).parse(sent[name])
  if (isGiven(sent['listing_visibility'])) next.listingVisibility = visibility(sent['listing_visibility'])
  if (isGiven(sent['token_type'])) next.tokenType = tokenType(sent['token_type'], kind)
  checkTtls(next, system)
  return next
}

const isGiven = (value: Json | undefined): value is Json => value !== undefined && value !== null

const shown = (value: Json): string =>
  (typeof value === 'string' ? value : value instanceof NumberLiteral ? value.text : JSON.stringify(value)).slice(0, 64)

function ttl(value: Json, which: 'default' | 'max'): Seconds {
  if (value === 'system' || value === '') return seconds(0)
  try {
    const parsed = parseDurationSeconds(typeof value === 'number' ? value : shown(value))
    if (parsed < 0) throw new Error('a TTL is not negative')
    return seconds(parsed)
  } catch {
    throw fault('request.invalid', `unable to parse ${which} TTL of ${shown(value)}`)
  }
}

function visibility(value: Json): MountConfig['listingVisibility'] {
  if (value === '' || value === 'hidden' || value === 'unauth') return value
  throw fault('request.invalid', `invalid listing_visibility ${shown(value)}`)
}

function tokenType(value: Json, kind: MountEntry['kind']): MountConfig['tokenType'] {
  if (kind !== 'auth') throw fault('request.invalid', "'token_type' can only be modified on auth mounts")
  if (value === '') return 'default-service'
  if (value === 'default-service' || value === 'default-batch' || value === 'service' || value === 'batch') return value
  throw fault('request.invalid', `invalid value for 'token_type'`)
}

function checkTtls(config: MountConfig, system: SystemTtls): void {
  const { defaultLeaseTtl, maxLeaseTtl } = config
  if (maxLeaseTtl > 0 && defaultLeaseTtl > maxLeaseTtl) {
    throw fault('request.invalid', 'given default lease TTL greater than given max lease TTL')
  }
  if (maxLeaseTtl === 0 && defaultLeaseTtl > system.maxTtl) {
    throw fault('request.invalid', `given default lease TTL greater than system max lease TTL of ${system.maxTtl}`)
  }
}

/** How a mount shows in lists. @source openbao vault/logical_system.go mountInfo */
export function mountInfo(mount: Mount): { readonly [key: string]: Json } {
  const { entry, engine } = mount
  return {
    accessor: entry.accessor,
    config: {
      default_lease_ttl: entry.config.defaultLeaseTtl,
      force_no_cache: entry.config.forceNoCache,
      max_lease_ttl: entry.config.maxLeaseTtl,
      ...(entry.kind === 'auth' && { token_type: entry.config.tokenType }),
      ...(entry.config.listingVisibility !== '' && { listing_visibility: entry.config.listingVisibility }),
      ...lists(entry.config),
      ...showLockout(entry.config),
    },
    deprecation_status: 'supported',
    description: entry.description,
    external_entropy_access: entry.externalEntropyAccess,
    local: entry.local,
    options: entry.options,
    plugin_version: '',
    running_plugin_version: engine.version,
    running_sha256: '',
    seal_wrap: entry.sealWrap,
    type: entry.type,
    uuid: entry.uuid,
  }
}

/** What tuning reads: effective TTLs, as Terraform compares them. */
export function tuneInfo(mount: Mount, effective: SystemTtls): Json {
  const { config } = mount.entry
  return {
    default_lease_ttl: effective.defaultTtl,
    description: mount.entry.description,
    force_no_cache: config.forceNoCache,
    max_lease_ttl: effective.maxTtl,
    ...(mount.entry.kind === 'auth' && { token_type: config.tokenType }),
    ...(config.listingVisibility !== '' && { listing_visibility: config.listingVisibility }),
    ...lists(config),
    ...showLockout(config),
    ...(mount.entry.options !== null &&
      Object.keys(mount.entry.options).length > 0 && { options: mount.entry.options }),
  }
}

function lists(config: MountConfig): Record<string, Json> {
  const out: Record<string, Json> = {}
  for (const [name, member] of listFields) if (config[member].length > 0) out[name] = config[member]
  return out
}

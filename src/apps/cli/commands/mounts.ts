import { boolFlag, durationFlag, intFlag, stringFlag, stringListFlag, stringMapFlag } from '#ground/text/flags.ts'
import { sortedKeys } from '#ground/text/compare.ts'
import { formatGoDuration } from '#ground/text/duration.ts'
import type { Json, JsonObject } from '#ground/text/json.ts'
import { isTrue, objectOf, own, textOf, wholeOf } from '#protocol/members.ts'
import { disableMount, enableMount, listMounts, tuneMount } from '#client/calls/sys.ts'
import { attempt, type Context } from '../context.ts'
import { sanitizePath, withSlash } from '../paths.ts'
import { table } from '../render/columns.ts'
import { goValue } from '../render/value.ts'
import { type Row, row } from '../row.ts'
import { moveRow } from './move.ts'

/** What `secrets` and `auth` share, and the words in which they differ. */
type Kind = {
  readonly group: 'secrets' | 'auth'
  readonly path: 'mounts' | 'auth'
  readonly thing: string
  readonly example: string
}

const secrets: Kind = {
  group: 'secrets',
  path: 'mounts',
  thing: 'secrets engine',
  example: '-path=team-kv -version=2 kv',
}
const auth: Kind = { group: 'auth', path: 'auth', thing: 'auth method', example: '-path=prod kubernetes' }

const config = {
  'default-lease-ttl': durationFlag({ usage: "Default TTL of leases. Without it, the server's." }),
  'max-lease-ttl': durationFlag({ usage: "Longest TTL of leases. Without it, the server's." }),
  'audit-non-hmac-request-keys': stringListFlag({ usage: 'Key of requests that audit logs show in the clear.' }),
  'audit-non-hmac-response-keys': stringListFlag({ usage: 'Key of answers that audit logs show in the clear.' }),
  'listing-visibility': stringFlag({ usage: 'Whether the web UI lists it before login: "unauth" or "hidden".' }),
  'passthrough-request-headers': stringListFlag({ usage: 'Request header that is handed to it.' }),
  'allowed-response-headers': stringListFlag({ usage: 'Response header that it may set.' }),
  'plugin-version': stringFlag({ usage: 'Version of the plugin to run.' }),
  options: stringMapFlag({ usage: 'Option as key=value; may be given several times.' }),
  version: intFlag({ usage: 'Version of the type, where there are several: 2 for KV with versions.' }),
  description: stringFlag({ usage: 'What it is for, for people.' }),
}

const tokenTypeFlag = { 'token-type': stringFlag({ usage: 'Type of the tokens that it gives: "service", "batch", …' }) }

const lockoutFlags = {
  'user-lockout-threshold': intFlag({ usage: 'Refused logins in a row that lock a name.' }),
  'user-lockout-duration': durationFlag({ usage: 'How long a name stays locked.' }),
  'user-lockout-counter-reset-duration': durationFlag({ usage: 'Without a refused login for so long it counts anew.' }),
  'user-lockout-disable': boolFlag({ usage: 'Lock nobody.' }),
}

type ConfigFlags = typeof config

// Only what stands on the command line is sent: a tune without it must not reset it.
function givenConfig(c: Context<ConfigFlags>): { [key: string]: Json } {
  const values = c.flags as unknown as Readonly<Record<string, Json>>
  const names = [
    'audit-non-hmac-request-keys',
    'audit-non-hmac-response-keys',
    'listing-visibility',
    'passthrough-request-headers',
    'allowed-response-headers',
    'plugin-version',
    'token-type',
  ]
  return Object.fromEntries(
    names.filter(name => c.given.has(name)).map(name => [name.replaceAll('-', '_'), values[name] ?? null]),
  )
}

function optionsOf(c: Context<ConfigFlags>): JsonObject | null {
  const options = Object.fromEntries(c.flags.options)
  if (c.flags.version > 0) options['version'] = String(c.flags.version)
  return Object.keys(options).length === 0 ? null : options
}

// As text, which is how the original sends numbers and times of it.
function givenLockout(c: Context<ConfigFlags>): JsonObject | null {
  const values = c.flags as unknown as Readonly<Record<string, number | boolean>>
  const given = Object.keys(lockoutFlags).filter(name => c.given.has(name))
  if (given.length === 0) return null
  const entries = given.map(name => {
    const value = values[name]!
    const text = name.endsWith('-duration') ? formatGoDuration(value as number) : String(value)
    return [name.replace('user-', '').replaceAll('-', '_'), typeof value === 'boolean' ? value : text] as const
  })
  return Object.fromEntries(entries)
}

function enableRow(kind: Kind): Row {
  const flags = {
    ...config,
    ...(kind.group === 'auth' ? tokenTypeFlag : { 'force-no-cache': boolFlag({ usage: 'Never cache for it.' }) }),
    path: stringFlag({ usage: 'Where it is mounted. Default: its type.' }),
    'plugin-name': stringFlag({ usage: 'Name of the plugin, when the type is "plugin".' }),
    local: boolFlag({ usage: 'Keep it out of replication.' }),
    'seal-wrap': boolFlag({ usage: 'Wrap its critical values by the seal too.' }),
    'external-entropy-access': boolFlag({ usage: "Let it use the server's external source of entropy." }),
  }
  return row({
    name: `${kind.group} enable`,
    synopsis: kind.group === 'auth' ? 'Enables a new auth method' : 'Enable a secrets engine',
    usage: '[options] TYPE',
    help: `Mounts a new ${kind.thing}. Its path is its type unless -path says otherwise.

    $ % ${kind.group} enable ${kind.example}`,
    flags,
    args: 1,
    async run(c) {
      const type = c.arg(0) === 'plugin' ? c.flags['plugin-name'] : c.arg(0)
      const path = withSlash(c.flags.path === '' ? type : c.flags.path)
      const body: JsonObject = {
        type,
        description: c.flags.description,
        config: {
          default_lease_ttl: formatGoDuration(c.flags['default-lease-ttl']),
          max_lease_ttl: formatGoDuration(c.flags['max-lease-ttl']),
          force_no_cache: (c.flags as Readonly<Record<string, unknown>>)['force-no-cache'] === true,
          ...givenConfig(c),
        },
        local: c.flags.local,
        seal_wrap: c.flags['seal-wrap'],
        external_entropy_access: c.flags['external-entropy-access'],
        options: optionsOf(c),
      }
      const what = kind.group === 'auth' ? `Error enabling ${type} auth` : 'Error enabling'
      await attempt(what, enableMount(c.client, kind.path, path, body))
      const version = c.flags['plugin-version'] === '' ? '' : ` version ${c.flags['plugin-version']}`
      const article = kind.group === 'auth' ? '' : 'the '
      c.ui.output(`Success! Enabled ${article}${type} ${kind.thing}${version} at: ${path}`)
    },
  })
}

function disableRow(kind: Kind): Row {
  return row({
    name: `${kind.group} disable`,
    synopsis: kind.group === 'auth' ? 'Disables an auth method' : 'Disable a secrets engine',
    usage: '[options] PATH',
    help: `Unmounts the ${kind.thing} at a path (not of a type), deletes its data and revokes what it gave out.

    $ % ${kind.group} disable ${kind.group === 'auth' ? 'kubernetes/' : 'team-kv/'}`,
    args: 1,
    async run(c) {
      const path = withSlash(sanitizePath(c.arg(0)))
      await attempt(`Error disabling ${kind.thing} at ${path}`, disableMount(c.client, kind.path, path))
      c.ui.output(`Success! Disabled the ${kind.thing} (if it existed) at: ${path}`)
    },
  })
}

function tuneRow(kind: Kind): Row {
  return row({
    name: `${kind.group} tune`,
    synopsis: kind.group === 'auth' ? 'Tunes an auth method configuration' : 'Tune a secrets engine configuration',
    usage: '[options] PATH',
    help: `Changes settings of the ${kind.thing} at a path; what isn't given stays. A negative TTL goes back to the server's.

    $ % ${kind.group} tune -default-lease-ttl=1h ${kind.group === 'auth' ? 'kubernetes/' : 'team-kv/'}`,
    flags: { ...config, ...(kind.group === 'auth' ? { ...tokenTypeFlag, ...lockoutFlags } : {}) },
    args: 1,
    async run(c) {
      const path = withSlash(sanitizePath(c.arg(0)))
      const options = optionsOf(c)
      const lockout = givenLockout(c)
      const body: JsonObject = {
        default_lease_ttl: ttlText(c.flags['default-lease-ttl']),
        max_lease_ttl: ttlText(c.flags['max-lease-ttl']),
        ...(options && { options }),
        ...(c.given.has('description') && { description: c.flags.description }),
        ...givenConfig(c),
        ...(lockout && { user_lockout_config: lockout }),
      }
      const what = `Error tuning ${kind.thing} ${path}`
      await attempt(what, tuneMount(c.client, kind.path, path, body))
      c.ui.output(`Success! Tuned the ${kind.thing} at: ${path}`)
    },
  })
}

// Empty leaves it, "system" goes back to the server's.
function ttlText(seconds: number): string {
  if (seconds === 0) return ''
  return seconds < 0 ? 'system' : formatGoDuration(seconds)
}

function listRow(kind: Kind): Row {
  return row({
    name: `${kind.group} list`,
    synopsis: kind.group === 'auth' ? 'Lists enabled auth methods' : 'List enabled secrets engines',
    usage: '[options]',
    help: `Lists what is mounted. A TTL of "system" is the server's.

    $ % ${kind.group} list -detailed`,
    output: ['format', 'detailed'],
    async run(c) {
      const what = kind.group === 'auth' ? 'Error listing enabled authentications' : 'Error listing secrets engines'
      const mounts = await attempt(what, listMounts(c.client, kind.path))
      if (!c.ui.isTable) return c.ui.document(mounts)
      c.ui.output(c.ui.isDetailed ? detailed(kind, mounts) : simple(kind, mounts))
    },
  } satisfies Row)
}

function simple(kind: Kind, mounts: JsonObject): string {
  const isAuth = kind.group === 'auth'
  const headers = ['Path', 'Type', 'Accessor', 'Description', ...(isAuth ? ['Version'] : [])]
  const rows = sortedKeys(mounts).map(path => {
    const mount = objectOf(mounts, path)
    const cells = ['type', 'accessor', 'description', ...(isAuth ? ['plugin_version'] : [])]
    return [path, ...cells.map(name => textOf(mount, name))]
  })
  return table(headers, rows)
}

function detailed(kind: Kind, mounts: JsonObject): string {
  const isAuth = kind.group === 'auth'
  const headers = [
    'Path',
    'Plugin',
    'Accessor',
    'Default TTL',
    'Max TTL',
    isAuth ? 'Token Type' : 'Force No Cache',
    'Replication',
    'Seal Wrap',
    'External Entropy Access',
    'Options',
    'Description',
    'UUID',
    'Version',
    'Running Version',
    'Running SHA256',
    'Deprecation Status',
  ]
  const last = [
    'description',
    'uuid',
    'plugin_version',
    'running_plugin_version',
    'running_sha256',
    'deprecation_status',
  ]
  const rows = sortedKeys(mounts).map(path => {
    const mount = objectOf(mounts, path)
    const settings = objectOf(mount, 'config')
    const type = textOf(mount, 'type')
    const ttl = (name: string): string =>
      type === 'system' || type === 'cubbyhole' ? '' : String(wholeOf(settings, name) || 'system')
    return [
      path,
      type,
      textOf(mount, 'accessor'),
      ttl('default_lease_ttl'),
      ttl('max_lease_ttl'),
      isAuth ? textOf(settings, 'token_type') : String(isTrue(settings, 'force_no_cache')),
      isTrue(mount, 'local') ? 'local' : 'replicated',
      String(isTrue(mount, 'seal_wrap')),
      String(isTrue(mount, 'external_entropy_access')),
      goValue(own(mount, 'options') ?? {}),
      ...last.map(name => textOf(mount, name)),
    ]
  })
  return table(headers, rows)
}

const rowsOf = (kind: Kind): readonly Row[] => [
  enableRow(kind),
  disableRow(kind),
  listRow(kind),
  tuneRow(kind),
  moveRow(kind),
]

export const secretsRows: readonly Row[] = rowsOf(secrets)
export const authRows: readonly Row[] = rowsOf(auth)

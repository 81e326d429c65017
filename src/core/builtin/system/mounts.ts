import type { Input } from '#ground/fields/field.ts'
import { captured } from '#ground/fields/kit.ts'
import type { Json, JsonObject } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { empty, type Reply } from '#backend/reply.ts'
import { defaultMountConfig, type MountEntry } from '#core/mounts/entry.ts'
import type { Mount } from '#core/mounts/mount.ts'
import type { SystemTtls } from '#core/mounts/mounts.ts'
import { fault } from '#protocol/fault.ts'
import { applyConfig, enableFields, mountInfo, tuneFields, tuneInfo } from './mount-fields.ts'
import { applyLockout } from './mount-lockout.ts'
import { row, type SystemRow, type SystemState } from './state.ts'

type Kind = MountEntry['kind']

const words = {
  secret: { noun: 'secret engine', missing: 'No secret engine mount at', area: 'mounts' },
  auth: { noun: 'auth method', missing: 'No auth engine at', area: 'auth' },
} as const

// Where engines of the server itself live, and where namespaces and other families would collide.
const reserved = ['sys/', 'auth/', 'identity/', 'cubbyhole/', 'audit/']

const isReserved = (path: string): boolean => reserved.some(taken => path.startsWith(taken))

const full = (kind: Kind, path: string): string => (kind === 'auth' ? `auth/${path}` : path)
const withSlash = (path: string): string => (path.endsWith('/') ? path : `${path}/`)

function all(kind: Kind, state: SystemState): readonly Mount[] {
  return state
    .house()
    .mounts.all()
    .filter(mount => mount.entry.kind === kind)
}

/** What the configuration grants where a mount says nothing. */
const systemTtls = (state: SystemState): SystemTtls => state.house().mounts.effectiveTtls(defaultMountConfig)

function list(kind: Kind, state: SystemState): Reply {
  const data: Record<string, Json> = {}
  for (const mount of all(kind, state)) data[mount.entry.path] = mountInfo(mount)
  return { kind: 'data', data, topLevel: true }
}

/**
 * `sys/mounts/auth/x` shows a method: the Go SDK's GetAuth asks there, so that showing takes no sudo.
 * @source vault api/sys_auth.go GetAuthWithContext, vault/logical_system.go handleReadMount
 */
function find(kind: Kind, path: string, state: SystemState): Mount {
  const mount = state.house().mounts.at(full(kind, withSlash(path)))
  if (mount === null) throw fault('request.invalid', `${words[kind].missing} ${withSlash(path)}`)
  return mount
}

async function enable(kind: Kind, call: Call<Input<typeof enableFields>>, state: SystemState): Promise<Reply> {
  const { input } = call
  const path = withSlash(input.path)
  if (kind === 'secret' && isReserved(path)) {
    throw fault('request.invalid', `cannot mount "${path}"`)
  }
  const asked = input.type !== '' ? input.type : input.plugin_name
  if (asked === '') throw fault('request.invalid', 'backend type must be specified as a string')
  if (['system', 'token', 'cubbyhole', 'identity'].includes(asked)) {
    throw fault('request.invalid', `mount type of "${asked}" is not mountable`)
  }
  const { type, options } = resolveType(asked, input.options)
  const config = applyConfig(defaultMountConfig, input.config ?? {}, kind, systemTtls(state))
  const { entropy } = state.world
  await state.house().mounts.enable({
    uuid: entropy.uuid(),
    kind,
    path,
    type,
    accessor: `${kind === 'auth' ? 'auth_' : ''}${type}_${Buffer.from(entropy.bytes(4)).toString('hex')}`,
    description: input.description,
    config: applyLockout(config, input.config?.['user_lockout_config'], type),
    options: Object.keys(options).length === 0 ? null : options,
    local: input.local,
    sealWrap: input.seal_wrap,
    externalEntropyAccess: input.external_entropy_access,
    isTainted: false,
  })
  return empty
}

// Names of kv with its version. `generic` is a type of its own: a mount shows the name that it was made by. @source openbao vault/logical_system.go handleMount
function resolveType(
  asked: string,
  options: Readonly<Record<string, string>>,
): { type: string; options: Record<string, string> } {
  const plain = { ...options }
  if (asked === 'kv-v1') return { type: 'kv', options: { ...plain, version: '1' } }
  if (asked === 'kv-v2') return { type: 'kv', options: { ...plain, version: '2' } }
  return { type: asked, options: plain }
}

async function tune(kind: Kind, call: Call<Input<typeof tuneFields>>, state: SystemState): Promise<Reply> {
  const { input, sent } = call
  const path = full(kind, withSlash(input.path))
  if (kind === 'secret' && isReserved(path)) throw fault('request.invalid', `cannot tune "${path}"`)
  // By its own rules, which ask who makes a token. @source vault/logical_system.go handleTuneWriteCommon
  if (path === 'auth/token/' && input.token_type !== undefined)
    throw fault('request.invalid', "'token_type' cannot be set for 'token' or 'ns_token' auth mounts")
  const given: Record<string, Json> = {}
  for (const name of sent) {
    const value = input[name as keyof typeof input]
    if (value !== undefined && !['path', 'description', 'options', 'plugin_version'].includes(name))
      given[name] = value as Json
  }
  await state.house().mounts.tune(path, entry => ({
    ...entry,
    ...(input.description !== undefined && { description: input.description }),
    ...(input.options !== undefined && { options: mergedOptions(entry, input.options) }),
    config: applyLockout(
      applyConfig(entry.config, given as JsonObject, kind, systemTtls(state)),
      input.user_lockout_config,
      entry.type,
    ),
  }))
  return empty
}

function mergedOptions(entry: MountEntry, sent: Readonly<Record<string, string>>): Record<string, string> {
  const merged: Record<string, string> = { ...entry.options }
  for (const [name, value] of Object.entries(sent)) {
    if (name === 'version' && ['kv', 'generic'].includes(entry.type) && merged['version'] === '2' && value !== '2') {
      throw fault('request.invalid', 'cannot downgrade mount from version 2')
    }
    if (value === '' && name !== 'version') delete merged[name]
    else merged[name] = value
  }
  return merged
}

function readTune(kind: Kind, path: string, state: SystemState): Reply {
  const mount = state.house().mounts.at(full(kind, withSlash(path)))
  if (mount === null) throw fault('request.invalid', `cannot fetch sysview for path "${withSlash(path)}"`)
  return { kind: 'data', data: tuneInfo(mount, state.house().mounts.effectiveTtls(mount.entry.config)), topLevel: true }
}

function rowsOf(kind: Kind): readonly SystemRow[] {
  const { area, noun } = words[kind]
  const write = kind === 'auth' ? 'sudo' : 'policy'
  const tuning = row({
    path: `${area}/*path/tune`,
    fields: tuneFields,
    operations: {
      read: {
        access: write,
        summary: `How a ${noun} is tuned.`,
        handler: (call, state) => readTune(kind, call.input.path, state),
      },
      update: { access: write, summary: `Tune a ${noun}.`, handler: (call, state) => tune(kind, call, state) },
    },
    help: {
      synopsis: `Tune a ${noun}.`,
      description: 'TTLs are shown as they take effect; only what is sent changes.',
    },
  })
  return [
    row({
      path: area,
      fields: {},
      operations: {
        read: { access: 'policy', summary: `All ${noun}s.`, handler: (_call, state) => list(kind, state) },
      },
      help: { synopsis: `All ${noun}s.`, description: 'By path, which ends in a slash.' },
    }),
    tuning,
    row({
      path: `${area}/*path`,
      fields: enableFields,
      operations: {
        read: {
          access: write,
          summary: `One ${noun}.`,
          handler: (call, state) => ({
            kind: 'data',
            data: mountInfo(find(kind, call.input.path, state)),
            topLevel: true,
          }),
        },
        update: { access: write, summary: `Enable a ${noun}.`, handler: (call, state) => enable(kind, call, state) },
        delete: {
          access: write,
          summary: `Disable a ${noun}: ends its leases and removes its data.`,
          async handler(call, state) {
            const path = full(kind, withSlash(call.input.path))
            // An auth method takes sudo to disable: not by the paths of engines.
            if (path === 'auth/token/' || (kind === 'secret' && isReserved(path)))
              throw fault('request.invalid', `cannot unmount "${path}"`)
            await state.house().mounts.disable(path)
            return empty
          },
        },
      },
      help: { synopsis: `Enable, read or disable a ${noun}.`, description: 'Disabling what is not there succeeds.' },
    }),
  ]
}

/** `mounts/auth/:path/tune` is an alias of `auth/:path/tune`. */
const tuneAlias = row({
  path: 'mounts/auth/*path/tune',
  fields: tuneFields,
  operations: {
    read: {
      access: 'policy',
      summary: 'How an auth method is tuned.',
      handler: (call, state) => readTune('auth', call.input.path, state),
    },
    update: { access: 'policy', summary: 'Tune an auth method.', handler: (call, state) => tune('auth', call, state) },
  },
  help: { synopsis: 'Tune an auth method.', description: 'The same as sys/auth/:path/tune.' },
})

/** What clients ask before they read: which mount, which version. @source openbao vault/logical_system.go pathInternalUIMountRead */
async function preflight(call: Call<{ path: string }>, state: SystemState): Promise<Reply> {
  const asked = call.input.path
  const refused = fault(
    'permission.bare',
    `preflight capability check returned 403, please ensure client's policies grant access to path "${withSlash(asked)}"`,
  )
  const found = state.house().mounts.resolve(asked) ?? state.house().mounts.resolve(withSlash(asked))
  if (found === null || call.caller === null || !(await state.touches(call, found.mount.path))) throw refused
  return { kind: 'data', data: { ...mountInfo(found.mount), path: found.mount.path } }
}

async function visibleMounts(call: Call, state: SystemState): Promise<Reply> {
  const out: { secret: Record<string, Json>; auth: Record<string, Json> } = { secret: {}, auth: {} }
  for (const mount of state.house().mounts.all()) {
    const group = out[mount.entry.kind]
    const info = mountInfo(mount)
    if (call.caller !== null && (await state.touches(call, mount.path))) group[mount.entry.path] = info
    else if (mount.entry.config.listingVisibility === 'unauth') {
      group[mount.entry.path] = {
        type: info['type'] ?? '',
        description: info['description'] ?? '',
        options: info['options'] ?? null,
      }
    }
  }
  return { kind: 'data', data: out }
}

const uiRows: readonly SystemRow[] = [
  row({
    path: 'internal/ui/mounts',
    fields: {},
    operations: {
      read: { access: 'optional', summary: 'The mounts that the caller can use.', handler: visibleMounts },
    },
    help: {
      synopsis: 'The mounts that the caller can use.',
      description: 'Without a token: those that are shown to everybody.',
    },
  }),
  row({
    path: 'internal/ui/mounts/*path',
    fields: { path: captured('A path of a secret, or of a mount.') },
    operations: { read: { access: 'token', summary: 'The mount behind a path.', handler: preflight } },
    help: { synopsis: 'The mount behind a path.', description: 'What a client asks to tell kv version 1 from 2.' },
  }),
]

export const mountRows: readonly SystemRow[] = [tuneAlias, ...rowsOf('secret'), ...rowsOf('auth'), ...uiRows]

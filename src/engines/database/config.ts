import { bool, captured, commaList, stringList, text } from '#ground/fields/kit.ts'
import { InvalidField, parseInput } from '#ground/fields/parse.ts'
import type { Json, JsonObject } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { namesRow } from '#backend/listing.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop, put } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import { DatabaseFailure } from './driver.ts'
import { rotateRoot } from './rotation.ts'
import { type Config, configEntries } from './entries.ts'
import { type DatabaseState, failed, inTurn, row, textOf, tell } from './state.ts'

/** What is our own of a body; every other key goes to the database's driver. */
const own = {
  plugin_name: text({ description: 'Kind of the database: postgresql-database-plugin.' }),
  plugin_version: text({ description: 'Kept and shown.' }),
  verify_connection: bool({ description: 'Connect before it is kept.', fallback: true }),
  allowed_roles: commaList({ description: 'Roles that may use it, with globs; * = all.' }),
  root_rotation_statements: stringList({ description: 'How the password of the connection is changed.' }),
  password_policy: text({ description: 'Policy by which passwords are made.' }),
} as const

type Own = {
  plugin_name: string
  plugin_version: string
  verify_connection: boolean
  allowed_roles: readonly string[]
  root_rotation_statements: readonly string[]
  password_policy: string
}

const isTemplate = (value: string): boolean => /\{\{\s*(username|password)\s*\}\}/.test(value)
/** Of the connection's own password, by themselves. */
const enterpriseOnly = ['rotation_period', 'rotation_schedule', 'rotation_window', 'disable_automated_rotation']
const isSet = (value: Json): boolean => value !== null && value !== '' && value !== 0 && value !== false
const passwordInUrl = /^(\w+:\/\/[^:@/]*:)([^@]*)(@)/

function parsed(body: JsonObject): { input: Own; sent: ReadonlySet<string>; unknown: readonly string[] } {
  try {
    const { input, sent, unknown } = parseInput(own, { values: body, captures: {} })
    return { input: input as unknown as Own, sent, unknown }
  } catch (error) {
    if (error instanceof InvalidField) throw fault('request.invalid', error.message)
    throw error
  }
}

/** @source openbao builtin/logical/database/path_config_connection.go: a partial write merges with what is there */
async function write(call: Call<{ name: string }>, state: DatabaseState): Promise<Reply> {
  const { name } = call.input
  const { view, world } = state.parts
  return inTurn(state, `config/${name}`, async () => {
    const before = await view.get(configEntries.key(name))
    const config = merged(call.body, before, world.entropy.uuid(), state)
    const connection = await state
      .driverOf(config.pluginName)
      .connect(config, world)
      .catch((error: unknown) => {
        if (!(error instanceof DatabaseFailure)) throw error
        throw fault('request.invalid', `error creating database object: ${textOf(error)}`)
      })
    try {
      if (config.verifyConnection) await connection.verify(call.signal)
    } catch (error) {
      throw fault('request.invalid', `error creating database object: error verifying connection: ${textOf(error)}`)
    } finally {
      await connection.close()
    }
    await view.commit([put(configEntries.key(name), config)])
    await state.connections.forget(name)
    tell(state, 'config-write', `config/${name}`, `config/${name}`)
    const url = config.details['connection_url']
    const isOpen = typeof url === 'string' && passwordInUrl.test(url) && !isTemplate(url)
    return isOpen ? { ...empty, warnings: [openPasswordWarning] } : empty
  })
}

const openPasswordWarning =
  'Password found in connection_url, use a templated url to enable root rotation and prevent read access to password information.'

function merged(body: JsonObject, before: Config | null, generation: string, state: DatabaseState): Config {
  const { input, sent, unknown } = parsed(body)
  const keep = <T>(key: keyof Own, value: T, kept: T | undefined): T =>
    sent.has(key) || kept === undefined ? value : kept
  const pluginName = keep('plugin_name', input.plugin_name, before?.pluginName)
  if (pluginName === '') throw fault('request.invalid', 'empty plugin name')
  const driver = state.driverOf(pluginName)
  const details: Record<string, Json> = { ...before?.details }
  for (const key of unknown) {
    if (enterpriseOnly.includes(key) && isSet(body[key]!))
      throw fault('request.invalid', `"${key}" is not supported: rotate by rotate-root/:name from a timer of yours`)
    details[key] = body[key]!
  }
  const sentPassword = details['password']
  delete details['password']
  for (const key of ['username', 'password'] as const) {
    const value = key === 'password' ? sentPassword : details[key]
    if (typeof value === 'string' && isTemplate(value))
      throw fault('request.invalid', 'username and/or password cannot contain the template variables')
  }
  if (driver.needsUrl && (details['connection_url'] ?? '') === '')
    throw fault('request.invalid', 'error creating database object: connection_url cannot be empty')
  return {
    pluginName,
    pluginVersion: keep('plugin_version', input.plugin_version, before?.pluginVersion),
    verifyConnection: keep('verify_connection', input.verify_connection, before?.verifyConnection),
    allowedRoles: keep('allowed_roles', input.allowed_roles, before?.allowedRoles),
    rootRotationStatements: keep(
      'root_rotation_statements',
      input.root_rotation_statements,
      before?.rootRotationStatements,
    ),
    passwordPolicy: keep('password_policy', input.password_policy, before?.passwordPolicy),
    details,
    password: typeof sentPassword === 'string' ? sentPassword : (before?.password ?? ''),
    pendingPassword: typeof sentPassword === 'string' ? null : (before?.pendingPassword ?? null),
    generation,
  }
}

function shown(config: Config, state: DatabaseState): Json {
  const { hidden } = state.driverOf(config.pluginName)
  const details: Record<string, Json> = {}
  for (const [key, value] of Object.entries(config.details)) {
    if (hidden.includes(key)) continue
    details[key] =
      key === 'connection_url' && typeof value === 'string' && !isTemplate(value)
        ? value.replace(passwordInUrl, '$1xxxxx$3')
        : value
  }
  return {
    plugin_name: config.pluginName,
    plugin_version: config.pluginVersion,
    connection_details: details,
    allowed_roles: config.allowedRoles,
    root_credentials_rotate_statements: config.rootRotationStatements,
    password_policy: config.passwordPolicy,
    verify_connection: config.verifyConnection,
  }
}

const name = captured('Name of the connection.')

export const configRows = [
  namesRow<DatabaseState>('config', configEntries, 'Names of all connections.'),
  row({
    path: 'config/:name',
    fields: { name },
    body: 'own',
    exists: async ({ input }, { parts }) => (await parts.view.get(configEntries.key(input.name))) !== null,
    operations: {
      read: {
        access: 'policy',
        summary: 'A connection, without its password.',
        async handler({ input }, state) {
          const config = await state.parts.view.get(configEntries.key(input.name))
          return config === null ? missing : { kind: 'data', data: shown(config, state) }
        },
      },
      update: { access: 'policy', summary: 'Write a connection.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete a connection; its leases can not be revoked without it.',
        async handler({ input }, state) {
          await state.parts.view.commit([drop(configEntries.key(input.name))])
          await state.connections.forget(input.name)
          tell(state, 'config-delete', `config/${input.name}`, `config/${input.name}`)
          return empty
        },
      },
    },
    help: {
      synopsis: 'How a database is reached, and which roles may use it.',
      description:
        'plugin_name, connection_url with {{username}} and {{password}}, username, password, allowed_roles, …',
    },
  }),
  row({
    path: 'reset/:name',
    fields: { name },
    operations: {
      update: {
        access: 'policy',
        summary: 'Close and open a connection anew.',
        async handler({ input, signal }, state) {
          await state.connections.forget(input.name)
          await state.connections
            .use(input.name, signal, ({ connection }) => connection.verify(signal))
            .catch(error => {
              throw failed('', error)
            })
          tell(state, 'reset', `reset/${input.name}`)
          return empty
        },
      },
    },
    help: { synopsis: 'Close and open a connection anew.', description: '' },
  }),
  row({
    path: 'rotate-root/:name',
    fields: { name },
    operations: {
      update: {
        access: 'policy',
        summary: "Give the connection's account a password that nobody knows.",
        async handler({ input, signal }, state) {
          await rotateRoot(input.name, state, signal)
          return empty
        },
      },
    },
    help: {
      synopsis: "Give the connection's account a password that nobody knows.",
      description: 'There is no way back: make the account for this server alone.',
    },
  }),
]

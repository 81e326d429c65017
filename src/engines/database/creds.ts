import { type Instant, instant, type Seconds } from '#ground/base/clock.ts'
import { captured } from '#ground/fields/kit.ts'
import { TemplateError } from '#ground/template/errors.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import type { Granted, Held } from '#backend/engine.ts'
import { parseNameTemplate } from '#backend/name-template.ts'
import type { Reply } from '#backend/reply.ts'
import { Fault, fault } from '#protocol/fault.ts'
import { driverOf } from './connections.ts'
import { checkAllowed } from './static-role.ts'
import { type Config, type Role, roleEntries } from './entries.ts'
import { type DatabaseState, failed, newPassword, row } from './state.ts'

export const secretType = 'creds'
export const intentKind = 'user'

/** What is known of an account wherever it must be found again. */
type Made = {
  readonly username: string
  readonly role: string
  readonly dbName: string
  readonly revocation: readonly string[]
}

/** The database ends an account by itself a little later than the server does, in ms. */
const leewayMs = 5_000

/** @source openbao builtin/logical/database/path_creds_create.go: the order of the steps, and each text */
async function make(call: Call<{ name: string }>, state: DatabaseState): Promise<Reply> {
  const { name } = call.input
  const { view, mount, world } = state.parts
  const role = await view.get(roleEntries.key(name))
  if (role === null) throw fault('request.invalid', `unknown role: ${name}`)
  await checkAllowed(name, role.dbName, state)
  const { connection, config } = await opened(role.dbName, call.signal, state)
  if (role.creationStatements.length === 0 && driverOf(config.pluginName).needsCreationStatements)
    throw failed('', new Error('empty creation statements'))
  const username = usernameFor(config, name, call.caller?.displayName ?? '', state)
  const password = await newPassword(state.parts, role.passwordPolicy || config.passwordPolicy)
  const ttl = ttlOf(role, mount.defaultTtl(), mount.maxTtl())
  const made: Made = { username, role: name, dbName: role.dbName, revocation: role.revocationStatements }
  const settles = await view.intend(intentKind, made)
  const user = {
    username,
    password,
    expiresAt: instant(world.clock.now() + ttl * 1000 + leewayMs),
    statements: role.creationStatements,
    rollback: role.rollbackStatements,
  }
  try {
    await connection.createUser(user, call.signal)
  } catch (error) {
    throw failed('', error)
  }
  return {
    kind: 'lease',
    secretType,
    data: { username, password },
    internal: made,
    ttl: role.defaultTtl,
    maxTtl: role.maxTtl,
    renewable: true,
    settles,
  }
}

async function opened(dbName: string, signal: AbortSignal, state: DatabaseState) {
  try {
    return await state.connections.of(dbName, signal)
  } catch (error) {
    throw error instanceof Fault ? error : failed('', error)
  }
}

function usernameFor(config: Config, roleName: string, displayName: string, { parts }: DatabaseState): string {
  const own = config.details['username_template']
  const text = typeof own === 'string' && own !== '' ? own : driverOf(config.pluginName).usernameTemplate
  try {
    const fields = { DisplayName: displayName, RoleName: roleName }
    return parseNameTemplate(parts.world, text).generate('dbplugin.UsernameMetadata', fields)
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error
    throw failed('failed to generate username', error)
  }
}

/** As the core will grant it: what the database is told must not end before it. */
function ttlOf(role: Role, mountDefault: Seconds, mountMax: Seconds): number {
  const asked = role.defaultTtl || mountDefault
  const max = role.maxTtl > 0 ? Math.min(role.maxTtl, mountMax) : mountMax
  return Math.min(asked, max)
}

export async function renew(held: Held, state: DatabaseState): Promise<Granted> {
  const made = held.internal as unknown as Made
  const role = await state.parts.view.get(roleEntries.key(made.role))
  if (role === null) {
    throw fault('request.invalid', `error during renew: could not find role with name "${made.role}"`)
  }
  const { mount, world } = state.parts
  const max = role.maxTtl > 0 ? Math.min(role.maxTtl, mount.maxTtl()) : mount.maxTtl()
  const asked = held.increment || role.defaultTtl || mount.defaultTtl()
  const end: Instant = instant(Math.min(world.clock.now() + asked * 1000, held.issuedAt + max * 1000))
  const { connection } = await state.connections.of(made.dbName, held.signal)
  const user = { username: made.username, expiresAt: instant(end + leewayMs), statements: role.renewStatements }
  await connection.extendUser(user, held.signal)
  return { ttl: held.increment || role.defaultTtl, maxTtl: role.maxTtl }
}

/** By the statements of the role as it is now; by those of the time when the role is gone. */
async function drop(made: Made, state: DatabaseState, signal: AbortSignal): Promise<void> {
  const role = await state.parts.view.get(roleEntries.key(made.role))
  const { connection } = await state.connections.of(made.dbName, signal)
  const statements = role?.revocationStatements ?? made.revocation
  await connection.dropUser({ username: made.username, statements }, signal)
}

export const revoke = (held: Held, state: DatabaseState): Promise<void> =>
  drop(held.internal as unknown as Made, state, held.signal)

/** An account that no lease names: made or not, it is gone after this. */
export const undo = (entry: Json, state: DatabaseState, signal: AbortSignal): Promise<void> =>
  drop(entry as unknown as Made, state, signal)

export const credsRow = row({
  path: 'creds/:name',
  fields: { name: captured('Name of the role.') },
  role: ({ input }) => input.name,
  operations: {
    read: { access: 'policy', leases: true, summary: 'An account of its own, until its lease ends.', handler: make },
  },
  help: { synopsis: 'An account of its own, until its lease ends.', description: '' },
})

import { instant, type Seconds } from '#ground/base/clock.ts'
import { captured } from '#ground/fields/kit.ts'
import { TemplateError } from '#ground/template/errors.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import type { Granted, Held } from '#backend/engine.ts'
import { parseNameTemplate } from '#backend/name-template.ts'
import type { Reply } from '#backend/reply.ts'
import type { IntentId } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import type { InUse } from './connections.ts'
import { type Issued, issue } from './credential.ts'
import { DatabaseFailure, detail, type NewUser } from './driver.ts'
import { type Role, roleEntries } from './entries.ts'
import { type DatabaseState, failed, row, textOf, tell } from './state.ts'
import { checkAllowed } from './static-role.ts'

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
  const role = await state.parts.view.get(roleEntries.key(name))
  if (role === null) throw fault('request.invalid', `unknown role: ${name}`)
  await checkAllowed(name, role.dbName, state)
  try {
    const reply = await state.connections.use(role.dbName, call.signal, use => makeWith(use, name, role, call, state))
    tell(state, 'creds-create', `creds/${name}`)
    return reply
  } catch (error) {
    throw failed('', error)
  }
}

async function makeWith(use: InUse, name: string, role: Role, call: Call, state: DatabaseState): Promise<Reply> {
  const { mount, world, view } = state.parts
  const { driver, config } = use
  const kind = role.credential.kind
  if (!driver.credentials.includes(kind)) throw fault('request.invalid', `unsupported credential_type: "${kind}"`)
  if (role.creationStatements.length === 0 && driver.needsCreationStatements)
    throw failed('', new Error('empty creation statements'))
  const displayName = call.caller?.displayName ?? ''
  const expiresAt = instant(world.clock.now() + ttlOf(role, mount.defaultTtl(), mount.maxTtl()) * 1000 + leewayMs)
  const username = usernameFor(use, name, displayName, state)
  const ask = { username, displayName, roleName: name, expiresAt, passwordPolicy: config.passwordPolicy }
  const issued = await issue(role.credential, ask, state.parts)
  checkLength(issued.username, driver.usernameBytesMax)
  const key = `${role.dbName}/${issued.username}`
  if (state.making.has(key)) throw failed('', new Error('an account of that name is being made already'))
  state.making.add(key)
  try {
    // What is there is somebody else's: it must neither be changed, nor be removed as if we had made it.
    if (await use.connection.exists(issued.username, call.signal))
      throw failed('', new Error('an account of the name that username_template gave exists already'))
    const made: Made = {
      username: issued.username,
      role: name,
      dbName: role.dbName,
      revocation: role.revocationStatements,
    }
    const settles = await view.intend(intentKind, made)
    await create(use, role, { ...issued, expiresAt, statements: role.creationStatements }, settles, state)
    return {
      kind: 'lease',
      secretType,
      data: issued.shown,
      internal: made,
      ttl: role.defaultTtl,
      maxTtl: role.maxTtl,
      renewable: true,
      settles,
    }
  } finally {
    state.making.delete(key)
  }
}

/**
 * Makes the account, not to be broken off by the client's going: the intent would have to wait. What the database refused
 * is cleaned up at once; where no answer came, it is the intent's to find out later.
 */
async function create(
  { connection }: InUse,
  role: Role,
  user: NewUser & Issued,
  intent: IntentId,
  { parts }: DatabaseState,
): Promise<void> {
  const { signal, log } = parts.world
  try {
    await connection.createUser(user, signal)
  } catch (error) {
    if (!(error instanceof DatabaseFailure)) throw error
    const { username } = user
    try {
      if (error.kind === 'refused') {
        const statements = role.rollbackStatements.length > 0 ? role.rollbackStatements : role.revocationStatements
        await connection.dropUser({ username, statements }, signal)
      }
      if (error.kind !== 'unknown') await parts.view.commit([], { settles: intent })
    } catch (problem) {
      log.warn('what a failed creation left behind could not be removed yet', { username, error: problem })
    }
    throw error
  }
}

function usernameFor(use: InUse, roleName: string, displayName: string, { parts }: DatabaseState): string {
  const text = detail(use.config.details, 'username_template') || use.driver.usernameTemplate
  try {
    const fields = { DisplayName: displayName, RoleName: roleName }
    return parseNameTemplate(parts.world, text).generate('dbplugin.UsernameMetadata', fields)
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error
    throw failed('failed to generate username', error)
  }
}

function checkLength(username: string, bytesMax: number | null): void {
  if (username === '') throw failed('', new Error('username_template gave an empty name'))
  if (bytesMax === null || Buffer.byteLength(username) <= bytesMax) return
  throw failed(
    '',
    new Error(`username_template gave a name of more than ${bytesMax} bytes, which the database would cut`),
  )
}

/** As the core will grant it: what the database is told must not end before it. */
function ttlOf(role: Role, mountDefault: Seconds, mountMax: Seconds): number {
  const asked = role.defaultTtl || mountDefault
  const max = role.maxTtl > 0 ? Math.min(role.maxTtl, mountMax) : mountMax
  return Math.min(asked, max)
}

/** @source openbao vault/expiration.go: what an engine says of a renewal is the answer, as 400 */
export async function renew(held: Held, state: DatabaseState): Promise<Granted> {
  try {
    return await extend(held, state)
  } catch (error) {
    if (held.signal.aborted) throw error
    throw fault('request.invalid', `failed to renew entry: resp: (*logical.Response)(nil) err: ${textOf(error)}`)
  }
}

async function extend(held: Held, state: DatabaseState): Promise<Granted> {
  const made = held.internal as unknown as Made
  const role = await state.parts.view.get(roleEntries.key(made.role))
  if (role === null) throw new Error(`error during renew: could not find role with name "${made.role}"`)
  const { mount, world } = state.parts
  const max = role.maxTtl > 0 ? Math.min(role.maxTtl, mount.maxTtl()) : mount.maxTtl()
  const asked = held.increment || role.defaultTtl || mount.defaultTtl()
  const end = Math.min(world.clock.now() + asked * 1000, held.issuedAt + max * 1000)
  const user = {
    username: made.username,
    expiresAt: instant(end + leewayMs),
    statements: role.renewStatements,
  }
  // Past its maximum the core refuses; the database isn't told anything.
  if (end > world.clock.now())
    await state.connections.use(made.dbName, held.signal, ({ connection }) => connection.extendUser(user, held.signal))
  return { ttl: held.increment || role.defaultTtl, maxTtl: role.maxTtl }
}

/** By the statements of the role as it is now; by those of the time when the role is gone. */
async function drop(made: Made, state: DatabaseState, signal: AbortSignal): Promise<void> {
  const role = await state.parts.view.get(roleEntries.key(made.role))
  const statements = role?.revocationStatements ?? made.revocation
  const user = { username: made.username, statements }
  await state.connections.use(made.dbName, signal, ({ connection }) => connection.dropUser(user, signal))
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

import { type Instant, instant } from '#ground/base/clock.ts'
import { drop, put } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import { credentialOf, makeMaterial } from './credential.ts'
import { DatabaseFailure, detail } from './driver.ts'
import { configEntries, type StaticRole, staticRoleEntries } from './entries.ts'
import { parseSchedule } from './schedule.ts'
import { type DatabaseState, failed, inTurn, newPassword, tell } from './state.ts'

export const rotateAlarm = 'rotate'

/** Begun and not finished: looked at again after this, ms. @source openbao rotation.go, the queue's retry */
const retryMs = 10_000
/** Looked at again a year later where a schedule never fits. */
const neverMs = 366 * 86_400_000

/** When a role that was rotated at a time is due next. */
export function nextRotation(role: Pick<StaticRole, 'rotationPeriod' | 'rotationSchedule'>, from: Instant): Instant {
  if (role.rotationSchedule === '') return instant(from + role.rotationPeriod * 1000)
  return parseSchedule(role.rotationSchedule).next(from) ?? instant(from + neverMs)
}

/**
 * A new password for the connection's own account. It is written down before the database is told, so that at every
 * moment one of those that are kept is right. @source openbao builtin/logical/database/path_rotate_credentials.go
 */
export function rotateRoot(name: string, state: DatabaseState, signal: AbortSignal): Promise<void> {
  const { view, world } = state.parts
  const key = configEntries.key(name)
  return inTurn(state, `config/${name}`, async () => {
    if ((await view.get(key)) === null)
      throw fault('backend.failed', `failed to find entry for connection with name: "${name}"`)
    try {
      await state.connections.use(name, signal, async ({ connection, config }) => {
        const username = detail(config.details, 'username')
        if (username === '') throw new Error('no username in configuration')
        if (config.password === '') throw new Error('no password in configuration')
        // One that was meant before may be in force already, or be so soon: no other one can be given safely.
        const password = config.pendingPassword ?? (await newPassword(state.parts, config.passwordPolicy))
        await view.update(key, now =>
          now === null ? { result: null } : { entry: { ...now, pendingPassword: password }, result: null },
        )
        const statements = config.rootRotationStatements
        // Not broken off by the client's going.
        await connection.setCredential(
          { username, credential: { kind: 'password', password }, statements },
          world.signal,
        )
        const generation = world.entropy.uuid()
        await view.update(key, now =>
          now === null
            ? { result: null }
            : { entry: { ...now, password, pendingPassword: null, generation }, result: null },
        )
      })
      tell(state, 'root-rotate', `rotate-root/${name}`, `config/${name}`)
    } catch (error) {
      tell(state, 'root-rotate-fail', `rotate-root/${name}`)
      throw failed('unable to rotate root credentials', error)
    } finally {
      await state.connections.forget(name)
    }
  })
}

/** A new credential for the account of a static role, now. */
export const rotateNow = (name: string, state: DatabaseState): Promise<void> =>
  inTurn(state, `static-role/${name}`, async () => {
    const role = await state.parts.view.get(staticRoleEntries.key(name))
    if (role !== null) await rotateAndTell(name, role, state)
  })

/** What is due, or was begun. What fails is asked for again by the core, further and further apart, also after a restart. */
export function onAlarm(name: string, state: DatabaseState): Promise<void> {
  const { view, world } = state.parts
  return inTurn(state, `static-role/${name}`, async () => {
    const role = await view.get(staticRoleEntries.key(name))
    if (role === null) return
    const now = world.clock.now()
    if (role.pending === null && now < role.nextAt) return
    const isLate = role.rotationWindow > 0 && now > role.nextAt + role.rotationWindow * 1000
    if (role.pending !== null || !isLate) return rotateAndTell(name, role, state)
    const nextAt = nextRotation(role, now)
    world.log.warn('a rotation was not done within its window; it waits for the next', { role: name, at: nextAt })
    await keep(name, { ...role, nextAt }, nextAt, state)
  })
}

const keep = (name: string, role: StaticRole, at: Instant, { parts }: DatabaseState): Promise<void> =>
  parts.view.commit([put(staticRoleEntries.key(name), role)], { alarms: [{ kind: rotateAlarm, id: name, at }] })

/**
 * Begun again, it gives the credential that was meant before: at every moment that is in force which is kept as the
 * current or as the pending one. Only within the role's turn.
 */
async function rotate(name: string, role: StaticRole, state: DatabaseState): Promise<void> {
  const { world } = state.parts
  await state.connections.use(role.dbName, world.signal, async ({ connection, config, driver }) => {
    if (!driver.credentials.includes(role.credential.kind))
      throw fault('request.invalid', `unsupported credential_type: "${role.credential.kind}"`)
    const isSameKind = role.pending?.kind === role.credential.kind
    const pending =
      role.pending !== null && isSameKind
        ? role.pending
        : await makeMaterial(role.credential, config.passwordPolicy, state.parts)
    const begun: StaticRole = { ...role, pending }
    // Should this process end now, the alarm finishes it.
    await keep(name, begun, instant(world.clock.now() + retryMs), state)
    const { username, rotationStatements: statements } = role
    await connection.setCredential({ username, credential: credentialOf(pending), statements }, world.signal)
    const rotatedAt = world.clock.now()
    const nextAt = nextRotation(role, rotatedAt)
    await keep(name, { ...begun, current: pending, pending: null, rotatedAt, nextAt }, nextAt, state)
  })
}

async function rotateAndTell(name: string, role: StaticRole, state: DatabaseState): Promise<void> {
  try {
    await rotate(name, role, state)
  } catch (error) {
    tell(state, 'rotate-fail', `rotate-role/${name}`)
    throw error
  }
  tell(state, 'rotate', `rotate-role/${name}`, `static-creds/${name}`)
}

/**
 * A role that is new or was changed. The first rotation belongs to the creation: a role whose account the database
 * refuses isn't kept; one where no answer came is, since its new password may be in force.
 */
export function keepStatic(
  name: string,
  change: (now: StaticRole | null) => { role: StaticRole; rotates: boolean },
  state: DatabaseState,
): Promise<void> {
  const { view } = state.parts
  const key = staticRoleEntries.key(name)
  return inTurn(state, `static-role/${name}`, async () => {
    const before = await view.get(key)
    const { role, rotates } = change(before)
    const path = `static-roles/${name}`
    if (!rotates) {
      await keep(name, role, role.pending === null ? role.nextAt : state.parts.world.clock.now(), state)
      return tell(state, 'static-role-update', path, path)
    }
    try {
      await rotate(name, role, state)
      tell(state, before === null ? 'static-role-create' : 'static-role-update', path, path)
      tell(state, 'static-creds-create', path, `static-creds/${name}`)
    } catch (error) {
      tell(state, 'static-creds-create-fail', path)
      const isOpen = error instanceof DatabaseFailure && error.kind === 'unknown'
      if (!isOpen) await view.commit([drop(key)], { alarms: [{ kind: rotateAlarm, id: name, at: null }] })
      throw failed('error setting credentials', error)
    }
  })
}

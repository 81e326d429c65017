import { instant } from '#ground/base/clock.ts'
import { drop, put } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import { configEntries, type StaticRole, staticRoleEntries } from './entries.ts'
import { type DatabaseState, failed, inTurn, newPassword } from './state.ts'

export const rotateAlarm = 'rotate'

/**
 * A new password for the connection's own account. It is written down before the database is told, so that at every
 * moment one of those that are kept is right. @source openbao builtin/logical/database/path_rotate_credentials.go
 */
export function rotateRoot(name: string, state: DatabaseState, signal: AbortSignal): Promise<void> {
  const { view, world } = state.parts
  const key = configEntries.key(name)
  return inTurn(state, `config/${name}`, async () => {
    const { connection, config } = await state.connections.of(name, signal)
    const username = config.details['username']
    if (typeof username !== 'string' || username === '')
      throw fault('backend.failed', 'unable to rotate root credentials: no username in configuration')
    if (config.password === '')
      throw fault('backend.failed', 'unable to rotate root credentials: no password in configuration')
    const password = await newPassword(state.parts, config.passwordPolicy)
    await view.update(key, now => ({ entry: { ...now!, pendingPassword: password }, result: undefined }))
    try {
      await connection.setPassword({ username, password, statements: config.rootRotationStatements }, signal)
    } catch (error) {
      // Which of the two is right is found out at the next use.
      await view.update(key, now => ({ entry: { ...now!, generation: world.entropy.uuid() }, result: undefined }))
      throw failed('unable to rotate root credentials', error)
    }
    await view.update(key, now => ({
      entry: { ...now!, password, pendingPassword: null, generation: world.entropy.uuid() },
      result: undefined,
    }))
    await state.connections.forget(name)
  })
}

/** A new password for the account of a static role; begun again, it gives the one that was meant before. */
export function rotateStatic(name: string, state: DatabaseState, signal: AbortSignal): Promise<void> {
  const { view } = state.parts
  const key = staticRoleEntries.key(name)
  return inTurn(state, `static-role/${name}`, async () => {
    const role = await view.get(key)
    if (role === null) return
    const password = role.pendingPassword ?? (await newPassword(state.parts, role.passwordPolicy))
    await view.update(key, now => ({ entry: { ...now!, pendingPassword: password }, result: undefined }))
    const { connection } = await state.connections.of(role.dbName, signal)
    const { username, rotationStatements: statements } = role
    await connection.setPassword({ username, password, statements }, signal)
    const rotatedAt = state.parts.world.clock.now()
    await view.commit([put(key, { ...role, password, pendingPassword: null, rotatedAt })], {
      alarms: [{ kind: rotateAlarm, id: name, at: instant(rotatedAt + role.rotationPeriod * 1000) }],
    })
  })
}

/** The first rotation belongs to the creation: a role whose account can't be changed isn't kept. */
export async function createStatic(
  name: string,
  role: StaticRole,
  state: DatabaseState,
  signal: AbortSignal,
): Promise<void> {
  const key = staticRoleEntries.key(name)
  const retryAt = instant(state.parts.world.clock.now() + role.rotationPeriod * 1000)
  await state.parts.view.commit([put(key, role)], { alarms: [{ kind: rotateAlarm, id: name, at: retryAt }] })
  try {
    await rotateStatic(name, state, signal)
  } catch (error) {
    await state.parts.view.commit([drop(key)], { alarms: [{ kind: rotateAlarm, id: name, at: null }] })
    throw failed('error setting credentials', error)
  }
}

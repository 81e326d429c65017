import { drop, put, type Write } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import { roleIdKey, roleKey, type Role } from './entries.ts'
import type { ApproleState } from './state.ts'

/**
 * Changes a role as it is now, null when there is none. Role and index of its id are one commit.
 * @throws Fault when the role would let in whoever knows its id, or the id is another's.
 */
export function changeRole(state: ApproleState, name: string, change: (now: Role | null) => Role): Promise<Role> {
  const { view } = state.parts
  return state.writing.run(async () => {
    const now = await view.get(roleKey(name))
    const role = change(now)
    requireConstraint(role)
    const writes: Write[] = [put(roleKey(name), role)]
    if (now?.roleId !== role.roleId) {
      if ((await view.get(roleIdKey(role.roleId))) !== null) throw fault('backend.failed', 'role_id already in use')
      writes.push(put(roleIdKey(role.roleId), { name }))
      if (now !== null) writes.push(drop(roleIdKey(now.roleId)))
    }
    await view.commit(writes)
    return role
  })
}

function requireConstraint({ bindSecretId, secretIdBoundCidrs, stored }: Role): void {
  if (bindSecretId || secretIdBoundCidrs.length > 0 || stored.parameters.boundCidrs.length > 0) return
  throw fault('backend.failed', 'at least one constraint should be enabled on the role')
}

/** From then on none of its secret ids is worth anything; their entries go in the background, however many they are. */
export function deleteRole(state: ApproleState, name: string): Promise<void> {
  const { view, world } = state.parts
  return state.writing.run(async () => {
    const now = await view.get(roleKey(name))
    if (now === null) return
    const alarms = [{ kind: 'forget', id: now.uid, at: world.clock.now() }]
    await view.commit([drop(roleKey(name)), drop(roleIdKey(now.roleId))], { alarms })
  })
}

/** Who has the role id; null when nobody has. Takes two reads, whoever is asked for. */
export async function findRole(state: ApproleState, roleId: string): Promise<{ name: string; role: Role } | null> {
  const { view } = state.parts
  const found = await view.get(roleIdKey(roleId))
  // No role can have such a name.
  const role = await view.get(roleKey(found?.name ?? '-'))
  // Between the two reads it may have got another.
  return found === null || role === null || role.roleId !== roleId ? null : { name: found.name, role }
}

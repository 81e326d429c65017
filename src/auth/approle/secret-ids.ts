import { type Instant, instant, type Seconds } from '#ground/base/clock.ts'
import { drop, put } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import {
  accessorEntries,
  accessorKey,
  hmacOf,
  type Owner,
  type Role,
  roleKey,
  type SecretId,
  secretIdEntries,
  secretIdKey,
} from './entries.ts'
import type { ApproleState } from './state.ts'

/** Longer ones are refused when they are made, and are nobody's at a login. @source openbao approle/validation.go */
export const secretIdBytesMax = 4096

const alarmOf = ({ uid }: Pick<Owner, 'uid'>, hmac: string, at: Instant | null) => ({
  kind: 'secret-id',
  id: `${uid}/${hmac}`,
  at,
})

const isOver = ({ expiresAt }: SecretId, now: Instant): boolean => expiresAt !== null && expiresAt <= now

/** What a secret id may live: the mount's maximum bounds it. 0 = without end. */
export function boundedTtl(ttl: Seconds, { parts }: ApproleState): Seconds {
  const max = parts.mount.maxTtl()
  return ttl > max ? max : ttl
}

export type Draft = Pick<SecretId, 'numUses' | 'ttl' | 'metadata' | 'cidrList' | 'tokenBoundCidrs'>

/**
 * Keeps a secret id for a role that is still the same in the commit that does so.
 * @param role `isChosen`: somebody thought the secret id up, so that it may be there already.
 */
export function register(
  state: ApproleState,
  role: { name: string; owner: Role; isChosen: boolean },
  secretId: string,
  draft: Draft,
): Promise<SecretId> {
  const { view, world } = state.parts
  const hmac = hmacOf(role.owner, secretId)
  const keep = (): Promise<SecretId> => {
    const now = world.clock.now()
    const ttl = boundedTtl(draft.ttl, state)
    const expiresAt = ttl === 0 ? null : instant(now + ttl * 1000)
    const entry = { ...draft, accessor: world.entropy.uuid(), createdAt: now, updatedAt: now, expiresAt }
    const also = [put(secretIdKey(role.owner, hmac), entry), put(accessorKey(role.owner, entry.accessor), { hmac })]
    return view.update(roleKey(role.name), found => {
      if (found?.uid !== role.owner.uid) throw noRole(role.name)
      const effects = { alarms: expiresAt === null ? [] : [alarmOf(role.owner, hmac, expiresAt)] }
      return { also, effects, result: entry }
    })
  }
  if (!role.isChosen) return keep()
  return state.writing.run(async () => {
    const there = await view.get(secretIdKey(role.owner, hmac))
    if (there !== null && !isOver(there, world.clock.now())) {
      throw fault('backend.failed', 'failed to store secret_id: SecretID is already registered')
    }
    await remove(state, role.owner, hmac)
    return keep()
  })
}

export const noRole = (name: string): Error => fault('route.unknown', `role "${name}" does not exist`)

/** The entry of a secret id that is still good. */
export async function find(state: ApproleState, owner: Owner, hmac: string): Promise<SecretId | null> {
  const entry = await state.parts.view.get(secretIdKey(owner, hmac))
  return entry === null || isOver(entry, state.parts.world.clock.now()) ? null : entry
}

/**
 * Takes one use of a secret id, durable when it resolves: of logins that come at once only as many get one as there
 * are. @returns null when it isn't good, for whatever reason.
 */
export async function spend(state: ApproleState, owner: Owner, secretId: string): Promise<SecretId | null> {
  const { view, world } = state.parts
  const hmac = Buffer.byteLength(secretId) > secretIdBytesMax ? '-' : hmacOf(owner, secretId)
  const found = await find(state, owner, hmac)
  if (found === null || found.numUses === 0) return found
  return view.update<SecretId, SecretId | null>(secretIdKey(owner, hmac), entry => {
    const now = world.clock.now()
    if (entry === null || isOver(entry, now)) return { result: null }
    if (entry.numUses > 1) {
      return { entry: { ...entry, numUses: entry.numUses - 1, updatedAt: now }, result: entry }
    }
    const also = [drop(accessorKey(owner, entry.accessor))]
    return { entry: null, also, effects: { alarms: [alarmOf(owner, hmac, null)] }, result: entry }
  })
}

/** It may be gone already. */
export function remove(state: ApproleState, owner: Pick<Owner, 'uid'>, hmac: string): Promise<void> {
  return state.parts.view.update(secretIdKey(owner, hmac), entry => {
    if (entry === null) return { result: undefined }
    const also = [drop(accessorKey(owner, entry.accessor))]
    return { entry: null, also, effects: { alarms: [alarmOf(owner, hmac, null)] }, result: undefined }
  })
}

/** Removes it if its end has come. */
export function expire(state: ApproleState, owner: Pick<Owner, 'uid'>, hmac: string): Promise<boolean> {
  const { view, world } = state.parts
  return view.update(secretIdKey(owner, hmac), entry => {
    if (entry === null || !isOver(entry, world.clock.now())) return { result: false }
    return { entry: null, also: [drop(accessorKey(owner, entry.accessor))], result: true }
  })
}

/** All secret ids of a role that is gone. */
export async function forget(uid: string, { parts: { view } }: ApproleState): Promise<void> {
  await view.purge(secretIdEntries, `${uid}/`)
  await view.purge(accessorEntries, `${uid}/`)
}

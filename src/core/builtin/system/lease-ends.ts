import type { Leases, RevokeResult } from '#core/leases/leases.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import { fault } from '#protocol/fault.ts'
import { findTokenLease, tokenLeasesBelow } from './token-leases.ts'

type Rooms = { readonly leases: Leases; readonly tokens: Tokens }

/** @throws Fault when it can't be revoked now; it is tried again by itself. */
export async function endOne(
  { leases, tokens }: Rooms,
  id: string,
  isSync: boolean,
  signal: AbortSignal,
): Promise<void> {
  const token = await findTokenLease(tokens, id)
  if (token !== null) return tokens.revoke(token.key)
  if (!isSync) return leases.expire(id)
  const result = await leases.revoke(id, signal)
  if (result.kind !== 'revoked') throw fault('request.invalid', `failed to revoke entry: ${result.error}`)
}

export type EndBelow = {
  /** What can't be revoked is forgotten: its account may stay behind. */
  readonly isForced: boolean
  /** Wait until they are gone; else they are only marked, durably, and end by themselves. */
  readonly isSync: boolean
  readonly signal: AbortSignal
}

/**
 * Ends every lease and token below a path, or the one lease that it names. Those that can't be revoked don't keep the
 * others from it. Broken off, it has done a part, and another call goes on.
 * @throws Fault that counts what could not be revoked, or 503 when the time was too short: clients call again by
 * themselves
 */
export async function endBelow(rooms: Rooms, prefix: string, ask: EndBelow): Promise<void> {
  const { leases, tokens } = rooms
  if (!prefix.endsWith('/') && (await isOne(rooms, prefix))) return endNamed(rooms, prefix, ask)
  const folder = prefix.endsWith('/') ? prefix : `${prefix}/`
  let ended = 0
  const failures: Extract<RevokeResult, { kind: 'failed' | 'irrevocable' }>[] = []
  try {
    for await (const { key } of tokenLeasesBelow(tokens, folder)) {
      ask.signal.throwIfAborted()
      await tokens.revoke(key)
      ended++
    }
    if (!ask.isSync) return await leases.expireBelow(folder, ask.signal)
    await leases.endBelow(folder, ask.signal, result => {
      if (result.kind === 'revoked') ended++
      else failures.push(result)
    })
  } catch (error) {
    if (!ask.signal.aborted) throw error
    throw fault('server.unready', `${ended} leases were revoked in the time of a request; call again to go on`)
  }
  if (ask.isForced) for (const { entry } of failures) await leases.forget(entry.id)
  else if (failures.length > 0) {
    const { entry, error } = failures[0]!
    throw fault(
      'request.invalid',
      `failed to revoke "${entry.id}" (${failures.length} of ${failures.length + ended}): ${error}`,
    )
  }
}

const isOne = async ({ leases, tokens }: Rooms, id: string): Promise<boolean> =>
  (await leases.get(id)) !== null || (await findTokenLease(tokens, id)) !== null

async function endNamed(rooms: Rooms, id: string, { isForced, isSync, signal }: EndBelow): Promise<void> {
  try {
    await endOne(rooms, id, isSync, signal)
  } catch (error) {
    if (!isForced) throw error
    await rooms.leases.forget(id)
  }
}

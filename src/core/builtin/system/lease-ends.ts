import type { Clock } from '#ground/base/clock.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { RevokeResult } from '#core/leases/entry.ts'
import type { Leases } from '#core/leases/leases.ts'
import { nothingSwept, type Swept, sweep } from '#core/leases/sweep.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import { fault } from '#protocol/fault.ts'
import { findTokenLease, tokenLeasePage } from './token-leases.ts'

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

/** Some of what is asked for, so that one may see how far it is; the next call goes on behind it. */
export type Batch = {
  /** About how many. */
  readonly most: number
  /** `next` of the call before; empty: from the beginning. */
  readonly after: string
}

export type EndBelow = {
  /** What can't be revoked is forgotten: its account may stay behind. */
  readonly isForced: boolean
  /** Wait until they are gone; else they are only marked, durably, and end by themselves. */
  readonly isSync: boolean
  /** null: all. */
  readonly batch: Batch | null
  readonly clock: Pick<Clock, 'now'>
  readonly signal: AbortSignal
}

/** `next` null: nothing is left. */
export type Ended = Pick<Swept, 'ended' | 'failed' | 'first'> & { readonly next: string | null }

/** ms for which a batch begins with more, and that an engine then has: together less than clients wait by default. */
const batchMs = 15_000
const batchEngineMs = 30_000

/**
 * Ends every lease and token below a path, or the one lease that it names. Those that can't be revoked don't keep the
 * others from it. Broken off, it has done a part, and another call goes on.
 * @throws Fault 503 when the time was too short: clients call again by themselves
 */
export async function endBelow(rooms: Rooms, prefix: string, ask: EndBelow): Promise<Ended> {
  if (!prefix.endsWith('/') && (await isOne(rooms, prefix))) {
    await endNamed(rooms, prefix, ask)
    return { ended: 1, failed: 0, first: null, next: null }
  }
  const folder = prefix.endsWith('/') ? prefix : `${prefix}/`
  const swept = nothingSwept()
  try {
    return await sweepBoth(rooms, folder, ask, swept)
  } catch (error) {
    if (!ask.signal.aborted) throw error
    throw fault('server.unready', `${swept.ended} leases were revoked in the time of a request; call again to go on`)
  }
}

/** @throws Fault that counts what could not be revoked. */
export function checkEnded({ ended, failed, first }: Ended): void {
  if (first === null) return
  const text = `failed to revoke "${first.id}" (${failed} of ${failed + ended}): ${first.error}`
  throw fault('request.invalid', text)
}

const cursors = { token: 'token:', lease: 'lease:' } as const

async function sweepBoth(rooms: Rooms, folder: string, ask: EndBelow, swept: Swept): Promise<Ended> {
  const { leases } = rooms
  const { batch, clock, isForced, isSync, signal } = ask
  const from = batch?.after ?? ''
  if (from !== '' && !Object.values(cursors).some(kind => from.startsWith(kind))) {
    throw fault('request.invalid', '"after" must be the "next" of the call before')
  }
  const until = clock.now() + batchMs
  const isEnough = ({ ended, failed }: Swept): boolean =>
    batch !== null && (ended + failed >= batch.most || clock.now() >= until)
  if (!from.startsWith(cursors.lease)) {
    const next = await endTokens(rooms.tokens, folder, from.slice(cursors.token.length), { signal, isEnough, swept })
    if (next !== null) return { ...swept, next: cursors.token + next }
  }
  const end = async (id: string): Promise<RevokeResult | void> => {
    if (!isSync) return leases.expire(id)
    const result = await leases.revoke(id, signal, batch === null ? {} : { engineMs: batchEngineMs })
    if (!isForced || result.kind === 'revoked') return result
    return leases.forget(id)
  }
  const after = from.startsWith(cursors.lease) ? from.slice(cursors.lease.length) : null
  const { last, ...counts } = await sweep(leases, folder, { after, end, isEnough, signal }, swept)
  return { ...counts, next: last === null ? null : cursors.lease + last }
}

type TokenAsk = {
  readonly signal: AbortSignal
  readonly isEnough: (swept: Swept) => boolean
  readonly swept: Swept
}

/** Tokens are dead at once, and cost no system outside. @returns the key up to which all is done; null = all */
async function endTokens(
  tokens: Tokens,
  folder: string,
  from: string,
  { signal, isEnough, swept }: TokenAsk,
): Promise<TokenKey | null> {
  for (let after = from === '' ? null : (from as TokenKey); ; ) {
    const page = await tokenLeasePage(tokens, folder, after)
    for (const { key } of page.leases) {
      signal.throwIfAborted()
      await tokens.revoke(key)
      swept.ended++
    }
    if (page.next === null) return null
    after = page.next
    if (isEnough(swept)) return after
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

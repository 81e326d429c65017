import type { RevokeResult } from './entry.ts'

/** Ids in order, all below a prefix. */
export type LeaseIds = {
  below(prefix: string, after: string | undefined, limit: number): Promise<readonly string[]>
}

export type Failure = { readonly id: string; readonly error: string }

/** How far a sweep came. `last`: the lease up to which all is done; null: nothing is left. */
export type Swept = { ended: number; failed: number; first: Failure | null; last: string | null }

export type SweepAsk = {
  /** Go on behind this lease; null: from the beginning. */
  readonly after: string | null
  /** What is done with each, some at once; void: it is as good as gone. */
  readonly end: (id: string) => Promise<RevokeResult | void>
  /** Asked before each: true ends the sweep once those under way are done. */
  readonly isEnough: (swept: Swept) => boolean
  readonly signal: AbortSignal
}

/** At work at once: one dead system is not asked by a thousand. */
const width = 16
const pageSize = 100

/**
 * Ends the leases below a prefix that ends in `/` or is empty. Each is done for good before the next page is read, so
 * that it can be broken off and begun again. One that fails keeps no other from it.
 * @param swept filled while it goes on: what was done is there when it throws, too.
 * @throws what `end` throws, and the signal's reason; nothing is under way any more then.
 */
export async function sweep(
  leases: LeaseIds,
  prefix: string,
  ask: SweepAsk,
  swept: Swept = nothingSwept(),
): Promise<Swept> {
  swept.last = ask.after
  for (;;) {
    const ids = await leases.below(prefix, swept.last ?? undefined, pageSize)
    if (ids.length === 0) return Object.assign(swept, { last: null })
    const queue = [...ids]
    let last: string | undefined
    const crew = Array.from({ length: Math.min(width, queue.length) }, async () => {
      while (queue.length > 0) {
        ask.signal.throwIfAborted()
        if (ask.isEnough(swept)) return
        last = queue.shift()!
        note(swept, last, await ask.end(last))
      }
    })
    await allDone(crew, queue)
    if (last !== undefined) swept.last = last
    if (queue.length > 0) return swept
    // Other requests have their turn, also where nothing had to be waited for.
    await new Promise<void>(resolve => setImmediate(resolve))
  }
}

export const nothingSwept = (): Swept => ({ ended: 0, failed: 0, first: null, last: null })

function note(swept: Swept, id: string, result: RevokeResult | void): void {
  if (!result || result.kind === 'revoked') swept.ended++
  else {
    swept.failed++
    swept.first ??= { id, error: result.error }
  }
}

/** The first failure, told once nobody is at work any more. */
async function allDone(crew: readonly Promise<void>[], queue: string[]): Promise<void> {
  try {
    await Promise.all(crew)
  } catch (error) {
    queue.length = 0
    await Promise.allSettled(crew)
    throw error
  }
}

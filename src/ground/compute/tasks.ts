import type { Bytes } from '#ground/base/brand.ts'
import { bcryptHash, bcryptMatches } from '#ground/crypto/bcrypt.ts'

/**
 * What the compute workers can do: steps that would hold the main thread for more than 5 ms and that Node doesn't do
 * off it by itself (password hashes in JavaScript). The types of payload and result stand here once, for both sides.
 */
export const computeTasks = {
  /** Says that a worker is there. */
  ping: (payload: { readonly text: string }): string => payload.text,

  /** A new hash of a password. @param payload.salt 16 fresh bytes */
  bcryptHash: (payload: { readonly password: Bytes; readonly salt: Bytes; readonly cost: number }): string =>
    bcryptHash(payload.password, payload.salt, payload.cost),

  /** Is it the password of the hash? See `bcryptCheck`. */
  bcryptCheck,
}

/** @param payload.hash null: there is nobody with a password. */
type PasswordCheck = { readonly password: Bytes; readonly hash: string | null; readonly floor: number }

/**
 * A "no" takes as long as one hash of cost `floor`, whether there is a hash or not, and whatever its cost, so that the
 * time doesn't tell who exists. Only a hash dearer than `floor` takes longer.
 */
function bcryptCheck({ password, hash, floor }: PasswordCheck): boolean {
  if (hash !== null && bcryptMatches(password, hash)) return true
  const spent = hash === null ? null : Number(hash.slice(4, 6))
  // Each step of cost doubles the work: 2^c + (2^c + 2^(c+1) + … + 2^(floor-1)) = 2^floor.
  if (spent === null) bcryptHash(password, noSalt, floor)
  else for (let cost = spent; cost < floor; cost++) bcryptHash(password, noSalt, cost)
  return false
}

const noSalt = new Uint8Array(16)

export type ComputeTasks = typeof computeTasks

/** The pool as those see it who may only ask: what the server hands to engines as the service `compute`. */
export type Compute = {
  run<K extends keyof ComputeTasks>(
    task: K,
    payload: Parameters<ComputeTasks[K]>[0],
    signal?: AbortSignal,
  ): Promise<Awaited<ReturnType<ComputeTasks[K]>>>
}

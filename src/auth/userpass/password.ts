import { ComputeError } from '#ground/compute/pool.ts'
import { text } from '#ground/fields/kit.ts'
import { fault } from '#protocol/fault.ts'
import { type User, floorKey } from './user-entry.ts'
import type { UserpassState } from './state.ts'

/** The two ways to give a password; one at a time. */
export const passwordFields = {
  password: text({ description: 'The password.', isSecret: true }),
  password_hash: text({ description: 'Its bcrypt hash instead, of cost 5 to 12.', isSecret: true }),
} as const

export type PasswordInput = { readonly password: string; readonly password_hash: string }

/** What a hash made here costs. @source golang.org/x/crypto/bcrypt DefaultCost */
const ownCost = 10
const [costMin, costMax] = [5, 12]
/** bcrypt passes over the rest; Go's refuses to make a hash of more. */
const passwordBytesMax = 72
const hashPattern = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/

const encoder = new TextEncoder()

/**
 * The hash of a password that was sent as such or as a hash.
 * @throws Fault when neither or both were sent, or it can't be kept.
 */
export async function hashOf(input: PasswordInput, { parts, compute }: UserpassState): Promise<string> {
  const { password, password_hash: hash } = input
  if (password !== '' && hash !== '') {
    throw fault('request.invalid', 'only one of password or password_hash may be provided')
  }
  if (hash !== '') return broughtAlong(hash, parts.view)
  if (password === '') throw fault('request.invalid', 'missing password')
  const bytes = encoder.encode(password)
  if (bytes.length > passwordBytesMax) throw fault('backend.failed', 'bcrypt: password length exceeds 72 bytes')
  const salt = parts.world.entropy.bytes(16)
  return inPool(() => compute.run('bcryptHash', { password: bytes, salt, cost: ownCost }))
}

async function broughtAlong(hash: string, view: UserpassState['parts']['view']): Promise<string> {
  const cost = Number(hashPattern.exec(hash)?.[1] ?? Number.NaN)
  if (Number.isNaN(cost)) throw fault('request.invalid', 'password_hash is not a valid bcrypt hash')
  if (cost < costMin || cost > costMax) {
    throw fault(
      'request.invalid',
      `password_hash must have a bcrypt cost between ${costMin} and ${costMax}, not ${cost}`,
    )
  }
  // Before the hash is kept, so that no login with it is refused later than others.
  if (cost > ownCost) {
    await view.update(floorKey, now => ({ ...(cost > (now?.cost ?? 0) && { entry: { cost } }), result: null }))
  }
  return hash
}

/** Is it the user's password? A "no" takes the same time for every user, and for null: nobody. */
export async function isPasswordOf(
  user: User | null,
  password: string,
  { parts, compute }: UserpassState,
  signal: AbortSignal,
): Promise<boolean> {
  const floor = Math.max(ownCost, (await parts.view.get(floorKey))?.cost ?? 0)
  const ask = { password: encoder.encode(password), hash: user?.hash ?? null, floor }
  return inPool(() => compute.run('bcryptCheck', ask, signal))
}

// Whoever floods the logins with passwords waits; what else the server does goes on.
async function inPool<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof ComputeError)) throw error
    if (error.code === 'busy') {
      throw fault('quota.exceeded', 'too many passwords are being checked: try again', { reason: error.message })
    }
    if (error.code === 'closed') throw fault('server.unready', 'the server is ending')
    throw fault('internal', 'internal error', { cause: error })
  }
}

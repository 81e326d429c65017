import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { writeFileAtomically } from '#ground/process/atomic-file.ts'
import type { ApiClient } from '#client/api.ts'
import { lookupSelf } from '#client/calls/token.ts'
import type { Held } from './auth.ts'

const fileIn = (folder: string): string => join(folder, 'token')

/** Leaves the token for the agent that stays: what the init agent fetched is not logged in for twice. */
export async function handOver(folder: string | null, token: Secret): Promise<void> {
  if (folder === null) return
  await writeFileAtomically(fileIn(folder), Buffer.from(token.reveal('the hand-over to the agent that stays')), {
    mode: 0o600,
  })
}

/**
 * Takes the token that an init agent left, and removes the file. A token that the server doesn't know, or a server that
 * doesn't answer, means a login as without it.
 * @returns null when there is none.
 */
export async function takeOver(
  world: World,
  folder: string | null,
  client: ApiClient,
  signal: AbortSignal,
): Promise<Held | null> {
  if (folder === null) return null
  const log = world.log.named('handover')
  try {
    const token = new Secret((await readFile(fileIn(folder), 'utf8')).trim())
    await rm(fileIn(folder), { force: true })
    const known = await lookupSelf(client.with({ token, maxRetries: 0 }), { signal })
    log.info('the token of the init agent is taken over')
    return {
      token,
      lifetime: { ttlSeconds: Number(known['ttl'] ?? 0), isRenewable: known['renewable'] === true },
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') log.warn('no token is taken over; logging in', { error })
    return null
  }
}

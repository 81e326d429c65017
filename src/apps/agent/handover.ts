import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { writeFileAtomically } from '#ground/process/atomic-file.ts'
import { isJsonObject, type Json, type JsonObject, renderJson } from '#ground/text/json.ts'
import { parseJson } from '#ground/text/json-parse.ts'
import type { Primed } from '#delivery/obtain/dependency.ts'
import { parseEnvelope } from '#protocol/envelope.ts'
import { isTrue, objectOf, own, textOf, textsOf, wholeOf } from '#protocol/members.ts'
import type { Held } from './auth.ts'

/** What an init agent leaves for the agent that stays: its token, and what it fetched by query text. */
export type Handover = { readonly held: Held; readonly fetched: ReadonlyMap<string, Primed> }

const form = 1
const bytesMax = 16 * 1024 * 1024
const fileIn = (folder: string): string => join(folder, 'handover.json')

/**
 * Leaves a hand-over in a folder on a memory volume, readable by the owner alone. Answers that hold a token of their own
 * (`auth`, `wrap_info`) are left out: they are asked for again.
 * @throws the file system's error
 */
export async function handOver(folder: string, { held, fetched }: Handover): Promise<void> {
  const entries = [...fetched].filter(
    ([, { fetched: one }]) => one.envelope.auth === null && one.envelope.wrapInfo === null,
  )
  const text = renderJson({
    form,
    token: held.token.reveal('the hand-over to the agent that stays'),
    expires_at_ms: held.expiresAtMs,
    renewable: held.isRenewable,
    fetched: Object.fromEntries(entries.map(([query, primed]) => [query, entryOf(primed)])),
  })
  await writeFileAtomically(fileIn(folder), Buffer.from(text), { mode: 0o600 })
}

function entryOf({ fetched, fetchedAtMs, nextAtMs }: Primed): Json {
  const { envelope, keys, fullPath, version } = fetched
  return {
    full_path: fullPath,
    version,
    keys,
    fetched_at_ms: fetchedAtMs,
    next_at_ms: Math.trunc(nextAtMs),
    envelope: {
      request_id: envelope.requestId,
      lease_id: envelope.leaseId,
      renewable: envelope.renewable,
      lease_duration: envelope.leaseDuration,
      data: envelope.data,
      warnings: envelope.warnings,
      mount_type: envelope.mountType,
    },
  }
}

/**
 * Takes what an init agent left, and removes it at once: a restart must not find what has grown old.
 * @returns null when there is nothing, or nothing that helps: then log in as without it.
 */
export async function takeOver(world: Pick<World, 'clock' | 'log'>, folder: string): Promise<Handover | null> {
  const path = fileIn(folder)
  try {
    const text = (await stat(path)).size > bytesMax ? '' : await readFile(path, 'utf8')
    await rm(path, { force: true })
    const handover = parse(text)
    const { expiresAtMs } = handover.held
    if (expiresAtMs !== null && expiresAtMs <= world.clock.now()) throw new HandoverError('the token has expired')
    world.log.info('token and secrets of the init agent are taken over', { secrets: handover.fetched.size })
    return handover
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    // No part of the text may reach the log.
    const reason =
      error instanceof HandoverError ? error.message : ((error as NodeJS.ErrnoException).code ?? 'unreadable')
    world.log.warn('the hand-over of the init agent is of no use; logging in', { reason })
    return null
  }
}

class HandoverError extends Error {}

function parse(text: string): Handover {
  let json: Json
  try {
    json = parseJson(text)
  } catch {
    throw new HandoverError('it is no JSON')
  }
  if (!isJsonObject(json) || wholeOf(json, 'form') !== form) throw new HandoverError('it has another form')
  const token = textOf(json, 'token')
  if (token === '') throw new HandoverError('it has no token')
  const fetched = new Map<string, Primed>()
  for (const [query, entry] of Object.entries(objectOf(json, 'fetched') ?? {})) {
    const primed = isJsonObject(entry) ? primedOf(entry) : null
    if (primed !== null) fetched.set(query, primed)
  }
  const expiresAtMs = wholeOf(json, 'expires_at_ms')
  return {
    held: { token: new Secret(token), expiresAtMs: expiresAtMs || null, isRenewable: isTrue(json, 'renewable') },
    fetched,
  }
}

function primedOf(entry: JsonObject): Primed | null {
  const envelope = parseEnvelope(own(entry, 'envelope') ?? null)
  if (envelope === null) return null
  return {
    fetched: {
      envelope,
      keys: textsOf(entry, 'keys') ?? [],
      fullPath: textOf(entry, 'full_path'),
      version: own(entry, 'version') === null ? null : wholeOf(entry, 'version'),
    },
    fetchedAtMs: wholeOf(entry, 'fetched_at_ms'),
    nextAtMs: wholeOf(entry, 'next_at_ms'),
  }
}

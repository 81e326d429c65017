import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { writeFileAtomically } from '#ground/process/atomic-file.ts'
import { isJsonObject, type Json, type JsonObject, renderJson } from '#ground/text/json.ts'
import { parseJson } from '#ground/text/json-parse.ts'
import type { Primed } from '#delivery/obtain/dependency.ts'
import type { LeaseNote } from '#delivery/obtain/lease-book.ts'
import { parseEnvelope } from '#protocol/envelope.ts'
import { isTrue, objectOf, own, textOf, textsOf, wholeOf } from '#protocol/members.ts'
import type { Held } from './auth.ts'

/**
 * What an agent leaves for the next one of its pod: an init agent for the one that stays, and that one for the case that
 * it is killed.
 */
export type Handover = {
  readonly held: Held
  /** Tokens before that one which may still live, the oldest first. */
  readonly before: readonly Held[]
  /** What was fetched, by query text. */
  readonly fetched: ReadonlyMap<string, Primed>
}

/** Where a hand-over lies; `read` gives null while there is none. */
export type HandoverPlace = {
  read(): Promise<string | null>
  write(text: string): Promise<void>
  remove(): Promise<void>
}

const form = 2
const bytesMax = 16 * 1024 * 1024
/** Tokens that live beside each other: a successor comes shortly before the end. */
const tokensMax = 16

/** A folder on a memory volume; its file is readable by the owner alone. */
export function handoverFolder(folder: string): HandoverPlace {
  const path = join(folder, 'handover.json')
  return {
    async read() {
      try {
        return (await stat(path)).size > bytesMax ? '' : await readFile(path, 'utf8')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
        throw error
      }
    },
    write: text => writeFileAtomically(path, Buffer.from(text), { mode: 0o600 }),
    remove: () => rm(path, { force: true }),
  }
}

/**
 * Leaves a hand-over. Answers that hold a token of their own (`auth`, `wrap_info`) are left out: they are asked for
 * again.
 * @throws the place's error
 */
export async function handOver(place: HandoverPlace, { held, before, fetched }: Handover): Promise<void> {
  const entries = [...fetched].filter(
    ([, { fetched: one }]) => one.envelope.auth === null && one.envelope.wrapInfo === null,
  )
  const text = renderJson({
    form,
    tokens: [...before, held].map(tokenEntry),
    fetched: Object.fromEntries(entries.map(([query, primed]) => [query, entryOf(primed)])),
  })
  await place.write(text)
}

const tokenEntry = ({ token, expiresAtMs, isRenewable }: Held): Json => ({
  token: token.reveal('the hand-over to the next agent of the pod'),
  expires_at_ms: expiresAtMs === null ? null : Math.trunc(expiresAtMs),
  renewable: isRenewable,
})

function entryOf({ fetched, fetchedAtMs, nextAtMs, lease }: Primed): Json {
  const { envelope, keys, fullPath, version } = fetched
  return {
    full_path: fullPath,
    version,
    keys,
    fetched_at_ms: fetchedAtMs,
    next_at_ms: Math.trunc(nextAtMs),
    lease: lease && {
      ends_at_ms: Math.trunc(lease.endsAtMs),
      is_orphaned: lease.isOrphaned,
      before: lease.before && { id: lease.before.id, ends_at_ms: Math.trunc(lease.before.endsAtMs) },
    },
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
 * Takes what an agent before this one left. It stays there until this one has something of its own: one that is killed
 * before that leaves it for the next.
 * @returns null when there is nothing, or nothing that helps: then log in as without it.
 */
export async function takeOver(world: Pick<World, 'clock' | 'log'>, place: HandoverPlace): Promise<Handover | null> {
  try {
    const text = await place.read()
    if (text === null) return null
    const handover = parse(text)
    const { expiresAtMs } = handover.held
    if (expiresAtMs !== null && expiresAtMs <= world.clock.now()) throw new HandoverError('the token has expired')
    world.log.info('token and secrets of the agent before are taken over', { secrets: handover.fetched.size })
    return handover
  } catch (error) {
    // No part of the text may reach the log.
    const reason =
      error instanceof HandoverError ? error.message : ((error as NodeJS.ErrnoException).code ?? 'unreadable')
    world.log.warn('what the agent before left is of no use; logging in', { reason })
    await place.remove().catch(() => undefined)
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
  const entries = own(json, 'tokens')
  const tokens = (Array.isArray(entries) ? entries.slice(-tokensMax) : []).map(heldOf).filter(held => held !== null)
  const held = tokens.pop()
  if (held === undefined) throw new HandoverError('it has no token')
  const fetched = new Map<string, Primed>()
  for (const [query, entry] of Object.entries(objectOf(json, 'fetched') ?? {})) {
    const primed = isJsonObject(entry) ? primedOf(entry) : null
    if (primed !== null) fetched.set(query, primed)
  }
  return { held, before: tokens, fetched }
}

function heldOf(entry: Json): Held | null {
  if (!isJsonObject(entry)) return null
  const token = textOf(entry, 'token')
  if (token === '') return null
  return {
    token: new Secret(token),
    expiresAtMs: wholeOf(entry, 'expires_at_ms') || null,
    isRenewable: isTrue(entry, 'renewable'),
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
    lease: leaseOf(objectOf(entry, 'lease') ?? null),
  }
}

function leaseOf(entry: JsonObject | null): LeaseNote | null {
  if (entry === null) return null
  const before = objectOf(entry, 'before')
  return {
    endsAtMs: wholeOf(entry, 'ends_at_ms'),
    isOrphaned: isTrue(entry, 'is_orphaned'),
    before: before ? { id: textOf(before, 'id'), endsAtMs: wholeOf(before, 'ends_at_ms') } : null,
  }
}

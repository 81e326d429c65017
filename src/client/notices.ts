import { backoffMs } from '#ground/base/retry.ts'
import type { World } from '#ground/base/world.ts'
import { isJsonObject, type Json } from '#ground/text/json.ts'
import { parseJson } from '#ground/text/json-parse.ts'
import { isTrue, textOf, wholeOf } from '#protocol/members.ts'
import type { ApiClient } from './api.ts'

/**
 * What a follower is told.
 * - `changed`: the value at a logical path (`secret/data/app`) has this version now; the value itself is never sent.
 * - `lost`: anything may have changed: look at everything again. Said after each connection and at each poll.
 */
export type Notice =
  | { readonly kind: 'changed'; readonly path: string; readonly version: number }
  | { readonly kind: 'lost' }

/** An open connection to `sys/notices`. */
export interface NoticeSocket extends Disposable {
  send(text: string): void
  /** Texts as they come; ends when the connection does. Drops nothing silently: an overflow is `{"lost":true}`. */
  messages(signal: AbortSignal): AsyncIterable<string>
}

/** @returns null when the server has no notices (404) or grants none (403): then polling is all there is */
export type OpenNotices = (client: ApiClient, signal: AbortSignal) => Promise<NoticeSocket | null>

export type NoticeOptions = {
  /** At most 256; the server refuses more. */
  readonly paths: readonly string[]
  /** ms between two `lost` while the server has no notices. */
  readonly pollMs: number
  readonly signal: AbortSignal
  readonly open: OpenNotices
  /** For logs: is a change pushed now, or polled for? */
  readonly onMode?: (mode: 'pushed' | 'polled' | 'reconnecting', reason: unknown) => void
}

/** What the server takes in one `watch`. */
export const pathsMax = 256

// As long as it takes, nobody hears that a token or a lease was revoked.
const reconnect = { waitMs: 1_000, waitMsMax: 30_000 } as const
// A server may be replaced by one that pushes: it is asked again now and then.
const pollsBetweenTries = 30

/**
 * Follows changes until the signal is aborted. A server without notices is polled; a lost connection is made again, with
 * a growing wait. Follow first and read then: what changes in between is told by the first `lost`.
 */
export async function* followNotices(
  world: Pick<World, 'clock' | 'entropy'>,
  client: ApiClient,
  options: NoticeOptions,
): AsyncGenerator<Notice> {
  const { signal, open, paths, pollMs, onMode } = options
  if (paths.length > pathsMax) throw new RangeError(`${paths.length} paths to watch; the server takes ${pathsMax}`)
  for (let failures = 0; !signal.aborted; ) {
    try {
      const socket = await open(client, signal)
      if (socket === null) {
        onMode?.('polled', null)
        for (let i = 0; i < pollsBetweenTries; i++) {
          await world.clock.sleep(pollMs * (1 - 0.1 * world.entropy.fraction()), signal)
          yield { kind: 'lost' }
        }
        continue
      }
      using opened = socket
      const sinceMs = world.clock.monotonic()
      opened.send(JSON.stringify({ watch: paths }))
      onMode?.('pushed', null)
      yield { kind: 'lost' }
      for await (const text of opened.messages(signal)) {
        failures = 0
        const notice = parseNotice(text)
        if (notice) yield notice
      }
      // One that held for a while was no failure, though nothing may have been said.
      if (world.clock.monotonic() - sinceMs > reconnect.waitMsMax) failures = 0
      onMode?.('reconnecting', null)
    } catch (error) {
      if (signal.aborted) return
      onMode?.('reconnecting', error)
    }
    failures++
    const waitMs = backoffMs(reconnect, failures) * (1 - 0.5 * world.entropy.fraction())
    try {
      await world.clock.sleep(waitMs, signal)
    } catch {
      return
    }
  }
}

/** @returns null for what this version doesn't know: a newer server may say more */
export function parseNotice(text: string): Notice | null {
  let value: Json
  try {
    value = parseJson(text)
  } catch {
    return null
  }
  if (!isJsonObject(value)) return null
  if (isTrue(value, 'lost')) return { kind: 'lost' }
  const path = textOf(value, 'path')
  return path === '' ? null : { kind: 'changed', path, version: wholeOf(value, 'version') }
}

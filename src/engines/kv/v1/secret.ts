import { type Seconds, seconds } from '#ground/base/clock.ts'
import { parseDurationSeconds } from '#ground/text/duration.ts'
import { isJsonObject, type Json, type JsonObject, NumberLiteral } from '#ground/text/json.ts'
import { parseJson } from '#ground/text/json-parse.ts'
import type { Codec, Key } from '#backend/storage.ts'

/** A secret as it was written, and what it says of its own life. */
export type PlainEntry = {
  /** Canonical JSON of the object. */
  readonly text: string
  /** From its key `ttl` or `lease`; null = the mount's default. */
  readonly ttl: Seconds | null
}

const decoder = new TextDecoder()

/** Only the text is kept: the TTL follows from it. */
export const plainCodec: Codec<PlainEntry> = {
  prefix: 'plain/',
  encode: ({ text }) => Buffer.from(text),
  decode(bytes) {
    const text = decoder.decode(bytes)
    // Few secrets name one of both; the others needn't be parsed.
    if (!text.includes('"ttl":') && !text.includes('"lease":')) return { text, ttl: null }
    const value = parseJson(text)
    return { text, ttl: isJsonObject(value) ? ttlOf(value) : null }
  },
}

export const plainKey = (path: string): Key<PlainEntry> => ({ codec: plainCodec, id: path })

/**
 * `lease` counts only where there is no `ttl`, even one that can't be read.
 * @source openbao builtin/logical/kv/passthrough.go
 */
export function ttlOf(secret: JsonObject): Seconds | null {
  const text = durationText(Object.hasOwn(secret, 'ttl') ? secret['ttl'] : own(secret, 'lease'))
  if (text === null) return null
  try {
    const asked = parseDurationSeconds(text)
    return asked > 0 ? seconds(Math.floor(asked)) : null
  } catch {
    return null
  }
}

const own = (secret: JsonObject, key: string): Json | undefined =>
  Object.hasOwn(secret, key) ? secret[key] : undefined

// A number counts by its text, as Go's json.Number does: 90 is seconds, 1.5 and 1e3 are no durations.
function durationText(value: Json | undefined): string | null {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  return value instanceof NumberLiteral ? value.text : null
}

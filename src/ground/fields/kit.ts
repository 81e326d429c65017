import { type Seconds, seconds } from '#ground/base/clock.ts'
import { parseDurationSeconds } from '#ground/text/duration.ts'
import { isJsonObject, type Json, type JsonObject, NumberLiteral } from '#ground/text/json.ts'
import { type Field, FieldProblem, type FieldType } from './field.ts'

/** What every maker takes beside the meaning of its type. */
export type Common = {
  description: string
  isSecret?: true
  isDeprecated?: true
  from?: 'path' | 'query'
}

type Base = Omit<Field<unknown>, 'parse' | 'fallback' | 'type' | 'format'>

function base(common: Common): Base {
  return {
    description: common.description,
    ...(common.isSecret && { isSecret: true as const }),
    ...(common.isDeprecated && { isDeprecated: true as const }),
    ...(common.from && { from: common.from }),
  }
}

function scalarText(raw: Json): string | null {
  if (typeof raw === 'string') return raw
  if (typeof raw === 'number' || typeof raw === 'boolean') return String(raw)
  if (raw instanceof NumberLiteral) return raw.text
  return null
}

const kindOf = (raw: Json): string =>
  raw === null ? 'null' : Array.isArray(raw) ? 'list' : raw instanceof NumberLiteral ? 'number' : typeof raw

/** Text; numbers and booleans are taken as written. */
export function text(common: Common & { fallback?: string; choices?: readonly string[] }): Field<string> {
  return {
    ...base(common),
    type: 'string',
    fallback: common.fallback ?? '',
    ...(common.choices && { choices: common.choices }),
    parse(raw) {
      const value = scalarText(raw)
      if (value === null) throw new FieldProblem(`'' expected type 'string', got unconvertible type '${kindOf(raw)}'`)
      return value
    },
  }
}

/** A segment or the rest of the path. */
export const captured = (description: string): Field<string> => text({ description, from: 'path' })

/** Text in lower case: names that are looked up without regard to case. */
export function lowerText(common: Common & { fallback?: string }): Field<string> {
  const inner = text(common)
  return { ...inner, parse: raw => inner.parse(raw).toLowerCase() }
}

/** true and false as words, "1"/"0", numbers; what Go's ParseBool takes. */
export function bool(common: Common & { fallback?: boolean }): Field<boolean> {
  return {
    ...base(common),
    type: 'boolean',
    fallback: common.fallback ?? false,
    parse(raw) {
      if (typeof raw === 'boolean') return raw
      const value = scalarText(raw)
      if (value === null) throw new FieldProblem(`'' expected type 'bool', got unconvertible type '${kindOf(raw)}'`)
      const parsed = parseGoBool(value)
      if (parsed === null) throw new FieldProblem(`strconv.ParseBool: parsing "${value}": invalid syntax`)
      return parsed
    },
  }
}

/** @returns null when the text is none of Go's: 1, t, T, TRUE, true, True and their opposites; empty is false. */
export function parseGoBool(value: string): boolean | null {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value)) return true
  if (['', '0', 'f', 'F', 'FALSE', 'false', 'False'].includes(value)) return false
  return null
}

type Whole = Common & { fallback?: number }

function wholeNumber(raw: Json): number {
  const value = typeof raw === 'boolean' ? Number(raw).toString() : scalarText(raw)
  if (value === null) throw new FieldProblem(`'' expected type 'int', got unconvertible type '${kindOf(raw)}'`)
  if (value === '') return 0
  const number = Number(value)
  if (!Number.isSafeInteger(number) || !/^[-+]?\d/.test(value)) {
    throw new FieldProblem(`cannot parse '' as int: strconv.ParseInt: parsing "${value.slice(0, 64)}": invalid syntax`)
  }
  return number
}

/** A whole number within ±2^53; "5" is 5. */
export function int(common: Whole): Field<number> {
  return { ...base(common), type: 'integer', fallback: common.fallback ?? 0, parse: wholeNumber }
}

/** As `int`, but undefined when not sent: where 0 means something else than absence. */
export function optionalInt(common: Common): Field<number | undefined> {
  return { ...base(common), type: 'integer', fallback: undefined, parse: wholeNumber }
}

export function optionalBool(common: Common): Field<boolean | undefined> {
  const inner = bool(common)
  return { ...inner, fallback: undefined }
}

export function optionalText(common: Common): Field<string | undefined> {
  const inner = text(common)
  return { ...inner, fallback: undefined }
}

function duration(raw: Json, isSigned: boolean): Seconds {
  const value = typeof raw === 'number' ? raw : scalarText(raw)
  if (value === null) throw new FieldProblem(`expected a duration like "1h" or a number of seconds, got ${kindOf(raw)}`)
  let parsed: number
  try {
    parsed = parseDurationSeconds(value)
  } catch (error) {
    throw new FieldProblem(error instanceof Error ? error.message : 'not a duration')
  }
  if (!isSigned && parsed < 0) throw new FieldProblem(`cannot provide negative value '${Math.trunc(parsed)}'`)
  return seconds(parsed)
}

/** Whole seconds from "90", 90, "1h30m", "2d"; a fraction is cut off; negative is refused. */
export function durationSeconds(common: Common & { fallback?: number }): Field<Seconds> {
  return {
    ...base(common),
    type: 'integer',
    format: 'seconds',
    fallback: seconds(common.fallback ?? 0),
    parse: raw => duration(raw, false),
  }
}

/** As `durationSeconds`, negative allowed ("off" in some places). */
export function signedDuration(common: Common): Field<Seconds> {
  return {
    ...base(common),
    type: 'integer',
    format: 'seconds',
    fallback: seconds(0),
    parse: raw => duration(raw, true),
  }
}

function listOf(raw: Json, split: boolean): readonly string[] {
  if (Array.isArray(raw)) {
    return (raw as readonly Json[]).map(item => {
      const value = scalarText(item)
      if (value === null) throw new FieldProblem(`expected a list of strings, got a ${kindOf(item)} in it`)
      return split ? value.trim() : value
    })
  }
  const value = scalarText(raw)
  if (value === null) throw new FieldProblem(`expected a list of strings, got ${kindOf(raw)}`)
  if (value === '') return []
  return split ? value.split(',').map(item => item.trim()) : [value]
}

/** "a,b" or ["a","b"]; blanks around items are dropped. */
export function commaList(common: Common): Field<readonly string[]> {
  return { ...base(common), type: 'array', format: 'comma-separated', fallback: [], parse: raw => listOf(raw, true) }
}

/** ["a","b"], or one text for one item. */
export function stringList(common: Common): Field<readonly string[]> {
  return { ...base(common), type: 'array', fallback: [], parse: raw => listOf(raw, false) }
}

/** [1,2], "1,2" or 1. */
export function intList(common: Common): Field<readonly number[]> {
  return {
    ...base(common),
    type: 'array',
    fallback: [],
    parse(raw) {
      const items = Array.isArray(raw)
        ? (raw as readonly Json[])
        : (scalarText(raw) ?? '').split(',').filter(item => item.trim() !== '')
      return items.map(item => wholeNumber(typeof item === 'string' ? item.trim() : item))
    },
  }
}

/** {"k":"v"}, or ["k=v"], or "k=v,k2=v2". */
export function stringMap(common: Common): Field<Readonly<Record<string, string>>> {
  return { ...base(common), type: 'object', format: 'key-value', fallback: {}, parse: keyValues }
}

export function optionalStringMap(common: Common): Field<Readonly<Record<string, string>> | undefined> {
  return { ...base(common), type: 'object', format: 'key-value', fallback: undefined, parse: keyValues }
}

function keyValues(raw: Json): Readonly<Record<string, string>> {
  const out: Record<string, string> = Object.create(null)
  if (isJsonObject(raw)) {
    for (const [key, item] of Object.entries(raw)) {
      const value = scalarText(item)
      if (value === null) throw new FieldProblem(`expected text for key '${key}', got ${kindOf(item)}`)
      out[key] = value
    }
    return out
  }
  for (const pair of listOf(raw, true)) {
    const at = pair.indexOf('=')
    if (at < 0) throw new FieldProblem(`expected key=value pairs, got an item without "="`)
    out[pair.slice(0, at)] = pair.slice(at + 1)
  }
  return out
}

/** A JSON object as parsed; undefined when not sent. */
export function object(common: Common): Field<JsonObject | undefined> {
  return {
    ...base(common),
    type: 'object',
    fallback: undefined,
    parse(raw) {
      if (isJsonObject(raw)) return raw
      throw new FieldProblem(`'' expected a map, got '${kindOf(raw)}'`)
    },
  }
}

/** Any JSON. */
export function anything(common: Common & { type?: FieldType }): Field<Json | undefined> {
  return { ...base(common), type: common.type ?? 'any', fallback: undefined, parse: raw => raw }
}

/** Only in answers: shapes for OpenAPI and docs. */
export const shown = {
  text: (description: string): Field<string> => text({ description }),
  int: (description: string): Field<number> => int({ description }),
  bool: (description: string): Field<boolean> => bool({ description }),
  list: (description: string): Field<readonly string[]> => stringList({ description }),
  object: (description: string): Field<JsonObject | undefined> => object({ description }),
}

import { isJsonObject, type Json, type JsonObject, NumberLiteral, renderJson } from '#ground/text/json.ts'

/** A member of an object by its own name: `constructor` and `__proto__` are no members unless sent. */
export function own(object: JsonObject | null, key: string): Json | undefined {
  return object !== null && Object.hasOwn(object, key) ? object[key] : undefined
}

/** The member's text; empty when it is absent or something else. */
export function textOf(object: JsonObject | null, key: string): string {
  const value = own(object, key)
  return typeof value === 'string' ? value : ''
}

/** The member as a whole number; 0 when it is absent or something else. */
export function wholeOf(object: JsonObject | null, key: string): number {
  const value = own(object, key)
  if (typeof value === 'number') return Math.trunc(value)
  return value instanceof NumberLiteral ? Math.trunc(Number(value.text)) : 0
}

export function isTrue(object: JsonObject | null, key: string): boolean {
  return own(object, key) === true
}

/** The member's texts; null when it is no list. */
export function textsOf(object: JsonObject | null, key: string): string[] | null {
  const value = own(object, key)
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : null
}

/** The member as an object; null when it is none. */
export function objectOf(object: JsonObject | null, key: string): JsonObject | null {
  const value = own(object, key)
  return isJsonObject(value) ? value : null
}

/** The member as names with texts; other scalars in their JSON form; null when it is no object. */
export function textMapOf(object: JsonObject | null, key: string): Readonly<Record<string, string>> | null {
  const map = objectOf(object, key)
  if (map === null) return null
  return Object.fromEntries(Object.entries(map).map(([k, v]) => [k, typeof v === 'string' ? v : renderJson(v)]))
}

import { compareUtf8, sortedKeys } from './compare.ts'

/**
 * A JSON tree. Numbers that a double wouldn't write back as they came (`1.0`, `1e5`, `12345678901234567890`) stand as
 * `NumberLiteral`, all others as plain numbers. Objects may have any key as an own property, `__proto__` included: use
 * `setKey` to add one, and `Object.hasOwn` to ask for one.
 */
export type Json =
  | null
  | boolean
  | number
  | string
  | NumberLiteral
  | RawJson
  | readonly Json[]
  | { readonly [key: string]: Json }

export type JsonObject = { readonly [key: string]: Json }

/** A number by its text: Vault keeps literals (Go's json.Number), so `1.0` must come back as `1.0`. */
export class NumberLiteral {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toString(): string {
    return this.text
  }
}

/** JSON text that is canonical already; renderers splice it in as it is. */
export class RawJson {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** Is it an object (and not a list, literal or raw text)? */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isLeaf(value)
}

function isLeaf(value: object): value is NumberLiteral | RawJson {
  return value instanceof NumberLiteral || value instanceof RawJson
}

/** Adds or replaces an own property, whatever its name: plain assignment to `__proto__` would set the prototype. */
export function setKey(target: { [key: string]: Json }, key: string, value: Json): void {
  if (key !== '__proto__') target[key] = value
  else Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
}

const needsEscape = /["\\<>&\u0000-\u001f\u2028\u2029\ud800-\udfff]/
const goEscapes = /[<>&\u2028\u2029]/g
const escapeOf = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`

/** A string as Go's encoding/json writes it: `<`, `>`, `&`, U+2028 and U+2029 escaped, broken surrogates replaced. */
export function renderJsonString(text: string): string {
  if (!needsEscape.test(text)) return `"${text}"`
  return JSON.stringify(text.toWellFormed()).replace(goEscapes, escapeOf)
}

function renderNumber(value: number): string {
  if (!Number.isFinite(value)) throw new TypeError(`JSON has no number ${value}`)
  return Object.is(value, -0) ? '-0' : String(value)
}

function render(value: Json, isCanonical: boolean): string {
  if (typeof value === 'string') return renderJsonString(value)
  if (value === null) return 'null'
  if (typeof value === 'number') return renderNumber(value)
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (Array.isArray(value)) {
    let out = '['
    for (let i = 0; i < value.length; i++) out += (i === 0 ? '' : ',') + render(value[i] as Json, isCanonical)
    return `${out}]`
  }
  if (isLeaf(value)) return value.text
  return renderObject(value as JsonObject, isCanonical)
}

function renderObject(value: JsonObject, isCanonical: boolean): string {
  const keys = isCanonical ? sortedKeys(value) : Object.keys(value)
  let out = '{'
  for (const key of keys)
    out += `${out.length === 1 ? '' : ','}${renderJsonString(key)}:${render(value[key]!, isCanonical)}`
  return `${out}}`
}

/** Text with keys in the order of their UTF-8 bytes: two equal trees give the same bytes, and the bytes Go would write. */
export function canonicalJson(value: Json): string {
  return render(value, true)
}

/** Text with keys in the order that the object has them. */
export function renderJson(value: Json): string {
  return render(value, false)
}

/** Deep equality; number literals compare by text, objects without regard to order. */
export function sameJson(a: Json, b: Json): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  return canonicalJson(a) === canonicalJson(b)
}

/** Orders object keys as `canonicalJson` does. */
export const compareKeys: (a: string, b: string) => number = compareUtf8

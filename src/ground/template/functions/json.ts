import { isJsonObject, type Json, NumberLiteral } from '#ground/text/json.ts'
import { JsonError, parseJson as readJson } from '#ground/text/json-parse.ts'
import { compareBytes } from '../bytes.ts'
import { FunctionError, redacted } from '../errors.ts'
import { formatFloat } from '../float.ts'
import { Int, JsonNumber, Struct, itemsOf, sortedEntries, TypedMap, typeName, type Value } from '../value.ts'

const limits = {
  depthMax: 500,
  stringBytesMax: 10 * 1024 * 1024,
  objectEntriesMax: 1_000_000,
  arrayElementsMax: 1_000_000,
  tokensMax: 5_000_000,
}

function fromJson(json: Json): Value {
  if (json instanceof NumberLiteral) {
    const value = Number(json.text)
    if (Number.isFinite(value)) return value
    throw new FunctionError(`json: cannot unmarshal number ${redacted} into Go value of type float64`)
  }
  if (Array.isArray(json)) return json.map(item => fromJson(item as Json))
  if (isJsonObject(json)) return new Map(Object.entries(json).map(([key, item]) => [key, fromJson(item)]))
  return json as Value
}

/** `parseJSON`: numbers become float64; of empty text an empty map. @throws FunctionError without the text's own words */
export function parseJson(text: string): Value {
  if (text === '') return new Map()
  try {
    return fromJson(readJson(text, { limits }))
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    const told = /^(unexpected )?EOF$/.test(error.message) ? 'unexpected end of JSON input' : error.message
    throw new FunctionError(told.replace(/invalid character '.*?'(?= )/su, `invalid character ${redacted}`))
  }
}

/** Go's JSON of a string: invalid bytes as U+FFFD, the line separators escaped. */
function quoted(text: string, isHtmlSafe: boolean): string {
  const plain = text.isWellFormed() ? JSON.stringify(text) : `"${Array.from(text, jsonCharacter).join('')}"`
  const special = isHtmlSafe ? /[<>&\u2028\u2029]/g : /[\u2028\u2029]/g
  return plain.replace(special, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function jsonCharacter(char: string): string {
  return char.isWellFormed() ? JSON.stringify(char).slice(1, -1) : '\\ufffd'
}

type Style = { readonly isHtmlSafe: boolean; readonly isPretty: boolean }

/** JSON as Go's `json.Marshal` writes it, keys sorted. @throws FunctionError for what JSON can't hold. */
export function toJson(name: string, value: Value, style: Style): string {
  try {
    return render(value, style, '\n')
  } catch (error) {
    throw error instanceof FunctionError ? new FunctionError(`${name}: ${error.message}`) : error
  }
}

function render(value: Value, style: Style, line: string): string {
  if (typeof value === 'string') return quoted(value, style.isHtmlSafe)
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new FunctionError(`json: unsupported value: ${formatFloat(value, 'g', -1)}`)
    return Object.is(value, -0) ? '-0' : String(value)
  }
  if (value === undefined || value === null) return 'null'
  if (value instanceof Int) return String(value.value)
  if (value instanceof JsonNumber) return literal(value)
  const items = itemsOf(value)
  if (items)
    return wrap(
      '[',
      items.map(item => inner => render(item, style, inner)),
      ']',
      style,
      line,
    )
  if (value instanceof Struct) {
    if (value.isNil) return 'null'
    return members([...value.fields], style, line)
  }
  const entries = sortedEntries(value)
  const isKeyed = entries && !(value instanceof TypedMap && !/^(string|u?int\d*)$/.test(value.key))
  if (!isKeyed) throw new FunctionError(`json: unsupported type: ${typeName(value)}`)
  const keyed = entries.map(([key, item]) => [keyText(key), item] as const)
  return members(
    keyed.toSorted((a, b) => compareBytes(a[0], b[0])),
    style,
    line,
  )
}

function keyText(key: Value): string {
  if (typeof key === 'string') return key
  return String(key instanceof Int ? key.value : (key as bigint))
}

function literal(number: JsonNumber): string {
  if (number.literal === '') return '0'
  if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(number.literal)) return number.literal
  throw new FunctionError(`json: invalid number literal ${redacted}`)
}

function members(entries: readonly (readonly [string, Value])[], style: Style, line: string): string {
  const colon = style.isPretty ? ': ' : ':'
  const parts = entries.map(
    ([key, item]) =>
      (inner: string) =>
        quoted(key, style.isHtmlSafe) + colon + render(item, style, inner),
  )
  return wrap('{', parts, '}', style, line)
}

function wrap(
  open: string,
  parts: readonly ((line: string) => string)[],
  close: string,
  style: Style,
  line: string,
): string {
  if (parts.length === 0) return open + close
  if (!style.isPretty) return open + parts.map(part => part(line)).join(',') + close
  const inner = `${line}  `
  return open + inner + parts.map(part => part(inner)).join(`,${inner}`) + line + close
}

import { isAscii } from '../bytes.ts'
import { FunctionError } from '../errors.ts'
import { define, type FunctionTable, functionTable } from '../function.ts'
import { parseWhole } from './numbers.ts'
import { Int, itemsOf, JsonNumber, TypedList, TypedMap, typeName, type Value } from '../value.ts'

/** What one call may make at most, in characters: `replaceAll "" x x` squares its input. */
const lengthMax = 64 * 1024 * 1024
const indentMax = 10_000
const splitMax = 1_000_000

const whiteSpace = /^\p{White_Space}$/u

/** Cuts what `isCut` says from both ends, by characters. */
function trimBy(text: string, isCut: (char: string) => boolean): string {
  const chars = Array.from(text)
  let start = 0
  let end = chars.length
  while (start < end && isCut(chars[start]!)) start++
  while (end > start && isCut(chars[end - 1]!)) end--
  return chars.slice(start, end).join('')
}

function trimSpace(text: string): string {
  return isAscii(text) ? text.trim() : trimBy(text, char => whiteSpace.test(char))
}

// Go maps characters one by one: no ß to SS, no final sigma.
function mapCase(text: string, convert: (char: string) => string): string {
  if (isAscii(text)) return convert(text)
  let out = ''
  for (const char of text) {
    const mapped = convert(char)
    if (char === 'İ' && mapped !== char) out += 'i'
    else out += Array.from(mapped).length === 1 ? mapped : char
  }
  return out
}

// The four letters of two parts, whose first part alone is upper-cased.
const digraphs: Readonly<Record<string, string>> = { Ǆ: 'ǅ', ǆ: 'ǅ', Ǉ: 'ǈ', ǉ: 'ǈ', Ǌ: 'ǋ', ǌ: 'ǋ', Ǳ: 'ǲ', ǳ: 'ǲ' }

function titleCase(letter: string): string {
  return digraphs[letter] ?? mapCase(letter, char => char.toUpperCase())
}

// A word goes on over an apostrophe, full stop or colon between two letters (UAX 29, WB6 and WB7).
const wordPattern = /[\p{L}\p{M}\p{N}_]+(?:(?<=\p{L}\p{M}*)['’.:·](?=\p{L})[\p{L}\p{M}\p{N}_]+)*/gu

/** Upper-cases the first letter of each word and leaves the rest. @source golang.org/x/text/cases Title, NoLower */
function toTitle(text: string): string {
  return text.replace(wordPattern, word => word.replace(/\p{L}/u, titleCase))
}

function indent(spaces: bigint, text: string): string {
  if (spaces < 0n) throw new FunctionError('indent value must be a positive integer')
  if (spaces > indentMax) throw new FunctionError(`indent by more than ${indentMax} spaces`)
  const prefix = ' '.repeat(Number(spaces))
  const lines = text.split('\n')
  bounded(text.length + lines.length * prefix.length)
  return lines.map(line => (line === '' ? '' : prefix + line)).join('\n')
}

function bounded(length: number): void {
  if (length > lengthMax) throw new FunctionError(`result exceeds ${lengthMax} characters`)
}

function pieces(text: string, separator: string): string[] {
  const parts = separator === '' ? Array.from(text) : text.split(separator)
  if (parts.length > splitMax) throw new FunctionError(`more than ${splitMax} parts`)
  return parts
}

function split(separator: string, text: string): TypedList {
  const trimmed = trimSpace(text)
  return new TypedList('string', trimmed === '' ? [] : pieces(trimmed, separator))
}

function splitToMap(outer: string, inner: string, text: string): TypedMap {
  const entries = new Map<Value, Value>()
  const trimmed = trimSpace(text)
  for (const part of trimmed === '' ? [] : pieces(trimmed, outer)) {
    const at = part.indexOf(inner)
    if (at >= 0) entries.set(part.slice(0, at), part.slice(at + inner.length))
  }
  return new TypedMap('string', 'string', entries)
}

function replaceAll(from: string, to: string, text: string): string {
  const parts = from === '' ? ['', ...Array.from(text), ''] : text.split(from)
  bounded(text.length + (parts.length - 1) * to.length)
  if (from !== '') return parts.join(to)
  return text === '' ? to : parts.join(to)
}

function join(separator: string, list: TypedList): string {
  const texts = list.items as readonly string[]
  bounded(texts.reduce((sum, text) => sum + text.length + separator.length, 0))
  return texts.join(separator)
}

function number(value: Value): bigint | null {
  if (typeof value === 'bigint') return value
  return value instanceof Int && !value.type.startsWith('u') ? value.value : null
}

// Go panics where it asks for the type of nil.
function present(value: Value): Value {
  if (value !== undefined && value !== null) return value
  throw new FunctionError('reflect: call of reflect.Value.Type on zero Value')
}

/** Is the value in the list, or in the string? Kinds must match. @source consul-template template/funcs.go in */
function isIn(list: Value, value: Value): boolean {
  if (typeof list === 'string') return typeof present(value) === 'string' && list.includes(value as string)
  if (list instanceof JsonNumber) return value instanceof JsonNumber && list.literal.includes(value.literal)
  const items = itemsOf(list)
  if (!items) return false
  return items.some(item => {
    const whole = number(item)
    if (whole !== null) return whole === number(value)
    if (item instanceof JsonNumber) return value instanceof JsonNumber && item.literal === value.literal
    if (typeof item === 'string') present(value)
    return (typeof item === 'string' || typeof item === 'number') && item === value
  })
}

function bound(value: Value): bigint {
  if (typeof value === 'bigint') return value
  if (value instanceof Int) return value.value
  const text = value instanceof JsonNumber ? value.literal : value
  if (typeof text === 'string') return parseWhole('parseInt', text).value
  throw new FunctionError(`loop: bad argument type: ${typeName(value ?? undefined)}`)
}

/** `loop n` counts from 0, `loop a b` from a; b is left out. */
function loop(...args: readonly Value[]): TypedList {
  if (args.length !== 1 && args.length !== 2) {
    throw new FunctionError(`loop: wrong number of arguments, expected 1 or 2, but got ${args.length}`)
  }
  const start = args.length === 2 ? bound(args[0]) : 0n
  const stop = bound(args.at(-1))
  if (stop - start > splitMax) throw new FunctionError(`loop: more than ${splitMax} rounds`)
  const items: Int[] = []
  for (let i = start; i < stop; i++) items.push(new Int('int64', i))
  return new TypedList('int64', items)
}

const any = 'interface {}'
const list = '[]interface {}'

/** Texts and lists. The piped value is the last argument. @source consul-template template/funcs.go */
export const stringFunctions: FunctionTable = functionTable([
  define('toLower', ['string'], 'string', 'In lower case.', text => mapCase(text, char => char.toLowerCase())),
  define('toUpper', ['string'], 'string', 'In upper case.', text => mapCase(text, char => char.toUpperCase())),
  define('toTitle', ['string'], 'string', 'With each word’s first letter in upper case.', toTitle),
  define(
    'trim',
    ['string', 'string'],
    'string',
    '`trim cutset text`: without these characters at its ends.',
    (cut, text) => trimBy(text, char => cut.includes(char)),
  ),
  define('trimPrefix', ['string', 'string'], 'string', '`trimPrefix prefix text`', (prefix, text) =>
    text.startsWith(prefix) ? text.slice(prefix.length) : text,
  ),
  define('trimSuffix', ['string', 'string'], 'string', '`trimSuffix suffix text`', (suffix, text) =>
    text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text,
  ),
  define('trimSpace', ['string'], 'string', 'Without white space at its ends.', trimSpace),
  define('replaceAll', ['string', 'string', 'string'], 'string', '`replaceAll from to text`', replaceAll),
  define('indent', ['int', 'string'], 'string', '`indent spaces text`: each line that isn’t empty.', indent),
  define('split', ['string', 'string'], '[]string', '`split separator text`; the text is trimmed first.', split),
  define(
    'splitToMap',
    ['string', 'string', 'string'],
    'map[string]string',
    '`splitToMap "," "=" "a=1,b=2"`',
    splitToMap,
  ),
  define('join', ['string', '[]string'], 'string', '`join separator list`', join),
  define('loop', ['...interface {}'], '[]int64', 'Whole numbers to count through.', loop),
  define('in', [any, any], 'bool', '`in list value`', isIn),
  define('contains', [any, any], 'bool', '`contains value list`', (value, where) => isIn(where, value)),
  define('containsAll', [list, any], 'bool', '`containsAll values list`', (values, where) =>
    values.every(value => isIn(where, value)),
  ),
  define('containsAny', [list, any], 'bool', '`containsAny values list`', (values, where) =>
    values.some(value => isIn(where, value)),
  ),
  define('containsNone', [list, any], 'bool', '`containsNone values list`', (values, where) =>
    values.every(value => !isIn(where, value)),
  ),
  define('containsNotAll', [list, any], 'bool', '`containsNotAll values list`', (values, where) =>
    values.some(value => !isIn(where, value)),
  ),
])

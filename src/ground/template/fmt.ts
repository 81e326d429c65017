import {
  characterField,
  type Flags,
  floatField,
  hexField,
  integerField,
  noFlags,
  pad,
  quotedCharacterField,
  quotedField,
  stringField,
  unicodeField,
} from './field.ts'
import {
  Complex,
  Int,
  itemsOf,
  JsonNumber,
  Struct,
  sortedEntries,
  TemplateFunction,
  TypedList,
  typeName,
  type Value,
} from './value.ts'

/** Values nested deeper than this print as `...`. */
const depthMax = 200

/** Go's `fmt.Sprint`: a space between two operands when neither is a string. */
export function print(values: readonly Value[]): string {
  let out = ''
  let wasString = false
  for (const [i, value] of values.entries()) {
    const isString = typeof value === 'string' || value instanceof JsonNumber
    if (i > 0 && !isString && !wasString) out += ' '
    out += formatValue(value, 'v', noFlags())
    wasString = isString
  }
  return out
}

/** Go's `fmt.Sprintln`: a space between operands, a line feed at the end. */
export function println(values: readonly Value[]): string {
  return `${values.map(value => formatValue(value, 'v', noFlags())).join(' ')}\n`
}

function isNil(value: Value): value is undefined | null {
  return value === undefined || value === null
}

/** One operand as one verb prints it. @source Go fmt/print.go printArg */
export function formatValue(value: Value, verb: string, flags: Flags): string {
  if (isNil(value)) return verb === 'T' || verb === 'v' ? pad('<nil>', flags) : badVerb(value, verb, flags)
  if (verb === 'T') return stringField(typeName(value), flags)
  return formatAt(value, verb, flags, 0)
}

function badVerb(value: Value, verb: string, flags: Flags): string {
  if (isNil(value)) return `%!${verb}(<nil>)`
  return `%!${verb}(${typeName(value)}=${formatAt(value, 'v', flags, 0)})`
}

function formatAt(value: Value, verb: string, flags: Flags, depth: number): string {
  if (typeof value === 'string') return formatString(value, value, verb, flags)
  if (typeof value === 'bigint') return formatInteger(value, value, true, verb, flags)
  if (typeof value === 'number') return formatFloatValue(value, value, verb, flags)
  if (typeof value === 'boolean') {
    return verb === 't' || verb === 'v' ? pad(String(value), flags) : badVerb(value, verb, flags)
  }
  if (isNil(value)) return formatNil(value, verb, flags)
  if (value instanceof Int) return formatInteger(value, value.value, !value.type.startsWith('u'), verb, flags)
  if (value instanceof JsonNumber) return formatString(value, value.literal, verb, flags)
  if (value instanceof Complex) return formatComplex(value, verb, flags)
  if (depth > depthMax) return '...'
  if (value instanceof Struct) return formatStruct(value, verb, flags, depth)
  if (value instanceof TemplateFunction) return flags.sharpV ? `(${value.type})(0x1)` : '0x1'
  const items = itemsOf(value)
  if (items) return formatList(value, items, verb, flags, depth)
  return formatMap(value, verb, flags, depth)
}

function formatNil(value: Value, verb: string, flags: Flags): string {
  if (flags.sharpV) return 'interface {}(nil)'
  return verb === 'v' || value === null ? '<nil>' : badVerb(value, verb, flags)
}

function formatString(value: Value, text: string, verb: string, flags: Flags): string {
  switch (verb) {
    case 'v':
      return flags.sharpV ? quotedField(text, flags) : stringField(text, flags)
    case 's':
      return stringField(text, flags)
    case 'x':
    case 'X':
      return hexField(text, verb === 'X', flags)
    case 'q':
      return quotedField(text, flags)
    default:
      return badVerb(value, verb, flags)
  }
}

function formatInteger(value: Value, number: bigint, isSigned: boolean, verb: string, flags: Flags): string {
  switch (verb) {
    case 'v':
      if (flags.sharpV && !isSigned) return integerField(number, 16, verb, { ...flags, sharp: true })
      return integerField(number, 10, verb, flags)
    case 'd':
      return integerField(number, 10, verb, flags)
    case 'b':
      return integerField(number, 2, verb, flags)
    case 'o':
    case 'O':
      return integerField(number, 8, verb, flags)
    case 'x':
    case 'X':
      return integerField(number, 16, verb, flags)
    case 'c':
      return characterField(number, flags)
    case 'q':
      return quotedCharacterField(number, flags)
    case 'U':
      return unicodeField(number, flags)
    default:
      return badVerb(value, verb, flags)
  }
}

function formatFloatValue(value: Value, number: number, verb: string, flags: Flags): string {
  switch (verb) {
    case 'v':
      return floatField(number, 'g', -1, flags)
    case 'b':
    case 'g':
    case 'G':
    case 'x':
    case 'X':
      return floatField(number, verb, -1, flags)
    case 'f':
    case 'e':
    case 'E':
      return floatField(number, verb, 6, flags)
    case 'F':
      return floatField(number, 'f', 6, flags)
    default:
      return badVerb(value, verb, flags)
  }
}

function formatComplex(value: Complex, verb: string, flags: Flags): string {
  if (!'vbgGxXfFeE'.includes(verb)) return badVerb(value, verb, flags)
  const re = formatFloatValue(value, value.re, verb, flags)
  return `(${re}${formatFloatValue(value, value.im, verb, { ...flags, plus: true })}i)`
}

function formatList(value: Value, items: readonly Value[], verb: string, flags: Flags, depth: number): string {
  if (value instanceof TypedList && value.element === 'uint8' && 'sqxX'.includes(verb)) {
    const bytes = items.map(item => (item instanceof Int ? Number(item.value) : 0))
    return formatString(value, Buffer.from(bytes).toString('utf8'), verb, flags)
  }
  const parts = items.map(item => formatAt(item, verb, flags, depth + 1))
  return flags.sharpV ? `${typeName(value)}{${parts.join(', ')}}` : `[${parts.join(' ')}]`
}

function formatMap(value: Value, verb: string, flags: Flags, depth: number): string {
  const entries = sortedEntries(value) ?? []
  const parts = entries.map(
    ([key, item]) => `${formatAt(key, verb, flags, depth + 1)}:${formatAt(item, verb, flags, depth + 1)}`,
  )
  return flags.sharpV ? `${typeName(value)}{${parts.join(', ')}}` : `map[${parts.join(' ')}]`
}

function formatStruct(value: Struct, verb: string, flags: Flags, depth: number): string {
  const text = value.methods.get('String')
  if (text && !flags.sharpV && 'vsxXq'.includes(verb)) {
    const shown = text.call({ run: () => '', has: () => false }, [])
    if (typeof shown === 'string') return formatString(value, shown, verb, flags)
  }
  if (value.isPointer && (value.isNil || depth > 0)) {
    if ('bodxX'.includes(verb)) return formatInteger(value, value.isNil ? 0n : 1n, false, verb, flags)
    if (verb !== 'v') return `%!${verb}(${typeName(value)}=${value.isNil ? '<nil>' : '0x1'})`
    if (flags.sharpV) return `(${typeName(value)})(${value.isNil ? 'nil' : '0x1'})`
    return value.isNil ? pad('<nil>', flags) : '0x1'
  }
  const parts = [...value.fields].map(([name, item]) => {
    const shown = formatAt(item, verb, flags, depth + 1)
    return flags.plusV || flags.sharpV ? `${name}:${shown}` : shown
  })
  const body = flags.sharpV ? `${value.typeName}{${parts.join(', ')}}` : `{${parts.join(' ')}}`
  return value.isPointer ? `&${body}` : body
}

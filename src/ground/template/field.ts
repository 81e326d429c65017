import { toBytes } from './bytes.ts'
import { formatFloat } from './float.ts'
import { canBackquote, isPrint, quote, quoteRune } from './quote.ts'

/** The flags, width and precision of one verb. @source Go fmt/format.go */
export type Flags = {
  plus: boolean
  minus: boolean
  sharp: boolean
  space: boolean
  zero: boolean
  /** `%+v`: structs with field names. */
  plusV: boolean
  /** `%#v`: Go syntax. */
  sharpV: boolean
  width: number | null
  precision: number | null
}

export function noFlags(): Flags {
  return {
    plus: false,
    minus: false,
    sharp: false,
    space: false,
    zero: false,
    plusV: false,
    sharpV: false,
    width: null,
    precision: null,
  }
}

const runeCount = (text: string): number => Array.from(text).length

/** Pads to the width, counted in characters. */
export function pad(text: string, flags: Flags, zero = flags.zero): string {
  const { width } = flags
  if (width === null || width === 0) return text
  const missing = width - runeCount(text)
  if (missing <= 0) return text
  if (flags.minus) return text + ' '.repeat(missing)
  return (zero ? '0' : ' ').repeat(missing) + text
}

function truncated(text: string, flags: Flags): string {
  if (flags.precision === null) return text
  return Array.from(text).slice(0, flags.precision).join('')
}

export function stringField(text: string, flags: Flags): string {
  return pad(truncated(text, flags), flags)
}

export function quotedField(text: string, flags: Flags): string {
  const shown = truncated(text, flags)
  if (flags.sharp && canBackquote(shown)) return pad(`\`${shown}\``, flags)
  return pad(quote(shown, flags.plus), flags)
}

/** `%x` of a string: its bytes. */
export function hexField(text: string, isUpper: boolean, flags: Flags): string {
  const bytes = toBytes(text)
  const shown = flags.precision === null ? bytes : bytes.subarray(0, flags.precision)
  let pairs = [...shown].map(byte => byte.toString(16).padStart(2, '0'))
  if (isUpper) pairs = pairs.map(pair => pair.toUpperCase())
  const prefix = flags.sharp ? (isUpper ? '0X' : '0x') : ''
  if (pairs.length === 0) return ''.padEnd(flags.width ?? 0, flags.zero && !flags.minus ? '0' : ' ')
  return pad(flags.space ? pairs.map(pair => prefix + pair).join(' ') : prefix + pairs.join(''), flags)
}

/** A whole number in base 2, 8, 10 or 16. `verb` only matters for `O` and `X`. */
export function integerField(value: bigint, base: number, verb: string, flags: Flags): string {
  const isNegative = value < 0n
  if (flags.precision === 0 && value === 0n) return ' '.repeat(flags.width ?? 0)
  let digits = (isNegative ? -value : value).toString(base)
  if (verb === 'X') digits = digits.toUpperCase()
  let least = flags.precision ?? 0
  if (flags.precision === null && flags.zero && !flags.minus && flags.width !== null) {
    least = flags.width - (isNegative || flags.plus || flags.space ? 1 : 0)
  }
  digits = digits.padStart(least, '0')
  if (flags.sharp) {
    if (base === 2) digits = `0b${digits}`
    else if (base === 8 && !digits.startsWith('0')) digits = `0${digits}`
    else if (base === 16) digits = (verb === 'X' ? '0X' : '0x') + digits
  }
  if (verb === 'O') digits = `0o${digits}`
  const sign = isNegative ? '-' : flags.plus ? '+' : flags.space ? ' ' : ''
  return pad(sign + digits, flags, false)
}

/** A code point as a character; what is none becomes U+FFFD. */
function runeOf(value: bigint): number {
  return value >= 0n && value <= 0x10ffffn && !(value >= 0xd800n && value < 0xe000n) ? Number(value) : 0xfffd
}

export function characterField(value: bigint, flags: Flags): string {
  return pad(String.fromCodePoint(runeOf(value)), flags)
}

export function quotedCharacterField(value: bigint, flags: Flags): string {
  return pad(quoteRune(runeOf(value), flags.plus), flags)
}

/** `%U`: U+0041, with `#` also the character. */
export function unicodeField(value: bigint, flags: Flags): string {
  const unsigned = BigInt.asUintN(64, value)
  let text = `U+${unsigned
    .toString(16)
    .toUpperCase()
    .padStart(Math.max(4, flags.precision ?? 4), '0')}`
  if (flags.sharp && unsigned <= 0x10ffffn && isPrint(Number(unsigned))) {
    text += ` '${String.fromCodePoint(Number(unsigned))}'`
  }
  return pad(text, flags, false)
}

/** A float64; `precision` holds when the format has none, -1 for the fewest digits. */
export function floatField(value: number, verb: string, precision: number, flags: Flags): string {
  const wanted = flags.precision ?? precision
  let text = formatFloat(value, verb, wanted)
  if (!/^[+-]/.test(text)) text = `+${text}`
  if (flags.space && text.startsWith('+') && !flags.plus) text = ` ${text.slice(1)}`
  if (/^.[IN]/.test(text)) {
    if (text[1] === 'N' && !flags.space && !flags.plus) text = text.slice(1)
    else if (text.startsWith('+') && !flags.plus) text = text.slice(1).replace('Inf', '+Inf')
    return pad(text, flags, false)
  }
  if (flags.sharp && verb !== 'b') text = withPoint(text, verb, wanted)
  if (!flags.plus && text.startsWith('+')) return pad(text.slice(1), flags)
  const width = flags.width ?? 0
  if (flags.zero && !flags.minus && width > text.length) return text[0] + text.slice(1).padStart(width - 1, '0')
  return pad(text, flags)
}

/** `#` keeps the decimal point and the zeros at the end. */
function withPoint(signed: string, verb: string, precision: number): string {
  const split = /^(.)(.*?)([pP].*|[eE][+-].*)?$/.exec(signed)!
  let number = split[2]!
  let digits = 0
  if (verb === 'g' || verb === 'G' || verb === 'x') digits = precision === -1 ? 6 : precision
  const significant = number.replace('.', '').replace(/^0+/, '').length
  digits -= significant
  if (!number.includes('.')) {
    if (number === '0') digits--
    number += '.'
  }
  return split[1]! + number + '0'.repeat(Math.max(0, digits)) + (split[3] ?? '')
}

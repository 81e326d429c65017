import type { NumberNode } from './node.ts'
import { QuoteSyntaxError, unquoteChar } from './quote.ts'

/** The text is no number; the message says why, in Go's words. */
export class NumberSyntaxError extends Error {
  override readonly name = 'NumberSyntaxError'
}

const int64Max = 2n ** 63n - 1n
const uint64Max = 2n ** 64n - 1n

/**
 * A whole number in Go's syntax: signs, `0x`, `0o`, `0b`, a leading 0 for octal, `_` between digits.
 * @returns null when it isn't one. No bound on its size.
 */
export function parseInteger(text: string): bigint | null {
  const match =
    /^([+-]?)(0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|0[bB]_?[01]+(?:_[01]+)*|0[oO]_?[0-7]+(?:_[0-7]+)*|0(?:_?[0-7]+)*|[1-9][0-9]*(?:_[0-9]+)*)$/.exec(
      text,
    )
  if (!match) return null
  const digits = match[2]!.replaceAll('_', '').toLowerCase()
  const value = BigInt(/^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits)
  return match[1] === '-' ? -value : value
}

/** A floating-point number in Go's syntax, hexadecimal too. @returns null when it isn't one. */
export function parseFloatLiteral(text: string): number | null {
  const bare = /^[+-]?0[xX]/.test(text)
    ? text.replace(/(?<=[0-9a-fA-FxX])_(?=[0-9a-fA-F])/g, '')
    : text.replace(/(?<=[0-9])_(?=[0-9])/g, '')
  if (/^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(bare)) {
    const value = Number(bare)
    return Number.isFinite(value) ? value : null
  }
  const hex = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?[0-9]+)$/.exec(bare)
  if (!hex || `${hex[2]}${hex[3]}` === '' || Math.abs(Number(hex[4])) > 5000) return null
  const mantissa = Number(BigInt(`0x${hex[2]}${hex[3]}`))
  const value = mantissa * 2 ** (Number(hex[4]) - 4 * hex[3]!.length)
  return Number.isFinite(value) ? (hex[1] === '-' ? -value : value) : null
}

/**
 * Reads a number token.
 * @throws NumberSyntaxError
 * @source Go text/template/parse/node.go newNumber
 */
export function parseNumber(at: number, text: string, token: 'number' | 'complex' | 'charConstant'): NumberNode {
  if (token === 'charConstant') return character(at, text)
  if (token === 'complex') return imaginaryPair(at, text)
  if (text.endsWith('i')) {
    const im = parseFloatLiteral(text.slice(0, -1))
    if (im !== null) return complexNode(at, text, 0, im)
  }
  const whole = parseInteger(text)
  const int = whole !== null && whole >= -int64Max - 1n && whole <= int64Max ? whole : null
  const isUnsigned = whole !== null && whole <= uint64Max && whole >= 0n
  const uint = isUnsigned && !/^[+-]/.test(text.replace(/^[+-]0+$/, '0')) ? whole : null
  if (int !== null || uint !== null) {
    return { kind: 'number', at, text, int, uint, float: Number(int ?? uint), complex: null }
  }
  const float = parseFloatLiteral(text)
  if (float === null) throw new NumberSyntaxError(`illegal number syntax: ${JSON.stringify(text)}`)
  if (!/[.eEpP]/.test(text)) throw new NumberSyntaxError(`integer overflow: ${JSON.stringify(text)}`)
  const fits = Number.isInteger(float) && Math.abs(float) < 2 ** 63
  const asInt = fits ? BigInt(float) : null
  const asUint = Number.isInteger(float) && float >= 0 && float < 2 ** 64 ? BigInt(float) : null
  return { kind: 'number', at, text, int: asInt, uint: asUint, float, complex: null }
}

function character(at: number, text: string): NumberNode {
  let read: { code: number; next: number }
  try {
    read = unquoteChar(text, 1, "'")
  } catch (error) {
    if (error instanceof QuoteSyntaxError) throw new NumberSyntaxError('invalid syntax')
    throw error
  }
  if (read.next !== text.length - 1) throw new NumberSyntaxError(`malformed character constant: ${text}`)
  const code = BigInt(read.code)
  return { kind: 'number', at, text, int: code, uint: code, float: read.code, complex: null }
}

function imaginaryPair(at: number, text: string): NumberNode {
  const match = /^([+-]?.*?[^eEpP+-])([+-].*)i$/.exec(text)
  const re = match ? parseFloatLiteral(match[1]!) : null
  const im = match ? parseFloatLiteral(match[2]!) : null
  if (re === null || im === null) throw new NumberSyntaxError('syntax error scanning complex number')
  return complexNode(at, text, re, im)
}

// Simplified as Go does: an imaginary part of zero makes it a plain number.
function complexNode(at: number, text: string, re: number, im: number): NumberNode {
  const isReal = im === 0
  const isWhole = isReal && Number.isInteger(re)
  return {
    kind: 'number',
    at,
    text,
    int: isWhole && Math.abs(re) < 2 ** 63 ? BigInt(re) : null,
    uint: isWhole && re >= 0 && re < 2 ** 64 ? BigInt(re) : null,
    float: isReal ? re : null,
    complex: { re, im },
  }
}

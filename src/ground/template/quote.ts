import { isEscapedByte } from './bytes.ts'

/** Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space. */
export function isPrint(codePoint: number): boolean {
  if (codePoint < 0x7f) return codePoint >= 0x20
  if (codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint < 0xe000)) return false
  return /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(String.fromCodePoint(codePoint))
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')

const named: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  12: '\\f',
  10: '\\n',
  13: '\\r',
  9: '\\t',
  11: '\\v',
}

/** One character of a quoted text. @source Go strconv/quote.go */
function escaped(codePoint: number, quote: string, asciiOnly: boolean): string {
  if (isEscapedByte(codePoint)) return `\\x${hex(codePoint - 0xdc00, 2)}`
  const char = String.fromCodePoint(codePoint)
  if (char === quote || char === '\\') return `\\${char}`
  if (asciiOnly ? codePoint < 0x80 && isPrint(codePoint) : isPrint(codePoint)) return char
  const short = named[codePoint]
  if (short !== undefined) return short
  if (codePoint < 0x20 || codePoint === 0x7f) return `\\x${hex(codePoint, 2)}`
  return codePoint < 0x10000 ? `\\u${hex(codePoint, 4)}` : `\\U${hex(codePoint, 8)}`
}

/** Go's `strconv.Quote`, or `QuoteToASCII`. */
export function quote(text: string, asciiOnly = false): string {
  let out = '"'
  for (const char of text) out += escaped(char.codePointAt(0)!, '"', asciiOnly)
  return `${out}"`
}

/** Go's `strconv.QuoteRune`, or `QuoteRuneToASCII`. */
export function quoteRune(codePoint: number, asciiOnly = false): string {
  const valid = codePoint >= 0 && codePoint <= 0x10ffff && !(codePoint >= 0xd800 && codePoint < 0xe000)
  return `'${escaped(valid ? codePoint : 0xfffd, "'", asciiOnly)}'`
}

/** Can the text stand between backticks unchanged? Go's `strconv.CanBackquote`. */
export function canBackquote(text: string): boolean {
  for (const char of text) {
    const code = char.codePointAt(0)!
    if (code === 0xfeff || code === 0x60 || code === 0x7f || (code < 0x20 && code !== 9)) return false
    if (isEscapedByte(code)) return false
  }
  return true
}

/** The text is no quoted Go literal. */
export class QuoteSyntaxError extends Error {
  override readonly name = 'QuoteSyntaxError'

  constructor() {
    super('invalid syntax')
  }
}

/** What a literal between `"`, or between backticks, stands for. @throws QuoteSyntaxError */
export function unquote(literal: string): string {
  const mark = literal[0]
  if (literal.length < 2 || mark !== literal.at(-1)) throw new QuoteSyntaxError()
  const body = literal.slice(1, -1)
  if (mark === '`') {
    if (body.includes('`')) throw new QuoteSyntaxError()
    return body.replaceAll('\r', '')
  }
  if (!body.includes('\\')) return body
  let out = ''
  const pending: number[] = []
  const flush = (): void => {
    if (pending.length > 0) out += bytesToText(pending.splice(0))
  }
  for (let i = 0; i < body.length; ) {
    const char = unquoteChar(body, i, '"')
    if (char.isByte && char.code >= 0x80) pending.push(char.code)
    else {
      flush()
      out += String.fromCodePoint(char.code)
    }
    i = char.next
  }
  flush()
  return out
}

// Bytes written as \xNN or \NNN may together be one character.
function bytesToText(bytes: readonly number[]): string {
  const text = Buffer.from(bytes).toString('utf8')
  if (Buffer.from(text, 'utf8').equals(Buffer.from(bytes))) return text
  return bytes.map(byte => String.fromCharCode(0xdc00 + byte)).join('')
}

const simple: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92 }
const numeric: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

/**
 * One character of a literal. `isByte` when it was written as a byte (`\x41`, `\101`).
 * @throws QuoteSyntaxError
 * @source Go strconv.UnquoteChar
 */
export function unquoteChar(text: string, at: number, mark: string): { code: number; isByte: boolean; next: number } {
  const code = text.codePointAt(at)
  if (code === undefined || text[at] === mark) throw new QuoteSyntaxError()
  if (code !== 92) return { code, isByte: false, next: at + (code > 0xffff ? 2 : 1) }
  const letter = text[at + 1] ?? ''
  const plain = simple[letter]
  if (plain !== undefined) return { code: plain, isByte: false, next: at + 2 }
  const digits = numeric[letter]
  if (digits !== undefined) {
    const written = text.slice(at + 2, at + 2 + digits)
    if (written.length < digits || !/^[0-9a-fA-F]+$/.test(written)) throw new QuoteSyntaxError()
    const value = Number.parseInt(written, 16)
    const isByte = letter === 'x'
    if (!isByte && (value > 0x10ffff || (value >= 0xd800 && value < 0xe000))) throw new QuoteSyntaxError()
    return { code: value, isByte, next: at + 2 + digits }
  }
  const octal = /^[0-7]{3}/.exec(text.slice(at + 1, at + 4))
  if (octal) {
    const value = Number.parseInt(octal[0], 8)
    if (value > 255) throw new QuoteSyntaxError()
    return { code: value, isByte: true, next: at + 4 }
  }
  if (letter === mark && (letter === "'" || letter === '"'))
    return { code: letter.charCodeAt(0), isByte: false, next: at + 2 }
  throw new QuoteSyntaxError()
}

import { unescapeString, unindentHeredoc } from './strings.ts'
import { HclError, type Position } from './tree.ts'

export type TokenKind =
  | 'end'
  | 'identifier'
  | 'bool'
  | 'string'
  | 'heredoc'
  | 'integer'
  | 'float'
  | '{'
  | '}'
  | '['
  | ']'
  | ','
  | '='

/** `text` is as written; `value` is what a string, heredoc or identifier means. */
export type Token = { readonly kind: TokenKind; readonly text: string; readonly value: string; readonly at: Position }

const identifier = /[\p{L}_][\p{L}\p{Nd}_.-]*/uy
const number = /-?(?:0[xX][0-9a-fA-F]*|\d+(?:\.\d*)?(?:[eE][+-]?\d*)?|\.\d+(?:[eE][+-]?\d*)?)/y
const blanks = /[ \t\r\n]*/y
const lineComment = /(?:#|\/\/)[^\n]*/y
const heredocHead = /<<(-?)([\p{L}_\p{Nd}]*)(\r?\n)?/uy

/** Cuts HCL1 into tokens; comments and blanks are skipped. */
export class Scanner {
  readonly #text: string
  readonly #file: string | null
  #at = 0
  #line = 1
  #lineStart = 0

  constructor(text: string, file: string | null) {
    this.#text = text.replaceAll('\r\n', '\n')
    this.#file = file
  }

  next(): Token {
    this.#skip()
    const at = this.#position()
    const char = this.#text[this.#at]
    if (char === undefined) return { kind: 'end', text: '', value: '', at }
    switch (char) {
      case '{':
      case '}':
      case '[':
      case ']':
      case ',':
      case '=':
        this.#at++
        return { kind: char, text: char, value: char, at }
      case '"':
        return this.#string(at)
      case '<':
        return this.#heredoc(at)
      default:
        return this.#word(at)
    }
  }

  error(at: Position, what: string): HclError {
    return new HclError(this.#file, at, what)
  }

  #position(): Position {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 }
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#text)
  }

  // Moves on, keeping count of the lines in what is passed.
  #advance(length: number): void {
    const end = this.#at + length
    for (
      let feed = this.#text.indexOf('\n', this.#at);
      feed >= 0 && feed < end;
      feed = this.#text.indexOf('\n', feed + 1)
    ) {
      this.#line++
      this.#lineStart = feed + 1
    }
    this.#at = end
  }

  #skip(): void {
    for (;;) {
      this.#advance(this.#match(blanks)![0].length)
      const comment = this.#match(lineComment)
      if (comment) this.#advance(comment[0].length)
      else if (this.#text.startsWith('/*', this.#at)) {
        const end = this.#text.indexOf('*/', this.#at + 2)
        if (end < 0) throw this.error(this.#position(), 'comment not terminated: /* needs a */')
        this.#advance(end + 2 - this.#at)
      } else return
    }
  }

  #word(at: Position): Token {
    const name = this.#match(identifier)
    if (name) {
      this.#at += name[0].length
      const kind = name[0] === 'true' || name[0] === 'false' ? 'bool' : 'identifier'
      return { kind, text: name[0], value: name[0], at }
    }
    const digits = this.#match(number)
    if (digits) return this.#number(digits[0], at)
    const char = String.fromCodePoint(this.#text.codePointAt(this.#at)!)
    if (char === ':') throw this.error(at, 'illegal character ":": in HCL write name = value')
    if (char === "'") throw this.error(at, 'illegal character "\'": text stands in double quotes')
    throw this.error(at, `illegal character ${JSON.stringify(char)}`)
  }

  #number(text: string, at: Position): Token {
    this.#at += text.length
    if (/^-?0[xX]/.test(text)) {
      if (!/[0-9a-fA-F]$/.test(text)) throw this.error(at, `illegal hexadecimal number ${text}`)
      return { kind: 'integer', text, value: text, at }
    }
    if (/[.eE]/.test(text)) {
      if (/[eE][+-]?$/.test(text)) throw this.error(at, `illegal number ${text}: an exponent needs digits`)
      return { kind: 'float', text, value: text, at }
    }
    if (/^-?0[0-9]*[89]/.test(text)) throw this.error(at, `illegal octal number ${text}: a leading 0 means octal`)
    return { kind: 'integer', text, value: text, at }
  }

  #string(at: Position): Token {
    const start = this.#at
    const end = this.#endOfString(start + 1, at)
    const body = this.#text.slice(start + 1, end)
    this.#advance(end + 1 - start)
    const value = unescapeString(body)
    if (value === null) {
      throw this.error(
        at,
        'illegal escape in a string: known are \\\\ \\" \\n \\r \\t \\a \\b \\f \\v \\123 \\x7f \\u00e9',
      )
    }
    return { kind: 'string', text: `"${body}"`, value, at }
  }

  // The index of the closing quote. Quotes and line feeds inside `${…}` belong to it.
  #endOfString(from: number, at: Position): number {
    let braces = 0
    for (let i = from; i < this.#text.length; i++) {
      const char = this.#text[i]
      if (char === '"' && braces === 0) return i
      if (char === '\n' && braces === 0) break
      if (char === '\\') i++
      else if (braces === 0 && char === '$' && this.#text[i + 1] === '{') {
        braces = 1
        i++
      } else if (braces > 0 && char === '{') braces++
      else if (braces > 0 && char === '}') braces--
    }
    const what = braces > 0 ? '"${" without its "}"' : 'the closing quote is missing on this line'
    throw this.error(at, `literal not terminated: ${what}`)
  }

  #heredoc(at: Position): Token {
    const head = this.#match(heredocHead)
    if (!head) throw this.error(at, 'heredoc expected second "<": write <<NAME')
    const [whole, dash = '', anchor = '', feed] = head
    if (anchor === '') throw this.error(at, 'zero-length heredoc anchor: write <<NAME')
    if (feed === undefined) throw this.error(at, `heredoc anchor ${anchor}: the line must end right after it`)
    const start = this.#at + whole.length
    let lineAt = start
    for (;;) {
      const end = this.#text.indexOf('\n', lineAt)
      if (end < 0) throw this.error(at, `heredoc not terminated: a line with ${anchor} alone is missing`)
      if (isAnchorLine(this.#text.slice(lineAt, end), anchor)) {
        const body = this.#text.slice(start, lineAt)
        const indent = /^\s*/.exec(this.#text.slice(lineAt, end))![0]
        this.#advance(end + 1 - this.#at)
        const value = dash === '' ? body + indent : unindentHeredoc(body, indent)
        return { kind: 'heredoc', text: whole, value, at }
      }
      lineAt = end + 1
    }
  }
}

function isAnchorLine(line: string, anchor: string): boolean {
  return line.trim() === anchor && /^[ \t\n\v\f\r]*[\p{L}_\p{Nd}]+\r*$/u.test(line)
}

import { isPrint, quote } from './quote.ts'
import { keywords, type Token, type TokenKind } from './token.ts'

const end = -1

function isSpace(code: number): boolean {
  return code === 32 || code === 9 || code === 13 || code === 10
}

const letterOrDigit = /[\p{L}\p{Nd}]/u

function isAlphaNumeric(code: number): boolean {
  if (code < 0x80) {
    return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57) || code === 95
  }
  return letterOrDigit.test(String.fromCodePoint(code))
}

function countLines(text: string): number {
  let count = 0
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) count++
  return count
}

// The characters that may follow a name: . , | : ) (
const terminators = new Set([46, 44, 124, 58, 41, 40])

/**
 * Cuts a template into tokens, on demand. After an error it only gives the end.
 * @source Go text/template/parse/lex.go
 */
export class Lexer {
  #input: string
  readonly #left: string
  readonly #right: string
  readonly #isFunction: (name: string) => boolean
  #pos = 0
  #start = 0
  #atEnd = false
  #parens = 0
  #line = 1
  #startLine = 1
  #insideAction = false

  /** @param isFunction tells whether a name is a function: one named `break` or `continue` shadows the keyword. */
  constructor(input: string, left: string, right: string, isFunction: (name: string) => boolean) {
    this.#input = input
    this.#left = left
    this.#right = right
    this.#isFunction = isFunction
  }

  next(): Token {
    if (this.#insideAction) return this.#lexAction()
    return this.#lexText()
  }

  // Characters

  #read(): number {
    const code = this.#input.codePointAt(this.#pos)
    if (code === undefined) {
      this.#atEnd = true
      return end
    }
    this.#pos += code > 0xffff ? 2 : 1
    if (code === 10) this.#line++
    return code
  }

  #back(): void {
    if (this.#atEnd || this.#pos === 0) return
    this.#pos--
    const unit = this.#input.charCodeAt(this.#pos)
    if (unit === 10) this.#line--
    if (unit >= 0xdc00 && unit < 0xe000 && (this.#input.codePointAt(this.#pos - 1) ?? 0) > 0xffff) this.#pos--
  }

  #peek(): number {
    return this.#input.codePointAt(this.#pos) ?? end
  }

  #accept(valid: string): boolean {
    const char = this.#input[this.#pos]
    if (char === undefined || !valid.includes(char)) return false
    this.#pos++
    return true
  }

  #acceptRun(valid: string): void {
    while (this.#accept(valid));
  }

  // Tokens

  #emit(kind: TokenKind): Token {
    const token = { kind, at: this.#start, text: this.#input.slice(this.#start, this.#pos), line: this.#startLine }
    this.#start = this.#pos
    this.#startLine = this.#line
    return token
  }

  #fail(text: string): Token {
    const token: Token = { kind: 'error', at: this.#start, text, line: this.#startLine }
    this.#input = ''
    this.#pos = 0
    this.#start = 0
    this.#insideAction = false
    return token
  }

  #skipped(): void {
    this.#line += countLines(this.#input.slice(this.#start, this.#pos))
    this.#start = this.#pos
    this.#startLine = this.#line
  }

  // Text and delimiters

  #lexText(): Token {
    for (;;) {
      const found = this.#input.indexOf(this.#left, this.#pos)
      if (found < 0) {
        this.#pos = this.#input.length
        if (this.#pos === this.#start) return this.#emit('eof')
        this.#line += countLines(this.#input.slice(this.#start, this.#pos))
        return this.#emit('text')
      }
      if (found > this.#pos) {
        let keep = found
        if (this.#hasLeftTrim(found + this.#left.length)) {
          while (keep > this.#start && isSpace(this.#input.charCodeAt(keep - 1))) keep--
        }
        this.#pos = keep
        this.#line += countLines(this.#input.slice(this.#start, this.#pos))
        const token = this.#emit('text')
        this.#pos = found
        this.#skipped()
        if (token.text !== '') return token
      }
      const opened = this.#lexLeftDelim()
      if (opened) return opened
    }
  }

  /** The token of an opened action or of an error, null when a comment was skipped. */
  #lexLeftDelim(): Token | null {
    this.#pos += this.#left.length
    const marker = this.#hasLeftTrim(this.#pos) ? 2 : 0
    if (this.#input.startsWith('/*', this.#pos + marker)) {
      this.#pos += marker
      this.#skipped()
      return this.#lexComment()
    }
    const token = this.#emit('leftDelim')
    this.#insideAction = true
    this.#pos += marker
    this.#skipped()
    this.#parens = 0
    return token
  }

  #lexComment(): Token | null {
    const close = this.#input.indexOf('*/', this.#pos + 2)
    if (close < 0) return this.#fail('unclosed comment')
    this.#pos = close + 2
    const delim = this.#rightDelim()
    if (!delim) return this.#fail('comment ends before closing delimiter')
    this.#pos += delim.trims ? 2 : 0
    this.#pos += this.#right.length
    if (delim.trims) this.#skipSpaces()
    this.#skipped()
    return null
  }

  #skipSpaces(): void {
    while (isSpace(this.#input.charCodeAt(this.#pos))) this.#pos++
  }

  #hasLeftTrim(at: number): boolean {
    return this.#input[at] === '-' && isSpace(this.#input.charCodeAt(at + 1))
  }

  #hasRightTrim(at: number): boolean {
    return isSpace(this.#input.charCodeAt(at)) && this.#input[at + 1] === '-'
  }

  #rightDelim(): { trims: boolean } | null {
    if (this.#hasRightTrim(this.#pos) && this.#input.startsWith(this.#right, this.#pos + 2)) return { trims: true }
    return this.#input.startsWith(this.#right, this.#pos) ? { trims: false } : null
  }

  #lexRightDelim(trims: boolean): Token {
    if (trims) {
      this.#pos += 2
      this.#skipped()
    }
    this.#pos += this.#right.length
    const token = this.#emit('rightDelim')
    if (trims) {
      this.#skipSpaces()
      this.#skipped()
    }
    this.#insideAction = false
    return token
  }

  // Inside an action

  #lexAction(): Token {
    const delim = this.#rightDelim()
    if (delim) return this.#parens === 0 ? this.#lexRightDelim(delim.trims) : this.#fail('unclosed left paren')
    const code = this.#read()
    if (code === end) return this.#fail('unclosed action')
    if (isSpace(code)) {
      this.#back()
      return this.#lexSpace()
    }
    switch (String.fromCodePoint(code)) {
      case '=':
        return this.#emit('assign')
      case ':':
        return this.#read() === 61 ? this.#emit('declare') : this.#fail('expected :=')
      case '|':
        return this.#emit('pipe')
      case '"':
        return this.#lexQuoted('string', 34, 'unterminated quoted string')
      case '`':
        return this.#lexRawQuoted()
      case '$':
        return this.#lexName('variable')
      case "'":
        return this.#lexQuoted('charConstant', 39, 'unterminated character constant')
      case '(':
        this.#parens++
        return this.#emit('leftParen')
      case ')':
        this.#parens--
        return this.#parens < 0 ? this.#fail('unexpected right paren') : this.#emit('rightParen')
      default:
        return this.#lexWord(code)
    }
  }

  #lexWord(code: number): Token {
    if (code === 46 && this.#pos < this.#input.length) {
      const following = this.#input.charCodeAt(this.#pos)
      if (following < 48 || following > 57) return this.#lexName('field')
    }
    if (code === 46 || code === 43 || code === 45 || (code >= 48 && code <= 57)) {
      this.#back()
      return this.#lexNumber()
    }
    if (isAlphaNumeric(code)) {
      this.#back()
      return this.#lexIdentifier()
    }
    if (code < 0x80 && isPrint(code)) return this.#emit('char')
    return this.#fail(`unrecognized character in action: ${describeCharacter(code)}`)
  }

  // A space may begin the trim marker of the right delimiter.
  #lexSpace(): Token {
    const from = this.#pos
    while (isSpace(this.#peek())) this.#read()
    if (this.#hasRightTrim(this.#pos - 1) && this.#input.startsWith(this.#right, this.#pos + 1)) {
      this.#back()
      if (this.#pos === from) return this.#lexRightDelim(true)
    }
    return this.#emit('space')
  }

  #lexIdentifier(): Token {
    while (isAlphaNumeric(this.#peek())) this.#read()
    const word = this.#input.slice(this.#start, this.#pos)
    if (!this.#atTerminator()) return this.#fail(`bad character ${describeCharacter(this.#peek())}`)
    if (keywords.has(word)) {
      const isShadowed = (word === 'break' || word === 'continue') && this.#isFunction(word)
      return this.#emit(isShadowed ? 'identifier' : (word as TokenKind))
    }
    return this.#emit(word === 'true' || word === 'false' ? 'bool' : 'identifier')
  }

  #lexName(kind: 'field' | 'variable'): Token {
    if (this.#atTerminator()) return this.#emit(kind === 'variable' ? 'variable' : '.')
    while (isAlphaNumeric(this.#peek())) this.#read()
    if (!this.#atTerminator()) return this.#fail(`bad character ${describeCharacter(this.#peek())}`)
    return this.#emit(kind)
  }

  #atTerminator(): boolean {
    const code = this.#peek()
    if (code === end || isSpace(code) || terminators.has(code)) return true
    return this.#input.startsWith(this.#right, this.#pos)
  }

  #lexQuoted(kind: TokenKind, mark: number, complaint: string): Token {
    for (;;) {
      let code = this.#read()
      if (code === mark) return this.#emit(kind)
      if (code === 92) {
        code = this.#read()
        if (code !== end && code !== 10) continue
      }
      if (code === end || code === 10) return this.#fail(complaint)
    }
  }

  #lexRawQuoted(): Token {
    for (;;) {
      const code = this.#read()
      if (code === 96) return this.#emit('rawString')
      if (code === end) return this.#fail('unterminated raw quoted string')
    }
  }

  #lexNumber(): Token {
    const bad = (): Token => this.#fail(`bad number syntax: ${quote(this.#input.slice(this.#start, this.#pos))}`)
    if (!this.#scanNumber()) return bad()
    const sign = this.#peek()
    if (sign !== 43 && sign !== 45) return this.#emit('number')
    if (!this.#scanNumber() || this.#input[this.#pos - 1] !== 'i') return bad()
    return this.#emit('complex')
  }

  // Not a perfect scanner: it takes `0x0.2` and `089`, which the parser refuses.
  #scanNumber(): boolean {
    this.#accept('+-')
    let digits = '0123456789_'
    if (this.#accept('0')) {
      if (this.#accept('xX')) digits = '0123456789abcdefABCDEF_'
      else if (this.#accept('oO')) digits = '01234567_'
      else if (this.#accept('bB')) digits = '01_'
    }
    this.#acceptRun(digits)
    if (this.#accept('.')) this.#acceptRun(digits)
    if (this.#accept(digits.length === 11 ? 'eE' : digits.length === 23 ? 'pP' : '')) {
      this.#accept('+-')
      this.#acceptRun('0123456789_')
    }
    this.#accept('i')
    if (!isAlphaNumeric(this.#peek())) return true
    this.#read()
    return false
  }
}

/** Go's `%#U`. */
function describeCharacter(code: number): string {
  const shown = isPrint(code) ? ` '${String.fromCodePoint(code)}'` : ''
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}${shown}`
}

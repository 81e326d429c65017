/** One file of the tree, taken apart once; all rules read from here. */
export type Source = {
  readonly path: string
  readonly text: string
  /** The text with comments and the insides of strings and regular expressions blanked; same length, same lines. */
  readonly code: string
  /** The text with everything but comments blanked. */
  readonly comments: string
  readonly imports: readonly Import[]
  /** The insides of string and template literals, escapes undone where simple; `${…}` stands as a NUL. */
  readonly strings: readonly string[]
}

export type Import = {
  readonly specifier: string
  readonly line: number
  readonly isDynamic: boolean
}

type Piece = 'code' | 'comment' | 'string'

const regexMayFollow =
  /(?:^|[=(,;:!&|?{}[+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else|void|delete|await|yield|throw))\s*$/

/** Reads a TypeScript file without a parser: TypeScript 7 has no stable compiler API, and import lines suffice. */
export function readSource(path: string, text: string): Source {
  const scanner = new Scanner(text)
  scanner.scan()
  const code = scanner.masked('code')
  return {
    path,
    text,
    code,
    comments: scanner.masked('comment'),
    imports: findImports(text, code),
    strings: scanner.strings,
  }
}

export function lineOf(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++
  return line
}

function findImports(text: string, code: string): Import[] {
  const found: Import[] = []
  for (const match of code.matchAll(/\bfrom\s*(?=['"])|\bimport\s*(\(\s*)?(?=['"])/g)) {
    const start = match.index + match[0].length
    const end = text.indexOf(text[start]!, start + 1)
    found.push({
      specifier: text.slice(start + 1, end),
      line: lineOf(text, match.index),
      isDynamic: match[1] !== undefined,
    })
  }
  return found
}

class Scanner {
  readonly strings: string[] = []
  readonly #text: string
  readonly #kinds: Piece[] = []
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  scan(): void {
    this.#code(null)
  }

  masked(keep: Piece): string {
    let out = ''
    for (let at = 0; at < this.#text.length; at++) {
      const character = this.#text[at]!
      out += this.#kinds[at] === keep || character === '\n' ? character : ' '
    }
    return out
  }

  /** Code until the text ends, or until the brace that closes a `${`. */
  #code(closing: '}' | null): void {
    let depth = 0
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at]!
      const next = this.#text[this.#at + 1]
      if (character === '/' && next === '/') this.#comment('\n')
      else if (character === '/' && next === '*') this.#comment('*/')
      else if (character === "'" || character === '"') this.#quoted(character)
      else if (character === '`') this.#template()
      else if (character === '/' && this.#regexMayStart()) this.#regex()
      else {
        if (character === '{') depth++
        if (character === '}' && depth-- === 0 && closing !== null) return
        this.#take('code')
      }
    }
  }

  #take(kind: Piece): void {
    this.#kinds[this.#at++] = kind
  }

  #comment(end: string): void {
    const found = this.#text.indexOf(end, this.#at + 2)
    const stop = found === -1 ? this.#text.length : found + (end === '*/' ? 2 : 0)
    while (this.#at < stop) this.#take('comment')
  }

  #quoted(quote: string): void {
    this.#take('code')
    const start = this.#at
    while (this.#at < this.#text.length && this.#text[this.#at] !== quote && this.#text[this.#at] !== '\n') {
      if (this.#text[this.#at] === '\\') this.#take('string')
      this.#take('string')
    }
    this.strings.push(unescape(this.#text.slice(start, this.#at)))
    this.#take('code')
  }

  #template(): void {
    this.#take('code')
    let literal = ''
    while (this.#at < this.#text.length && this.#text[this.#at] !== '`') {
      if (this.#text[this.#at] === '$' && this.#text[this.#at + 1] === '{') {
        this.#take('code')
        this.#take('code')
        this.#code('}')
        this.#take('code')
        literal += '\u0000'
        continue
      }
      if (this.#text[this.#at] === '\\') {
        literal += '\\'
        this.#take('string')
      }
      literal += this.#text[this.#at] ?? ''
      this.#take('string')
    }
    this.strings.push(unescape(literal))
    this.#take('code')
  }

  #regexMayStart(): boolean {
    let before = ''
    for (let at = this.#at - 1; at >= 0 && before.length < 24; at--) {
      if (this.#kinds[at] === 'code') before = this.#text[at]! + before
    }
    return regexMayFollow.test(before)
  }

  #regex(): void {
    let inClass = false
    this.#take('code')
    while (this.#at < this.#text.length && this.#text[this.#at] !== '\n') {
      const character = this.#text[this.#at]!
      if (character === '/' && !inClass) break
      if (character === '[') inClass = true
      if (character === ']') inClass = false
      if (character === '\\') this.#take('string')
      this.#take('string')
    }
    this.#take('code')
  }
}

function unescape(literal: string): string {
  return literal.replace(/\\(['"`\\$])/g, '$1')
}

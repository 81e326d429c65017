import { JsonError, parseJson } from '#ground/text/json-parse.ts'
import { HclError, type HclItem, type HclObject, type HclValue, hclDepthMax, type Position } from './tree.ts'

const blanks = /[ \t\r\n]*/y
const stringShape = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const numberShape = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const words = /true|false|null/y

/**
 * Reads JSON into the tree of HCL, with positions and repeated keys; a comma may trail. Objects stay maps: whether one
 * is a labelled block is for the reader to say, who knows the names.
 * @throws HclError
 */
export function parseHclJson(text: string, file: string | null): HclObject {
  return new Parser(text, file).document()
}

class Parser {
  readonly #text: string
  readonly #file: string | null
  #at = 0
  #line = 1
  #lineStart = 0

  constructor(text: string, file: string | null) {
    this.#text = text
    this.#file = file
  }

  document(): HclObject {
    this.#skip()
    const value = this.#object(1)
    this.#skip()
    if (this.#at < this.#text.length) throw this.#error('nothing may follow the closing "}"')
    return value
  }

  #position(): Position {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 }
  }

  #error(what: string, at = this.#position()): HclError {
    return new HclError(this.#file, at, what)
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0] ?? null
    if (found === null) return null
    const end = this.#at + found.length
    for (
      let feed = this.#text.indexOf('\n', this.#at);
      feed >= 0 && feed < end;
      feed = this.#text.indexOf('\n', feed + 1)
    ) {
      this.#line++
      this.#lineStart = feed + 1
    }
    this.#at = end
    return found
  }

  #skip(): void {
    this.#match(blanks)
  }

  #is(char: string): boolean {
    this.#skip()
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }

  #object(depth: number): HclObject {
    const at = this.#position()
    if (depth > hclDepthMax) throw this.#error(`more than ${hclDepthMax} objects or lists inside one another`)
    this.#at++
    const items: HclItem[] = []
    while (!this.#is('}')) {
      const keyAt = this.#position()
      const name = this.#string('expected a key in double quotes or "}"')
      if (!this.#is(':')) throw this.#error(`expected ":" after the key "${name}"`)
      this.#skip()
      items.push({ name, labels: [], value: this.#value(depth + 1), isAssigned: true, at: keyAt })
      if (!this.#is(',') && this.#text[this.#at] !== '}') throw this.#error('expected "," or "}" in an object')
    }
    return { kind: 'object', items, at }
  }

  #value(depth: number): HclValue {
    const at = this.#position()
    const char = this.#text[this.#at]
    if (char === '{') return this.#object(depth)
    if (char === '[') return this.#list(depth)
    if (char === '"') return { kind: 'string', value: this.#string('expected a string'), at }
    const word = this.#match(words)
    if (word === 'null') return { kind: 'null', at }
    if (word !== null) return { kind: 'bool', value: word === 'true', at }
    const number = this.#match(numberShape)
    if (number === null) throw this.#error('expected a value')
    return { kind: 'number', value: Number(number), text: number, isFloat: /[.eE]/.test(number), at }
  }

  #list(depth: number): HclValue {
    const at = this.#position()
    if (depth > hclDepthMax) throw this.#error(`more than ${hclDepthMax} objects or lists inside one another`)
    this.#at++
    const values: HclValue[] = []
    while (!this.#is(']')) {
      values.push(this.#value(depth + 1))
      if (!this.#is(',') && this.#text[this.#at] !== ']') throw this.#error('expected "," or "]" in a list')
    }
    return { kind: 'list', values, at }
  }

  #string(expected: string): string {
    this.#skip()
    const at = this.#position()
    const text = this.#match(stringShape)
    if (text === null) {
      const isOpen = this.#text[this.#at] === '"'
      throw this.#error(isOpen ? 'a string with an illegal escape, a raw control character or no end' : expected, at)
    }
    try {
      return parseJson(text) as string
    } catch (error) {
      if (error instanceof JsonError) throw this.#error(error.message, at)
      throw error
    }
  }
}

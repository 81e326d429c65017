import { parseHclJson } from './json.ts'
import { Scanner, type Token, type TokenKind } from './scan.ts'
import {
  HclError,
  type HclItem,
  type HclLabel,
  type HclList,
  type HclNumber,
  type HclObject,
  type HclValue,
  hclDepthMax,
  hclSizeMax,
  type Position,
} from './tree.ts'

/**
 * Reads HCL1, the language of Vault's policies and configuration files, or JSON, when the first character is `{`.
 * @param file names the input in errors; null when it has no name
 * @throws HclError
 * @source hashicorp/hcl (version 1) hcl/parser, hcl/scanner; json/parser
 */
export function parseHcl(text: string, file: string | null = null): HclObject {
  const start = { line: 1, column: 1 }
  if (text.length > hclSizeMax) throw new HclError(file, start, `the input is larger than ${hclSizeMax} bytes`)
  const source = text.startsWith('\ufeff') ? text.slice(1) : text
  if (/^\s*\{/.test(source)) return parseHclJson(source, file)
  return new Parser(new Scanner(source, file)).file()
}

const names: Readonly<Record<TokenKind, string>> = {
  end: 'the end of the input',
  identifier: 'a bare word',
  bool: 'a boolean',
  string: 'a string',
  heredoc: 'a heredoc',
  integer: 'a number',
  float: 'a number',
  '{': '"{"',
  '}': '"}"',
  '[': '"["',
  ']': '"]"',
  ',': '","',
  '=': '"="',
}

class Parser {
  readonly #scanner: Scanner
  #token: Token

  constructor(scanner: Scanner) {
    this.#scanner = scanner
    this.#token = scanner.next()
  }

  file(): HclObject {
    const at = this.#token.at
    const items = this.#items('end', 0)
    return { kind: 'object', items, at }
  }

  #take(): Token {
    const token = this.#token
    this.#token = this.#scanner.next()
    return token
  }

  // Items up to the closing token, which is left; commas between them may stand or not.
  #items(closer: 'end' | '}', depth: number): HclItem[] {
    const items: HclItem[] = []
    while (this.#token.kind !== closer) {
      items.push(this.#item(depth))
      if (this.#token.kind === ',') this.#take()
    }
    return items
  }

  #item(depth: number): HclItem {
    const first = this.#take()
    if (first.kind !== 'identifier' && first.kind !== 'string') {
      const hint = first.kind === '}' ? ': there is no "{" to close' : ''
      throw this.#scanner.error(first.at, `expected the name of a setting or block, got ${names[first.kind]}${hint}`)
    }
    const name = first.value
    const labels: HclLabel[] = []
    while (this.#token.kind === 'identifier' || this.#token.kind === 'string') {
      const label = this.#take()
      labels.push({ text: label.value, at: label.at })
    }
    if (this.#token.kind === '{') {
      return { name, labels, value: this.#object(depth + 1), isAssigned: false, at: first.at }
    }
    if (this.#token.kind !== '=') {
      const written = [name, ...labels.map(label => label.text)].join(' ')
      throw this.#scanner.error(this.#token.at, `key '${written}' expected start of object ('{') or assignment ('=')`)
    }
    if (labels.length > 0) {
      throw this.#scanner.error(this.#token.at, `"=" after ${labels.length + 1} names: a labelled block has no "="`)
    }
    this.#take()
    return { name, labels, value: this.#value(depth + 1), isAssigned: true, at: first.at }
  }

  #value(depth: number): HclValue {
    const token = this.#token
    switch (token.kind) {
      case 'string':
      case 'heredoc':
        this.#take()
        return { kind: 'string', value: token.value, at: token.at }
      case 'bool':
        this.#take()
        return { kind: 'bool', value: token.value === 'true', at: token.at }
      case 'integer':
      case 'float':
        this.#take()
        return this.#number(token)
      case '{':
        return this.#object(depth)
      case '[':
        return this.#list(depth)
      case 'identifier':
        throw this.#scanner.error(
          token.at,
          `expected a value, got the bare word ${token.text}: text stands in double quotes`,
        )
      case 'end':
      case '}':
      case ']':
      case ',':
      case '=':
        break
    }
    throw this.#scanner.error(token.at, `expected a value, got ${names[token.kind]}`)
  }

  #number(token: Token): HclNumber {
    const isFloat = token.kind === 'float'
    const value = isFloat ? Number(token.text) : readInteger(token.text)
    if (value === null || !Number.isFinite(value)) {
      throw this.#scanner.error(token.at, `the number ${token.text} is out of range`)
    }
    return { kind: 'number', value, text: token.text, isFloat, at: token.at }
  }

  #object(depth: number): HclObject {
    const open = this.#take()
    this.#bound(depth, open.at)
    const items: HclItem[] = this.#items('}', depth)
    this.#take()
    return { kind: 'object', items, at: open.at }
  }

  // As lenient as upstream: commas may be doubled, lead or trail, and may lack after a list in a list.
  #list(depth: number): HclList {
    const open = this.#take()
    this.#bound(depth, open.at)
    const values: HclValue[] = []
    let isCommaDue = false
    for (;;) {
      if (this.#token.kind === ']') {
        this.#take()
        return { kind: 'list', values, at: open.at }
      }
      if (this.#token.kind === ',') {
        this.#take()
        isCommaDue = false
        continue
      }
      if (isCommaDue || this.#token.kind === 'end') {
        const what = `error parsing list, expected comma or list end, got ${names[this.#token.kind]}`
        throw this.#scanner.error(this.#token.at, what)
      }
      isCommaDue = this.#token.kind !== '['
      values.push(this.#value(depth + 1))
    }
  }

  #bound(depth: number, at: Position): void {
    if (depth > hclDepthMax)
      throw this.#scanner.error(at, `more than ${hclDepthMax} blocks or lists inside one another`)
  }
}

// Hexadecimal, octal by a leading zero, or decimal; null outside of 64 bits.
function readInteger(text: string): number | null {
  const isNegative = text.startsWith('-')
  const digits = isNegative ? text.slice(1) : text
  const size = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits)
  if (size > (isNegative ? 2n ** 63n : 2n ** 63n - 1n)) return null
  return Number(isNegative ? -size : size)
}

import { type Json, NumberLiteral, setKey } from './json.ts'

/** How much a document may hold; names and defaults are those of Vault's listener settings. */
export type JsonLimits = {
  /** Objects and lists inside one another (`max_json_depth`). */
  readonly depthMax: number
  /** UTF-8 bytes of one string value or key (`max_json_string_value_length`). */
  readonly stringBytesMax: number
  /** Entries of one object (`max_json_object_entry_count`). */
  readonly objectEntriesMax: number
  /** Elements of one list (`max_json_array_element_count`). */
  readonly arrayElementsMax: number
  /** Brackets, keys and scalars of the document (`max_json_token`). */
  readonly tokensMax: number
}

export const defaultJsonLimits: JsonLimits = {
  depthMax: 500,
  stringBytesMax: 1_048_576,
  objectEntriesMax: 10_000,
  arrayElementsMax: 10_000,
  tokensMax: 500_000,
}

/**
 * Text that isn't JSON (`syntax`; the words are those of Go's encoding/json) or is too much of it (`limit`). Never
 * quotes more of the input than one character: the input is a secret more often than not.
 */
export class JsonError extends Error {
  override readonly name = 'JsonError'
  readonly code: 'syntax' | 'limit'
  /** UTF-16 index into the text. */
  readonly offset: number

  constructor(code: JsonError['code'], message: string, offset: number) {
    super(message)
    this.code = code
    this.offset = offset
  }
}

export type ParseJsonOptions = {
  readonly limits?: JsonLimits
  /** Read the first value and ignore what follows it, as Go's json.Decoder does with a request body. */
  readonly isTrailingIgnored?: boolean
}

// A number after `[`, `:`, `,` or a blank (so also in a string that looks like it: then the slow path is merely slow)
// with a fraction, an exponent, 16 digits, or the sign of a zero. Only these can lose their text in a double.
const literalNumber = /(?:^|[[:,\s])(-?\d+(?:[.eE][\d.eE+-]*|\d{15})|-0)/

/**
 * Reads a document; the last of duplicate keys wins. Limits are tested before anything of that size is built.
 * @throws JsonError
 */
export function parseJson(text: string, options: ParseJsonOptions = {}): Json {
  const limits = options.limits ?? defaultJsonLimits
  if (isWithinCheaply(text, limits) && !literalNumber.test(text)) {
    try {
      return JSON.parse(text) as Json
    } catch {
      // The slow parser below finds the fault again and names it in Go's words, or ignores what trails.
    }
  }
  return new Parser(text, limits).document(options.isTrailingIgnored === true)
}

// True only when the text can't break a limit, whatever its structure: counts by native search, no structure built.
function isWithinCheaply(text: string, limits: JsonLimits): boolean {
  // A UTF-16 unit is at most 3 bytes of UTF-8.
  if (text.length * 3 > limits.stringBytesMax) return false
  const isShort = text.length <= limits.depthMax
  const openers = isShort ? text.length : count(text, '{', limits.depthMax) + count(text, '[', limits.depthMax)
  if (openers > limits.depthMax) return false
  const fewest = Math.min(limits.objectEntriesMax, limits.arrayElementsMax)
  const commas = text.length < 2 * fewest ? text.length : count(text, ',', fewest)
  if (commas >= fewest) return false
  // Each opener has a closer; each comma or opener is followed by at most a key and a value.
  return 4 * openers + 2 * commas + 1 <= limits.tokensMax
}

function count(text: string, char: string, most: number): number {
  let found = 0
  for (let at = text.indexOf(char); at >= 0 && found <= most; at = text.indexOf(char, at + 1)) found++
  return found
}

const stringBody = /[^"\\\u0000-\u001f]*/y
const numberShape = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const hex4 = /^[0-9a-fA-F]{4}$/
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

/** A recursive-descent reader (RFC 8259) with limits; recursion is bounded by `depthMax`. */
class Parser {
  readonly #text: string
  readonly #limits: JsonLimits
  // A text shorter than a third of the limit can't hold a string above it: no byte needs counting.
  readonly #mayOverflow: boolean
  #at = 0
  #tokens = 0

  constructor(text: string, limits: JsonLimits) {
    this.#text = text
    this.#limits = limits
    this.#mayOverflow = text.length * 3 > limits.stringBytesMax
  }

  document(isTrailingIgnored: boolean): Json {
    this.#blanks()
    if (this.#at >= this.#text.length) throw new JsonError('syntax', 'EOF', this.#at)
    const value = this.#value(1)
    this.#blanks()
    if (!isTrailingIgnored && this.#at < this.#text.length) throw this.#unexpected('after top-level value')
    return value
  }

  #value(depth: number): Json {
    this.#blanks()
    const char = this.#text[this.#at]
    switch (char) {
      case undefined:
        throw this.#unexpected('')
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"':
        this.#token()
        return this.#string()
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #object(depth: number): Json {
    this.#open(depth)
    const object: { [key: string]: Json } = {}
    this.#blanks()
    if (this.#text[this.#at] === '}') return this.#close(object)
    for (let entries = 1; ; entries++) {
      if (entries > this.#limits.objectEntriesMax) {
        throw this.#limit('JSON object exceeds allowed entry count', 'max_json_object_entry_count')
      }
      this.#blanks()
      if (this.#text[this.#at] !== '"') throw this.#unexpected('looking for beginning of object key string')
      this.#token()
      const key = this.#string()
      this.#blanks()
      if (this.#text[this.#at] !== ':') throw this.#unexpected('after object key')
      this.#at++
      setKey(object, key, this.#value(depth + 1))
      this.#blanks()
      if (this.#text[this.#at] === '}') return this.#close(object)
      if (this.#text[this.#at] !== ',') throw this.#unexpected('after object key:value pair')
      this.#at++
    }
  }

  #array(depth: number): Json {
    this.#open(depth)
    const array: Json[] = []
    this.#blanks()
    if (this.#text[this.#at] === ']') return this.#close(array)
    for (;;) {
      if (array.length >= this.#limits.arrayElementsMax) {
        throw this.#limit('JSON array exceeds allowed element count', 'max_json_array_element_count')
      }
      array.push(this.#value(depth + 1))
      this.#blanks()
      if (this.#text[this.#at] === ']') return this.#close(array)
      if (this.#text[this.#at] !== ',') throw this.#unexpected('after array element')
      this.#at++
    }
  }

  #open(depth: number): void {
    if (depth > this.#limits.depthMax) throw this.#limit('JSON payload exceeds allowed nesting depth', 'max_json_depth')
    this.#token()
    this.#at++
  }

  #close(built: Json): Json {
    this.#token()
    this.#at++
    return built
  }

  #string(): string {
    const start = ++this.#at
    let out = ''
    let bytes = 0
    for (;;) {
      stringBody.lastIndex = this.#at
      const run = stringBody.exec(this.#text)![0]
      this.#at += run.length
      if (this.#mayOverflow) {
        bytes += Buffer.byteLength(run)
        if (bytes > this.#limits.stringBytesMax) {
          this.#at = start
          throw this.#limit('JSON string value exceeds allowed length', 'max_json_string_value_length')
        }
      }
      out = out === '' ? run : out + run
      const char = this.#text[this.#at]
      if (char === '"') break
      if (char !== '\\') throw this.#unexpected('in string literal')
      const unit = this.#escape()
      bytes += unit < '\u0080' ? 1 : unit < '\u0800' || /[\ud800-\udfff]/.test(unit) ? 2 : 3
      out += unit
    }
    this.#at++
    return out
  }

  #escape(): string {
    this.#at++
    const char = this.#text[this.#at]
    if (char === 'u') {
      const digits = this.#text.slice(this.#at + 1, this.#at + 5)
      if (!hex4.test(digits)) {
        this.#at += 1 + Math.max(0, digits.search(/[^0-9a-fA-F]/))
        if (/^[0-9a-fA-F]*$/.test(digits)) this.#at = this.#text.length
        throw this.#unexpected('in \\u hexadecimal character escape')
      }
      this.#at += 5
      return String.fromCharCode(Number.parseInt(digits, 16))
    }
    const value = char === undefined ? undefined : escapes[char]
    if (value === undefined) throw this.#unexpected('in string escape code')
    this.#at++
    return value
  }

  #number(): Json {
    numberShape.lastIndex = this.#at
    const match = numberShape.exec(this.#text)
    if (!match) {
      if (this.#text[this.#at] !== '-') throw this.#unexpected('looking for beginning of value')
      this.#at++
      throw this.#unexpected('in numeric literal')
    }
    this.#token()
    this.#at += match[0].length
    const next = this.#text[this.#at]
    if (next === '.' || next === 'e' || next === 'E') {
      this.#at++
      if (next !== '.' && /[+-]/.test(this.#text[this.#at] ?? '')) this.#at++
      throw this.#unexpected(next === '.' ? 'after decimal point in numeric literal' : 'in exponent of numeric literal')
    }
    const value = Number(match[0])
    return String(value) === match[0] ? value : new NumberLiteral(match[0])
  }

  #word<T extends Json>(word: string, value: T): T {
    for (let i = 1; i < word.length; i++) {
      if (this.#text[this.#at + i] !== word[i]) {
        this.#at += i
        throw this.#unexpected(`in literal ${word} (expecting '${word[i]}')`)
      }
    }
    this.#token()
    this.#at += word.length
    return value
  }

  #blanks(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
    }
  }

  #token(): void {
    if (++this.#tokens > this.#limits.tokensMax)
      throw this.#limit('JSON payload exceeds allowed token count', 'max_json_token')
  }

  #limit(message: string, setting: string): JsonError {
    return new JsonError('limit', `${message} (${setting})`, this.#at)
  }

  #unexpected(where: string): JsonError {
    const point = this.#text.codePointAt(this.#at)
    if (point === undefined) return new JsonError('syntax', 'unexpected EOF', this.#at)
    const char = String.fromCodePoint(point)
    const shown = char === "'" ? `'\\''` : char === '"' ? `'"'` : `'${JSON.stringify(char).slice(1, -1)}'`
    return new JsonError('syntax', `invalid character ${shown} ${where}`, this.#at)
  }
}

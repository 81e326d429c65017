import { RE2JS } from 're2js'

/** A filter that can't be read; the text says where. */
export class FilterError extends Error {
  override readonly name = 'FilterError'
}

/** What a selector names; undefined where there is nothing of that name. */
export type Selected = (selector: string) => string | undefined

/** Does an event pass? */
export type EventFilter = (select: Selected) => boolean

const textMax = 4_096
const depthMax = 32
const token = /\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)|(==|!=|\(|\))|([^\s()=!"`]+))/gy

type Token = { readonly kind: 'quoted' | 'sign' | 'word'; readonly text: string; readonly at: number }

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = []
  token.lastIndex = 0
  while (token.lastIndex < text.trimEnd().length) {
    const at = token.lastIndex
    const match = token.exec(text)
    if (match === null) throw new FilterError(`unexpected text at position ${at + 1}`)
    const [, quoted, sign, word] = match
    if (quoted !== undefined) tokens.push({ kind: 'quoted', text: unquoted(quoted), at })
    else tokens.push({ kind: sign === undefined ? 'word' : 'sign', text: sign ?? word!, at })
  }
  return tokens
}

function unquoted(text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1)
  try {
    return JSON.parse(text) as string
  } catch {
    throw new FilterError(`${text.slice(0, 64)} is no text: a quote or a backslash is not escaped`)
  }
}

/**
 * Reads a filter: `event_type == "kv-v2/data-write" and not data_path matches "/tmp/"`.
 * @throws FilterError
 * @source hashicorp/go-bexpr, as far as texts are compared
 */
export function parseFilter(text: string): EventFilter {
  if (text.length > textMax) throw new FilterError(`a filter has at most ${textMax} characters`)
  const parser = new Parser(tokensOf(text))
  const filter = parser.either(0)
  parser.end()
  return filter
}

class Parser {
  readonly #tokens: readonly Token[]
  #next = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  either(depth: number): EventFilter {
    if (depth > depthMax) throw new FilterError(`a filter is at most ${depthMax} levels deep`)
    const parts = [this.#both(depth)]
    while (this.#takes('or')) parts.push(this.#both(depth))
    return parts.length === 1 ? parts[0]! : select => parts.some(part => part(select))
  }

  #both(depth: number): EventFilter {
    const parts = [this.#one(depth)]
    while (this.#takes('and')) parts.push(this.#one(depth))
    return parts.length === 1 ? parts[0]! : select => parts.every(part => part(select))
  }

  #one(depth: number): EventFilter {
    if (depth > depthMax) throw new FilterError(`a filter is at most ${depthMax} levels deep`)
    if (this.#takes('not')) {
      const inner = this.#one(depth + 1)
      return select => !inner(select)
    }
    if (this.#takesSign('(')) {
      const inner = this.either(depth + 1)
      if (!this.#takesSign(')')) throw this.#unexpected('")"')
      return inner
    }
    return this.#comparison()
  }

  // `value in selector` says the same as `selector contains value`.
  #comparison(): EventFilter {
    const left = this.#value('a name')
    if (this.#takesSign('==')) return equals(left, this.#value('a value'))
    if (this.#takesSign('!=')) return not(equals(left, this.#value('a value')))
    if (this.#takes('is')) {
      const isNegated = this.#takes('not')
      if (!this.#takes('empty')) throw this.#unexpected('"empty"')
      return isNegated ? not(isEmpty(left)) : isEmpty(left)
    }
    const isNegated = this.#takes('not')
    const filter = this.#relation(left)
    return isNegated ? not(filter) : filter
  }

  #relation(left: string): EventFilter {
    if (this.#takes('in')) return contains(this.#value('a name'), left)
    if (this.#takes('contains')) return contains(left, this.#value('a value'))
    if (this.#takes('matches')) return matches(left, this.#value('a pattern'))
    throw this.#unexpected('==, !=, in, contains, matches or is')
  }

  end(): void {
    if (this.#next < this.#tokens.length) throw this.#unexpected('the end')
  }

  #value(what: string): string {
    const next = this.#tokens[this.#next]
    if (next === undefined || next.kind === 'sign') throw this.#unexpected(what)
    this.#next++
    return next.text
  }

  #takes(word: string): boolean {
    const next = this.#tokens[this.#next]
    if (next?.kind !== 'word' || next.text !== word) return false
    this.#next++
    return true
  }

  #takesSign(sign: string): boolean {
    const next = this.#tokens[this.#next]
    if (next?.kind !== 'sign' || next.text !== sign) return false
    this.#next++
    return true
  }

  #unexpected(wanted: string): FilterError {
    const next = this.#tokens[this.#next]
    return new FilterError(
      next === undefined
        ? `the filter ends where ${wanted} should be`
        : `expected ${wanted} at position ${next.at + 1}, not "${next.text.slice(0, 64)}"`,
    )
  }
}

// A name may be a JSON pointer: `"/data_path"`.
const valueOf = (select: Selected, selector: string): string | undefined => select(selector.replace(/^\//, ''))

const not =
  (filter: EventFilter): EventFilter =>
  select =>
    !filter(select)

const equals =
  (selector: string, value: string): EventFilter =>
  select =>
    valueOf(select, selector) === value

const isEmpty =
  (selector: string): EventFilter =>
  select =>
    (valueOf(select, selector) ?? '') === ''

const contains =
  (selector: string, part: string): EventFilter =>
  select =>
    valueOf(select, selector)?.includes(part) ?? false

// RE2: no pattern makes it slow.
function matches(selector: string, text: string): EventFilter {
  const pattern = compiled(text)
  return select => {
    const value = valueOf(select, selector)
    return value !== undefined && pattern.matcher(value).find()
  }
}

function compiled(text: string): RE2JS {
  try {
    return RE2JS.compile(text)
  } catch (error) {
    throw new FilterError(`"${text.slice(0, 64)}" is no regular expression: ${(error as Error).message}`)
  }
}

/**
 * Statements as operators write them: `CREATE ROLE "{{name}}" WITH PASSWORD '{{password}}'`. A value is quoted by where
 * its placeholder stands, so that no name, password or template can end a literal and begin a statement of its own.
 */

export type Values = Readonly<Record<string, string>>

/** How a database writes what is quoted. */
export type Dialect = {
  /** Quotes around names; the rest of `'`, `"` and `` ` `` stand around texts. */
  readonly identifierQuotes: readonly string[]
  /** In a plain literal a backslash escapes. */
  readonly backslash: boolean
  /** PostgreSQL's `$tag$ … $tag$`, `E''`, `U&''`, and comments within comments; else MySQL's comments. */
  readonly isPostgres: boolean
}

export const postgresDialect: Dialect = { identifierQuotes: ['"'], backslash: false, isPostgres: true }

/** As the session's `sql_mode` says. */
export const mysqlDialect = (sqlMode: string): Dialect => ({
  identifierQuotes: /\bANSI_QUOTES\b/.test(sqlMode) ? ['`', '"'] : ['`'],
  backslash: !/\bNO_BACKSLASH_ESCAPES\b/.test(sqlMode),
  isPostgres: false,
})

/**
 * What stands around a place in a statement. `nested`: text that may be run as a statement in its turn, so that how it
 * would have to be quoted can't be known: there only values that need no quotes may stand.
 */
type Place = 'bare' | 'literal' | 'escaped' | 'identifier' | 'comment' | 'nested'

const charactersMax = 64 * 1024

/** Thrown for what can't be a statement; its text is the operator's own, without values. */
export class StatementProblem extends Error {
  override readonly name = 'StatementProblem'
}

/**
 * The statements of one text, each with its values filled in.
 * @throws StatementProblem
 */
export function fillStatements(text: string, values: Values, dialect: Dialect): readonly string[] {
  if (text.length > charactersMax) throw new StatementProblem(`a statement is longer than ${charactersMax} characters`)
  // The body of an SQL-standard function holds semicolons without quotes around it.
  const isWhole = dialect.isPostgres && /\bBEGIN\s+ATOMIC\b/i.test(text)
  // MySQL's way to run a text.
  const isNested = !dialect.isPostgres && /\bPREPARE\s+\S+\s+FROM\b|\bEXECUTE\s+IMMEDIATE\b/i.test(text)
  const within: Within = isNested ? 'texts' : dialect.isPostgres && foreignLanguage.test(text) ? 'foreign' : 'code'
  const statements = new Walk(text, values, dialect, within).statements()
  return isWhole ? [`${statements.join(';')};`] : statements
}

/** EXECUTE, but for the privilege of that name: what runs texts within a body. */
const runsTexts = /\bEXECUTE\b(?!\s*(?:,|ON\b))/i
/** A literal after one of these is code. */
const codeFollows = /\b(?:DO|AS|IMMEDIATE)\s*$/i
/** Bodies in a language whose quotes aren't SQL's. */
const foreignLanguage = /\bLANGUAGE\s+['"]?(?!plpgsql\b|sql\b)\w/i
const wordOnly = /^[A-Za-z0-9_]+$/
const needsNoQuotes = /^[A-Za-z0-9_.:@+=-]*$/

/** `texts`: literals may be run as statements. `foreign`: so, and bodies are in a language that isn't known here. */
type Within = 'code' | 'texts' | 'foreign'

function withoutZero(name: string, value: string): string {
  if (!value.includes('\0')) return value
  throw new StatementProblem(`the value of {{${name}}} holds a zero character`)
}

class Walk {
  readonly #text: string
  readonly #values: Values
  readonly #dialect: Dialect
  readonly #within: Within
  /** In how many bodies. */
  readonly #depth: number
  #at = 0
  #out = ''

  constructor(text: string, values: Values, dialect: Dialect, within: Within, depth = 0) {
    this.#text = text
    this.#values = values
    this.#dialect = dialect
    this.#within = within
    this.#depth = depth
  }

  statements(): readonly string[] {
    const done: string[] = []
    const end = (): void => {
      if (this.#out.trim() !== '') done.push(this.#out.trim())
      this.#out = ''
    }
    while (this.#at < this.#text.length) {
      if (this.#text[this.#at] === ';') {
        this.#at++
        end()
      } else this.#step()
    }
    end()
    return done
  }

  /** The same text, its semicolons included. */
  body(isCode: boolean): string {
    // Nothing but a value: a text in quotes that need no escapes.
    const sole = /^\{\{\s*([a-z_]+)\s*\}\}$/.exec(this.#text)?.[1] ?? ''
    if (!isCode && Object.hasOwn(this.#values, sole)) return withoutZero(sole, this.#values[sole]!)
    while (this.#at < this.#text.length) {
      if (this.#within !== 'foreign') this.#step()
      else if (!this.#text.startsWith('{{', this.#at) || !this.#placeholder('nested')) this.#take(1)
    }
    return this.#out
  }

  #step(): void {
    const { identifierQuotes, backslash, isPostgres } = this.#dialect
    const rest = this.#text.slice(this.#at, this.#at + 128)
    const char = rest[0]!
    if (rest.startsWith('{{') && this.#placeholder('bare')) return
    if (this.#comment(rest)) return
    if (isPostgres && /^[eE]'/.test(rest)) {
      this.#take(1)
      return this.#quoted("'", 'escaped')
    }
    if (isPostgres && /^[uU]&['"]/.test(rest)) {
      this.#take(2)
      return this.#quoted(rest[2]!, 'nested')
    }
    if (identifierQuotes.includes(char)) return this.#quoted(char, 'identifier')
    if (char === "'" || (char === '"' && !isPostgres)) return this.#quoted(char, backslash ? 'escaped' : 'literal')
    const dollar = isPostgres ? /^\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/.exec(rest) : null
    // Within a name a $ is a letter of it.
    const isTag = dollar !== null && !/[\w$\u0080-\uffff]$/.test(this.#out)
    if (isTag && this.#dollarBody(dollar[0])) return
    this.#take(1)
  }

  #take(characters: number): void {
    this.#out += this.#text.slice(this.#at, this.#at + characters)
    this.#at += characters
  }

  #comment(rest: string): boolean {
    const { isPostgres } = this.#dialect
    if (rest.startsWith('/*')) {
      // MySQL runs what stands in /*! … */.
      this.#block(!isPostgres && /^\/\*M?!/.test(rest) ? 'nested' : 'comment')
      return true
    }
    const isLine = isPostgres ? rest.startsWith('--') : /^(?:#|--(?:[\s\u0000-\u001f]|$))/.test(rest)
    if (isLine) this.#line()
    return isLine
  }

  #line(): void {
    while (this.#at < this.#text.length && !'\r\n'.includes(this.#text[this.#at]!)) {
      if (this.#text.startsWith('{{', this.#at) && this.#placeholder('comment')) continue
      this.#take(1)
    }
  }

  #block(place: 'comment' | 'nested'): void {
    let depth = 0
    do {
      if (this.#text.startsWith('{{', this.#at) && this.#placeholder(place)) continue
      const two = this.#text.slice(this.#at, this.#at + 2)
      const isOpen = two === '/*' && (depth === 0 || this.#dialect.isPostgres)
      const isClose = two === '*/'
      depth += isOpen ? 1 : isClose ? -1 : 0
      this.#take(isOpen || isClose ? 2 : 1)
    } while (depth > 0 && this.#at < this.#text.length)
    if (depth > 0) throw new StatementProblem('a comment in a statement has no end')
  }

  /** Code within a statement: filled in by its own quotes, and it must end where its author ended it. */
  #dollarBody(tag: string): boolean {
    const from = this.#at + tag.length
    const close = this.#text.indexOf(tag, from)
    // Within a body it may be anything.
    if (close < 0 && this.#depth > 0) return false
    if (close < 0) throw new StatementProblem(`the body that ${tag} begins has no end`)
    const code = this.#text.slice(from, close)
    const within = this.#within === 'code' && runsTexts.test(code) ? 'texts' : this.#within
    const body = new Walk(code, this.#values, this.#dialect, within, this.#depth + 1).body(codeFollows.test(this.#out))
    if (`${body}${tag}`.indexOf(tag) !== body.length)
      throw new StatementProblem(`a value would end the body that ${tag} begins: give the body a tag of its own`)
    this.#out += tag + body + tag
    this.#at = close + tag.length
    return true
  }

  #quoted(quote: string, asked: 'literal' | 'escaped' | 'identifier' | 'nested'): void {
    const isText = asked === 'literal' || asked === 'escaped'
    const place = isText && (this.#within !== 'code' || codeFollows.test(this.#out)) ? 'nested' : asked
    this.#take(1)
    while (this.#at < this.#text.length) {
      const two = this.#text.slice(this.#at, this.#at + 2)
      if (two === '{{' && this.#placeholder(place, quote)) continue
      const isPair = two === quote + quote || (asked === 'escaped' && two[0] === '\\')
      this.#take(isPair ? 2 : 1)
      if (!isPair && two[0] === quote) return
    }
    throw new StatementProblem(`a ${quote} in a statement has no end`)
  }

  /** @returns false when no value has this name: the braces stay what they are. */
  #placeholder(place: Place, quote = ''): boolean {
    const match = /^\{\{\s*([a-z_]+)\s*\}\}/.exec(this.#text.slice(this.#at, this.#at + 64))
    const name = match?.[1] ?? ''
    if (match === null || !Object.hasOwn(this.#values, name)) return false
    const value = withoutZero(name, this.#values[name]!)
    const after = this.#text[this.#at + match[0].length] ?? ''
    this.#out += place === 'bare' ? this.#bare(name, value, after) : this.#inside(name, value, place, quote)
    this.#at += match[0].length
    return true
  }

  #inside(name: string, value: string, place: Exclude<Place, 'bare'>, quote: string): string {
    switch (place) {
      case 'literal':
      case 'identifier':
        return value.replaceAll(quote, quote + quote)
      case 'escaped':
        return value.replaceAll('\\', '\\\\').replaceAll(quote, quote + quote)
      // What can't be seen can't be used.
      case 'comment':
        return ''
      case 'nested':
        // Made here, not by anybody outside: it has a blank, and nothing else.
        if (name === 'expiration' || needsNoQuotes.test(value)) return value
        throw new StatementProblem(
          `the value of {{${name}}} has characters that can't be written safely in a text that may be run as a statement`,
        )
    }
  }

  /** Alone it is quoted by what the placeholder means. Part of a word it must be a word itself. */
  #bare(name: string, value: string, after: string): string {
    const before = this.#out.at(-1) ?? ''
    // A quote right after makes a prefix of the word, a $ before or after a tag.
    if (before === '$' || /['"`$&]/.test(after))
      throw new StatementProblem(`{{${name}}} must not stand right beside a quote, & or $`)
    // In a body within a body it may be code or text.
    if (this.#depth > 1) return this.#inside(name, value, 'nested', '')
    if (/[\w\u0080-\uffff'"`@&\\]/.test(before) || /[\w\u0080-\uffff\\]/.test(after)) {
      if (wordOnly.test(value)) return value
      throw new StatementProblem(`the value of {{${name}}} needs quotes, and can't have them within a word`)
    }
    const [identifierQuote = '"'] = this.#dialect.identifierQuotes
    const quote = name === 'name' || name === 'username' ? identifierQuote : "'"
    return quote + this.#inside(name, value, this.#placeOf(quote), quote) + quote
  }

  #placeOf(quote: string): 'literal' | 'escaped' | 'identifier' | 'nested' {
    if (quote !== "'") return 'identifier'
    return this.#within !== 'code' ? 'nested' : this.#dialect.backslash ? 'escaped' : 'literal'
  }
}

/**
 * Statements as operators write them: `CREATE ROLE "{{name}}" WITH PASSWORD '{{password}}'`. A value is quoted by where its
 * placeholder stands, so that no name, password or template can end a literal and begin a statement of its own.
 */

export type Values = Readonly<Record<string, string>>

/** What stands around a place in a statement. */
type Place = 'bare' | 'literal' | 'escaped' | 'identifier' | 'comment'

/** How a database writes what is quoted; `backslash`: also outside of `E''` a backslash escapes. */
export type Dialect = {
  readonly identifierQuote: '"' | '`'
  readonly backslash: boolean
  /** PostgreSQL's `$tag$ … $tag$`. */
  readonly dollarBodies: boolean
}

export const postgresDialect: Dialect = { identifierQuote: '"', backslash: false, dollarBodies: true }

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
  const isWhole = dialect.dollarBodies && /\bBEGIN\s+ATOMIC\b/i.test(text)
  const walk = new Walk(text, values, dialect)
  const statements = walk.statements()
  return isWhole ? [`${statements.join(';')};`] : statements
}

class Walk {
  readonly #text: string
  readonly #values: Values
  readonly #dialect: Dialect
  #at = 0
  #out = ''

  constructor(text: string, values: Values, dialect: Dialect) {
    this.#text = text
    this.#values = values
    this.#dialect = dialect
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
      } else this.#step(null)
    }
    end()
    return done
  }

  /** One token at the top, or in a dollar-quoted body, whose `tag` no value may hold. */
  #step(tag: string | null): void {
    const rest = this.#text.slice(this.#at, this.#at + 128)
    const { identifierQuote, backslash, dollarBodies } = this.#dialect
    if (rest.startsWith('{{') && this.#placeholder('bare', tag)) return
    if (rest.startsWith('--')) return this.#until('\n', 'comment', tag)
    if (rest.startsWith('/*')) return this.#until('*/', 'comment', tag)
    if (/^[eE]'/.test(rest)) {
      this.#out += rest[0]
      this.#at++
      return this.#quoted("'", 'escaped', tag)
    }
    if (rest[0] === "'") return this.#quoted("'", backslash ? 'escaped' : 'literal', tag)
    if (rest[0] === identifierQuote) return this.#quoted(identifierQuote, 'identifier', tag)
    const dollar = dollarBodies && tag === null ? /^\$(?:[A-Za-z_]\w*)?\$/.exec(rest) : null
    if (dollar !== null) return this.#body(dollar[0])
    this.#out += rest[0]
    this.#at++
  }

  #body(tag: string): void {
    const close = this.#text.indexOf(tag, this.#at + tag.length)
    if (close < 0) throw new StatementProblem(`the body that ${tag} begins has no end`)
    this.#out += tag
    this.#at += tag.length
    while (this.#at < close) this.#step(tag)
    this.#out += tag
    this.#at += tag.length
  }

  #quoted(quote: string, place: Place, tag: string | null): void {
    this.#out += quote
    this.#at++
    while (this.#at < this.#text.length) {
      const two = this.#text.slice(this.#at, this.#at + 2)
      if (two === '{{' && this.#placeholder(place, tag)) continue
      if (two === quote + quote || (place === 'escaped' && two[0] === '\\')) {
        this.#out += two
        this.#at += 2
        continue
      }
      this.#out += two[0]
      this.#at++
      if (two[0] === quote) return
    }
    throw new StatementProblem(`a ${quote} in a statement has no end`)
  }

  #until(end: string, place: Place, tag: string | null): void {
    while (this.#at < this.#text.length && !this.#text.startsWith(end, this.#at)) {
      if (this.#text.startsWith('{{', this.#at) && this.#placeholder(place, tag)) continue
      this.#out += this.#text[this.#at++]
    }
    if (this.#text.startsWith(end, this.#at)) {
      this.#out += end
      this.#at += end.length
    }
  }

  /** @returns false when no value has this name: the braces stay what they are. */
  #placeholder(place: Place, tag: string | null): boolean {
    const match = /^\{\{\s*([a-z_]+)\s*\}\}/.exec(this.#text.slice(this.#at, this.#at + 64))
    const value = match === null ? undefined : this.#values[match[1]!]
    if (match === null || value === undefined) return false
    if (value.includes('\0')) throw new StatementProblem(`the value of {{${match[1]}}} holds a zero character`)
    if (tag !== null && value.includes('$')) {
      throw new StatementProblem(`the value of {{${match[1]}}} holds a $, which could end the body that ${tag} begins`)
    }
    this.#out += this.#written(match[1]!, value, place)
    this.#at += match[0].length
    return true
  }

  #written(name: string, value: string, place: Place): string {
    const { identifierQuote: quote } = this.#dialect
    switch (place) {
      case 'literal':
        return value.replaceAll("'", "''")
      case 'escaped':
        return value.replaceAll('\\', '\\\\').replaceAll("'", "''")
      case 'identifier':
        return value.replaceAll(quote, quote + quote)
      // What can't be seen can't be used.
      case 'comment':
        return ''
      // A plain word stays one, as the author wrote it; anything else is quoted by what the placeholder means.
      case 'bare':
        if (/^[A-Za-z0-9_]+$/.test(value)) return value
        if (name === 'name' || name === 'username') return quote + value.replaceAll(quote, quote + quote) + quote
        return `'${this.#dialect.backslash ? value.replaceAll('\\', '\\\\').replaceAll("'", "''") : value.replaceAll("'", "''")}'`
    }
  }
}

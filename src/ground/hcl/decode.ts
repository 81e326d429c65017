import { DurationError, parseDurationSeconds } from '#ground/text/duration.ts'
import { nearestWord } from '#ground/text/nearest.ts'
import { goQuote } from '#ground/text/quote.ts'
import { HclError, type HclItem, type HclObject, type HclValue, type Position } from './tree.ts'

/** A block with its labels told apart from its body. */
export type HclBlock = { readonly labels: readonly string[]; readonly body: HclReader; readonly at: Position }

export type UnknownKey = { readonly name: string; readonly at: Position; readonly message: string }

/**
 * Reads a body by names: each call takes what stands under a name and marks the name as known, `finish` refuses what
 * nobody asked for. Values are coerced as upstream's decoders do: a number serves as text, numeric text as a number,
 * `"true"` as a boolean. A name that is absent, or null in JSON, gives null. A name that is set twice is refused.
 */
export class HclReader {
  readonly body: HclObject
  readonly #file: string | null
  // What the error messages call this body: `path "secret/*"`; empty for the whole file.
  readonly #where: string
  readonly #known = new Set<string>()

  constructor(body: HclObject, file: string | null = null, where = '') {
    this.body = body
    this.#file = file
    this.#where = where
  }

  /** The raw value, or null. */
  value(name: string): HclValue | null {
    const item = this.#one(name)
    return item === null || item.value.kind === 'null' ? null : item.value
  }

  string(name: string): string | null {
    const value = this.value(name)
    return value === null ? null : this.#text(name, value)
  }

  bool(name: string): boolean | null {
    const value = this.value(name)
    if (value === null || value.kind === 'bool') return value?.value ?? null
    if (value.kind === 'string' || (value.kind === 'number' && !value.isFloat)) {
      const text = value.kind === 'string' ? value.value : value.text
      if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true
      if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false
    }
    throw this.error(value.at, `${name} must be true or false`)
  }

  /** A whole number; text is read as a literal would be, so `"0640"` is octal. */
  integer(name: string): number | null {
    const value = this.value(name)
    if (value === null) return null
    if (value.kind === 'number' && Number.isSafeInteger(value.value)) return value.value
    if (value.kind === 'string' && /^[+-]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d{0,15})$/.test(value.value)) {
      const [, sign, digits] = /^([+-]?)(.*)$/.exec(value.value)!
      const size = Number(/^0\d/.test(digits!) ? `0o${digits!.slice(1)}` : digits)
      if (Number.isSafeInteger(size)) return sign === '-' ? -size || 0 : size
    }
    throw this.error(value.at, `${name} must be a whole number`)
  }

  number(name: string): number | null {
    const value = this.value(name)
    if (value === null) return null
    if (value.kind === 'number') return value.value
    if (value.kind === 'string' && value.value.trim() !== '' && Number.isFinite(Number(value.value))) {
      return Number(value.value)
    }
    throw this.error(value.at, `${name} must be a number`)
  }

  /** Seconds, whole or not: a number, or text in any form that Vault takes (`90`, `"90"`, `"1h30m"`, `"7d"`). */
  duration(name: string): number | null {
    const value = this.value(name)
    if (value === null) return null
    if (value.kind !== 'number' && value.kind !== 'string') {
      throw this.error(value.at, `${name} must be a duration such as "1h30m" or a number of seconds`)
    }
    try {
      return parseDurationSeconds(value.value)
    } catch (error) {
      if (error instanceof DurationError) throw this.error(value.at, `${name}: ${error.message}`)
      throw error
    }
  }

  /** A list of texts. @param isScalarTaken one text stands for a list of one */
  strings(name: string, isScalarTaken = false): string[] | null {
    const value = this.value(name)
    if (value === null) return null
    if (value.kind === 'list') return value.values.map((element, i) => this.#text(`${name}[${i}]`, element))
    if (isScalarTaken && value.kind !== 'object') return [this.#text(name, value)]
    throw this.error(value.at, `${name} must be a list, such as ["a", "b"]`)
  }

  /** A map of texts, written `name = { … }` or as a block, which may be repeated: the last of one key wins. */
  stringMap(name: string): Map<string, string> | null {
    const entries = this.entries(name)
    return entries && new Map(entries.map(item => [item.name, this.#text(`${name}.${item.name}`, item.value)]))
  }

  /** The items of a map, written `name = { … }` or as blocks, in order; null when the name is absent. */
  entries(name: string): readonly HclItem[] | null {
    const found = this.#all(name)
    const entries: HclItem[] = []
    for (const item of found) {
      const parts = item.value.kind === 'list' ? item.value.values : [item.value]
      for (const part of parts) {
        if (part.kind !== 'object' || item.labels.length > 0)
          throw this.error(item.at, `${name} must be a map { key = value }`)
        entries.push(...part.items)
      }
    }
    return found.length === 0 ? null : entries
  }

  /**
   * Blocks of one name in order. What isn't written with labels but as a map (always so in JSON) is opened until there
   * are `labels` of them; a list stands for several blocks.
   * @param labels how many labels a block has, or the least and the most
   */
  blocks(name: string, labels: number | readonly [least: number, most: number] = 0): HclBlock[] {
    const [least, most] = typeof labels === 'number' ? [labels, labels] : labels
    return this.#all(name).flatMap(item => {
      if (item.labels.length > most) throw this.error(item.labels[most]!.at, labelRule(name, least, most))
      return this.#open(
        name,
        item.labels.map(label => label.text),
        item.value,
        item.at,
        least,
      )
    })
  }

  /** The one block of a name that may stand once, or null. */
  block(name: string, labels: number | readonly [least: number, most: number] = 0): HclBlock | null {
    const [first = null, second] = this.blocks(name, labels)
    if (second) throw this.error(second.at, `only one ${name} block may stand here`)
    return first
  }

  #open(name: string, labels: readonly string[], value: HclValue, at: Position, least: number): HclBlock[] {
    if (value.kind === 'list') {
      return value.values.flatMap(element => this.#open(name, labels, element, element.at, least))
    }
    if (value.kind !== 'object') throw this.error(value.at, `${name} must be a block { … }`)
    if (labels.length >= least) {
      const title = [name, ...labels.map(goQuote)].join(' ')
      const where = this.#where === '' ? title : `${this.#where}, ${title}`
      return [{ labels, body: new HclReader(value, this.#file, where), at }]
    }
    return value.items.flatMap(item => {
      const all = [...labels, item.name, ...item.labels.map(label => label.text)]
      if (item.value.kind !== 'object' && item.value.kind !== 'list') {
        throw this.error(item.at, labelRule(name, least, least))
      }
      return this.#open(name, all, item.value, item.at, least)
    })
  }

  /** Marks names as known, for keys that are accepted and have no meaning here. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.#known.add(name)
  }

  /** Items under names that nobody asked for, in order, each with the nearest name that is known. */
  unknown(): UnknownKey[] {
    return this.body.items
      .filter(item => !this.#known.has(item.name))
      .map(({ name, at }) => {
        const near = nearestWord(name, this.#known)
        const hint = near === null ? '' : `, did you mean ${goQuote(near)}?`
        return { name, at, message: `invalid key ${goQuote(name)} on line ${at.line}${hint}` }
      })
  }

  /** @throws HclError for the first unknown name */
  finish(): void {
    const [first] = this.unknown()
    if (first) throw this.error(first.at, first.message)
  }

  /** An error at a place in this body. */
  error(at: Position, what: string): HclError {
    return new HclError(this.#file, at, this.#where === '' ? what : `${this.#where}: ${what}`)
  }

  #text(name: string, value: HclValue): string {
    if (value.kind === 'string') return value.value
    if (value.kind === 'number') return value.text
    throw this.error(value.at, `${name} must be text`)
  }

  #all(name: string): readonly HclItem[] {
    this.#known.add(name)
    return this.body.items.filter(item => item.name === name && item.value.kind !== 'null')
  }

  #one(name: string): HclItem | null {
    this.#known.add(name)
    const found = this.body.items.filter(item => item.name === name)
    if (found.length > 1) {
      const { line, column } = found[1]!.at
      const what = `The argument ${goQuote(name)} at ${line}:${column} was already set. Each argument can only be defined once`
      throw this.error(found[1]!.at, what)
    }
    if (found[0] && found[0].labels.length > 0) throw this.error(found[0].at, `${name} takes a value: ${name} = …`)
    return found[0] ?? null
  }
}

function labelRule(name: string, least: number, most: number): string {
  if (most === 0) return `a ${name} block has no label: ${name} { … }`
  const example = `${name}${' "label"'.repeat(least || 1)} { … }`
  return least === most
    ? `a ${name} block has ${least} label${least > 1 ? 's' : ''}: ${example}`
    : `too many labels: ${example}`
}

import { toBytes } from '../bytes.ts'
import { FunctionError } from '../errors.ts'
import { formatFloat } from '../float.ts'
import { Int, isMap, itemsOf, JsonNumber, Struct, TypedMap, typeName, type Value } from '../value.ts'
import { compareYamlKeys, needsQuotes } from './yaml-resolve.ts'
import { analyse, doubleQuoted, type Folding, literal, plain, singleQuoted } from './yaml-scalar.ts'

/** The longest key that may stand before a colon. @source gopkg.in/yaml.v2 emitterc.go check_simple_key */
const simpleKeyMax = 128

type Entry = readonly [Value, Value]

/**
 * YAML as gopkg.in/yaml.v2 writes it, which is what consul-template's `toYAML` gives: lists not indented below their
 * key, keys in natural order, strings of several lines as literal blocks, long lines folded after column 80.
 * @throws FunctionError for what YAML can't hold.
 */
export function toYaml(value: Value): string {
  const writer = new YamlWriter()
  writer.node(value, -2, false)
  return writer.out
}

class YamlWriter {
  out = ''

  #column(): number {
    return Array.from(this.out.slice(this.out.lastIndexOf('\n') + 1)).length
  }

  #newline(indent: number): void {
    this.out += `\n${' '.repeat(Math.max(0, indent))}`
  }

  /** `indent` is that of the collection around; an inline one begins on the line of its dash. */
  node(value: Value, indent: number, isInMap: boolean): void {
    const entries = entriesOf(value)
    if (entries && entries.length > 0) return this.#map(entries, indent + 2, isInMap)
    const items = itemsOf(value)
    if (items && items.length > 0) return this.#list(items, isInMap ? Math.max(0, indent) : indent + 2, isInMap)
    if (this.out !== '') this.out += ' '
    this.out += entries ? '{}' : items ? '[]' : this.#scalar(value, Math.max(0, indent) + (indent < 0 ? 2 : 2), false)
  }

  #map(entries: readonly Entry[], indent: number, isInMap: boolean): void {
    for (const [i, [key, item]] of entries.entries()) {
      if (i > 0 || isInMap) this.#newline(indent)
      else if (this.out !== '') this.out += ' '
      const text = typeof key === 'string' ? key : null
      const isSimple = text === null || (!/[\n\r\u0085\u2028\u2029]/.test(text) && toBytes(text).length <= simpleKeyMax)
      if (isSimple) this.out += `${this.#scalar(key, indent, true)}:`
      else {
        this.out += `? ${this.#scalar(key, indent + 2, false)}`
        this.#newline(indent)
        this.out += ':'
      }
      this.node(item, indent, true)
    }
  }

  #list(items: readonly Value[], indent: number, isInMap: boolean): void {
    for (const [i, item] of items.entries()) {
      if (i > 0 || isInMap) this.#newline(indent)
      else if (this.out !== '') this.out += ' '
      this.out += '-'
      this.node(item, indent, false)
    }
  }

  #scalar(value: Value, indent: number, isKey: boolean): string {
    if (typeof value !== 'string') return scalarText(value)
    if (!value.isWellFormed()) return `!!binary ${Buffer.from(toBytes(value)).toString('base64')}`
    const facts = analyse(value)
    const folding: Folding = { column: this.#column(), indent, isAllowed: !isKey }
    if (value.includes('\n') && facts.isBlockAllowed && !isKey) return literal(value, indent)
    if (value.includes('\n') || needsQuotes(value)) return doubleQuoted(value, folding)
    if (facts.isPlainAllowed) return plain(value, folding)
    return facts.isSingleAllowed ? singleQuoted(value, folding) : doubleQuoted(value, folding)
  }
}

function entriesOf(value: Value): readonly Entry[] | null {
  if (isMap(value)) return [...value].sort((a, b) => compareYamlKeys(a[0], b[0]))
  if (value instanceof TypedMap) return [...value.entries].sort((a, b) => compareYamlKeys(a[0], b[0]))
  if (value instanceof Struct && !value.isNil) {
    return [...value.fields].map(([name, item]) => [name.toLowerCase(), item] as const)
  }
  return null
}

function scalarText(value: Value): string {
  if (value === undefined || value === null || value instanceof Struct) return 'null'
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  if (value instanceof Int) return String(value.value)
  if (typeof value === 'number') return floatText(value)
  if (value instanceof JsonNumber) {
    const { literal: written } = value
    const isWhole = /^[+-]?\d{1,19}$/.test(written)
    if (isWhole && BigInt.asIntN(64, BigInt(written)) === BigInt(written)) return String(BigInt(written))
    const float = Number(written)
    return written !== '' && Number.isFinite(float) ? floatText(float) : '""'
  }
  throw new FunctionError(`toYAML: cannot marshal type: ${typeName(value)}`)
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return '.nan'
  if (!Number.isFinite(value)) return value > 0 ? '.inf' : '-.inf'
  return formatFloat(value, 'g', -1)
}

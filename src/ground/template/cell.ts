import { redacted } from './errors.ts'
import type { NumberNode, Operand } from './node.ts'
import { describeNode } from './node.ts'
import {
  anyType,
  Complex,
  Int,
  isMap,
  itemsOf,
  Struct,
  sortedEntries,
  TypedMap,
  typeName,
  type Value,
  zeroOf,
} from './value.ts'

/** A value where it was read. `isBoxed`: as an `interface {}`? Only error texts tell the difference. */
export type Cell = { readonly value: Value; readonly isBoxed: boolean }

/** Ends the execution with this text. */
export type Fail = (text: string) => never

export const nothing: Cell = { value: undefined, isBoxed: false }

const plain = (value: Value): Cell => ({ value, isBoxed: false })

/** What `range` goes through: a key and an item a round. */
export function roundsOf(value: Value, isPaired: boolean, fail: Fail): Iterable<readonly [Cell, Cell]> {
  if (value === undefined) return []
  const items = itemsOf(value)
  if (items) return numbered(items, Array.isArray(value))
  const entries = sortedEntries(value)
  if (entries) {
    const isBoxed = isMap(value) || (value instanceof TypedMap && value.element === anyType)
    return entries.map(([key, item]) => [plain(key), { value: item, isBoxed }] as const)
  }
  if (typeof value === 'bigint' || value instanceof Int) {
    return isPaired ? fail(`can't use ${redacted} to iterate over more than one variable`) : counting(value)
  }
  return fail(`range can't iterate over ${redacted}`)
}

function* numbered(items: readonly Value[], isBoxed: boolean): Iterable<readonly [Cell, Cell]> {
  let i = 0n
  for (const value of items) yield [plain(i++), { value, isBoxed }]
}

function* counting(limit: bigint | Int): Iterable<readonly [Cell, Cell]> {
  const end = typeof limit === 'bigint' ? limit : limit.value
  for (let i = 0n; i < end; i++) yield [nothing, plain(typeof limit === 'bigint' ? i : new Int(limit.type, i))]
}

/** May an untyped nil stand for the type? */
export function canBeNil(type: string): boolean {
  return type === anyType || type === 'reflect.Value' || /^(\[\]|map\[|\*|func)/.test(type)
}

/** The value as an argument of the type. @source Go text/template/exec.go validateType */
export function fitted(value: Value, type: string, fail: Fail): Value {
  if (type === 'reflect.Value') return value
  if (value === undefined) return canBeNil(type) ? zeroOf(type) : fail(`invalid value; expected ${type}`)
  if (type === anyType) return value
  const actual = typeName(value)
  if (actual === type || (value instanceof Struct && value.isPointer && value.typeName === type)) return value
  return fail(`wrong type for value; expected ${type}; got ${actual}`)
}

/** A number where no type is asked for: its looks decide. @source Go text/template/exec.go idealConstant */
export function idealNumber(node: NumberNode, fail: Fail): Value {
  if (node.complex) return new Complex(node.complex.re, node.complex.im)
  const isHex = /^0[xX]./.test(node.text) && !/[pP]/.test(node.text)
  if (node.float !== null && !isHex && !node.text.startsWith("'") && /[.eEpP]/.test(node.text)) return node.float
  return node.int ?? fail(`${node.text} overflows int`)
}

const constantTypes: ReadonlySet<string> = new Set(['bool', 'float64', 'int', 'string', anyType, 'reflect.Value'])

/** A literal as an argument of the type. */
export function constantAs(node: Operand, type: string, fail: Fail): Value {
  if (!constantTypes.has(type)) fail(`can't handle ${describeNode(node)} for arg of type ${type}`)
  const isAny = type === anyType || type === 'reflect.Value'
  if (node.kind === 'number') {
    if (isAny) return idealNumber(node, fail)
    if (type === 'int' && node.int !== null) return node.int
    if (type === 'float64' && node.float !== null) return node.float
  }
  if (node.kind === 'bool' && (isAny || type === 'bool')) return node.value
  if (node.kind === 'string' && (isAny || type === 'string')) return node.text
  const wanted = type === 'int' ? 'integer' : type === 'float64' ? 'float' : type
  return fail(`expected ${wanted}; found ${describeNode(node)}`)
}

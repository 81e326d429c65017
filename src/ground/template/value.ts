import { compareBytes } from './bytes.ts'

/**
 * What a template computes with. Go's types as JavaScript values:
 *
 * | Go | here |
 * |---|---|
 * | no value (untyped nil, a missing key) | `undefined` |
 * | a nil `interface {}` | `null` |
 * | `bool`, `string`, `float64` | boolean, string, number |
 * | `int` | bigint |
 * | other whole numbers | `Int` |
 * | `complex128` | `Complex` |
 * | `json.Number` | `JsonNumber` |
 * | `[]interface {}`, `map[string]interface {}` | array, `Map` |
 * | lists and maps of one type | `TypedList`, `TypedMap` |
 * | structs and pointers to them | `Struct` |
 * | functions | `TemplateFunction` |
 *
 * A plain object is never a value: its keys could meet `__proto__`.
 */
export type Value =
  | undefined
  | null
  | boolean
  | string
  | number
  | bigint
  | Int
  | Complex
  | JsonNumber
  | TypedList
  | TypedMap
  | Struct
  | TemplateFunction
  | ValueList
  | ValueMap

export type ValueList = readonly Value[]
export type ValueMap = ReadonlyMap<string, Value>

export type IntType = 'int64' | 'int32' | 'uint' | 'uint8' | 'uint64'

/** A whole number of another type than `int`. */
export class Int {
  readonly type: IntType
  readonly value: bigint

  constructor(type: IntType, value: bigint) {
    this.type = type
    this.value = value
  }
}

export class Complex {
  readonly re: number
  readonly im: number

  constructor(re: number, im: number) {
    this.re = re
    this.im = im
  }
}

/** A number as JSON wrote it: a string with a numeric look, as Vault's answers have them. */
export class JsonNumber {
  readonly literal: string

  constructor(literal: string) {
    this.literal = literal
  }
}

/** A list whose element type isn't `interface {}`: `new TypedList('string', ['a'])` is a `[]string`. */
export class TypedList {
  readonly element: string
  readonly items: ValueList

  constructor(element: string, items: ValueList) {
    this.element = element
    this.items = items
  }
}

/** A map of other types than `map[string]interface {}`. Keys are strings, bigints, numbers or booleans. */
export class TypedMap {
  readonly key: string
  readonly element: string
  readonly entries: ReadonlyMap<Value, Value>

  constructor(key: string, element: string, entries: ReadonlyMap<Value, Value>) {
    this.key = key
    this.element = element
    this.entries = entries
  }
}

/** What a host gives a template besides plain data: named fields and methods; an unknown name is an error. */
export class Struct {
  /** The Go type without its star, `dependency.Secret`. */
  readonly typeName: string
  readonly isPointer: boolean
  /** A nil pointer has its fields all the same: naming one fails otherwise than naming one that doesn't exist. */
  readonly isNil: boolean
  readonly fields: ValueMap
  readonly methods: ReadonlyMap<string, TemplateFunction>

  constructor(
    typeName: string,
    fields: Iterable<readonly [string, Value]>,
    options: { isPointer?: boolean; isNil?: boolean; methods?: ReadonlyMap<string, TemplateFunction> } = {},
  ) {
    this.typeName = typeName
    this.fields = new Map(fields)
    this.isPointer = options.isPointer ?? true
    this.isNil = options.isNil ?? false
    this.methods = options.methods ?? new Map()
  }
}

/** What a function may ask of the execution that calls it. */
export type Execution = {
  /** Runs a template that the same text defines. @throws TemplateError */
  readonly run: (name: string, dot: Value) => string
  /** Does the text define it? */
  readonly has: (name: string) => boolean
}

/**
 * A function that templates can call, from a table or as a value; `define` in `function.ts` makes one. Synchronous; what
 * it throws as `FunctionError` becomes the error's text.
 */
export class TemplateFunction {
  readonly name: string
  /** Go's names of the parameters' types; the last may be variadic, `...string`. */
  readonly parameters: readonly string[]
  /** The Go type of what it returns. */
  readonly result: string
  /** One sentence for the reference. */
  readonly summary: string
  readonly call: (execution: Execution, args: readonly Value[]) => Value

  constructor(
    name: string,
    parameters: readonly string[],
    result: string,
    summary: string,
    call: (execution: Execution, args: readonly Value[]) => Value,
  ) {
    this.name = name
    this.parameters = parameters
    this.result = result
    this.summary = summary
    this.call = call
  }

  /** Go's type: `func(int, string) (string, error)`. */
  get type(): string {
    return `func(${this.parameters.join(', ')}) (${this.result}, error)`
  }
}

/** The type of what may be anything. */
export const anyType = 'interface {}'

export function isMap(value: Value): value is ValueMap {
  return value instanceof Map
}

export function isList(value: Value): value is ValueList {
  return Array.isArray(value)
}

/** The items of any list, null for what is no list. */
export function itemsOf(value: Value): ValueList | null {
  if (isList(value)) return value
  return value instanceof TypedList ? value.items : null
}

/** Go's name of the value's type, as `%T` prints it. */
export function typeName(value: Value): string {
  if (value === undefined) return '<nil>'
  if (value === null) return anyType
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'bigint') return 'int'
  if (typeof value === 'number') return 'float64'
  if (isMap(value)) return 'map[string]interface {}'
  if (isList(value)) return '[]interface {}'
  if (value instanceof Int) return value.type
  if (value instanceof Complex) return 'complex128'
  if (value instanceof JsonNumber) return 'json.Number'
  if (value instanceof TypedList) return `[]${value.element}`
  if (value instanceof TypedMap) return `map[${value.key}]${value.element}`
  if (value instanceof Struct) return (value.isPointer ? '*' : '') + value.typeName
  return value.type
}

/** Go's truth: the zero of each type is false; a struct is always true. */
export function isTrue(value: Value): boolean {
  if (value === undefined || value === null) return false
  if (typeof value === 'boolean') return value
  if (typeof value === 'string') return value !== ''
  if (typeof value === 'bigint') return value !== 0n
  if (typeof value === 'number') return value !== 0
  if (isMap(value)) return value.size > 0
  if (isList(value)) return value.length > 0
  if (value instanceof Int) return value.value !== 0n
  if (value instanceof Complex) return value.re !== 0 || value.im !== 0
  if (value instanceof JsonNumber) return value.literal !== ''
  if (value instanceof TypedList) return value.items.length > 0
  if (value instanceof TypedMap) return value.entries.size > 0
  if (value instanceof Struct) return !value.isNil
  return true
}

/** The zero of a type: what a missing key of a map gives. */
export function zeroOf(type: string): Value {
  switch (type) {
    case 'string':
      return ''
    case 'int':
      return 0n
    case 'bool':
      return false
    case 'float64':
      return 0
    case 'int64':
    case 'int32':
    case 'uint':
    case 'uint8':
    case 'uint64':
      return new Int(type, 0n)
    case 'json.Number':
      return new JsonNumber('')
    case 'map[string]interface {}':
      return new Map()
    case '[]interface {}':
      return []
    default:
  }
  const map = /^map\[(\w+|interface \{\})\](.+)$/.exec(type)
  if (map) return new TypedMap(map[1]!, map[2]!, new Map())
  if (type.startsWith('[]')) return new TypedList(type.slice(2), [])
  if (type.startsWith('*')) return new Struct(type.slice(1), [], { isNil: true })
  return null
}

const rank = { undefined: 0, object: 1, bigint: 2, number: 3, string: 4, boolean: 5, function: 6, symbol: 7 } as const

/** Order of map keys: numbers and strings ascending, false before true, mixed kinds apart. @source Go internal/fmtsort */
export function compareKeys(a: Value, b: Value): number {
  if (typeof a === 'string' && typeof b === 'string') return compareBytes(a, b)
  if (typeof a !== typeof b) return rank[typeof a] - rank[typeof b]
  if (a instanceof Int && b instanceof Int) return a.value < b.value ? -1 : a.value > b.value ? 1 : 0
  if (a === null || b === null || a === undefined || b === undefined) return a === b ? 0 : a === null ? -1 : 1
  return a < b ? -1 : a > b ? 1 : 0
}

/** The entries of a map in the order of their keys, null for what is no map. */
export function sortedEntries(value: Value): readonly (readonly [Value, Value])[] | null {
  const entries: Iterable<readonly [Value, Value]> | null = isMap(value)
    ? value
    : value instanceof TypedMap
      ? value.entries
      : null
  return entries && [...entries].sort((x, y) => compareKeys(x[0], y[0]))
}

import { compareBytes } from './bytes.ts'
import { FunctionError, redacted } from './errors.ts'
import { Complex, Int, isList, isMap, JsonNumber, Struct, TypedList, TypedMap, typeName, type Value } from './value.ts'

type Basic =
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'int' | 'uint'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'complex'; readonly value: Complex }
  | { readonly kind: 'string'; readonly value: string }

function basic(value: Value): Basic | null {
  if (typeof value === 'string') return { kind: 'string', value }
  if (typeof value === 'bigint') return { kind: 'int', value }
  if (typeof value === 'boolean') return { kind: 'bool', value }
  if (typeof value === 'number') return { kind: 'float', value }
  if (value instanceof Int) return { kind: value.type.startsWith('u') ? 'uint' : 'int', value: value.value }
  if (value instanceof JsonNumber) return { kind: 'string', value: value.literal }
  if (value instanceof Complex) return { kind: 'complex', value }
  return null
}

function isNil(value: Value): boolean {
  return value === undefined || value === null || (value instanceof Struct && value.isNil)
}

/** Go's reflect.Kind of what isn't basic. */
function kindOf(value: Value): string {
  if (value === undefined || value === null) return 'invalid'
  if (isMap(value) || value instanceof TypedMap) return 'map'
  if (isList(value) || value instanceof TypedList) return 'slice'
  if (value instanceof Struct) return value.isPointer ? 'ptr' : 'struct'
  return 'func'
}

function incompatible(a: Value, b: Value): FunctionError {
  return new FunctionError(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`)
}

function equalPair(a: Value, b: Value): boolean {
  const x = basic(a)
  const y = basic(b)
  if (x && y) {
    if (x.kind === 'complex' && y.kind === 'complex') return x.value.re === y.value.re && x.value.im === y.value.im
    const areInts = (x.kind === 'int' || x.kind === 'uint') && (y.kind === 'int' || y.kind === 'uint')
    if (x.kind !== y.kind && !areInts) throw incompatible(a, b)
    return x.value === y.value
  }
  if (x || y) {
    if (isInvalid(a) || isInvalid(b)) return false
    throw incompatible(a, b)
  }
  const kinds = [kindOf(a), kindOf(b)]
  if (kinds[0] !== kinds[1] && !kinds.includes('invalid')) {
    throw new FunctionError(`non-comparable types ${redacted}: ${typeName(a)}, ${typeName(b)}: ${redacted}`)
  }
  if (isNil(a) || isNil(b)) return isNil(a) && isNil(b)
  if (kinds[1] !== 'ptr') throw new FunctionError(`non-comparable type ${redacted}: ${typeName(b)}`)
  return a === b
}

function isInvalid(value: Value): boolean {
  return value === undefined || value === null
}

/** `eq a b c…`: is the first equal to any of the others? @throws FunctionError */
export function equal(first: Value, others: readonly Value[]): boolean {
  if (others.length === 0) throw new FunctionError('missing argument for comparison')
  return others.some(other => equalPair(first, other))
}

/** `lt a b`. @throws FunctionError */
export function less(a: Value, b: Value): boolean {
  const x = basic(a)
  const y = basic(b)
  if (!x || !y) throw new FunctionError('invalid type for comparison')
  if (x.kind === 'string' && y.kind === 'string') return compareBytes(x.value, y.value) < 0
  if (x.kind === 'float' && y.kind === 'float') return x.value < y.value
  if ((x.kind === 'int' || x.kind === 'uint') && (y.kind === 'int' || y.kind === 'uint')) return x.value < y.value
  if (x.kind !== y.kind) throw incompatible(a, b)
  throw new FunctionError('invalid type for comparison')
}

/** `le a b`: less or equal. @throws FunctionError */
export function lessOrEqual(a: Value, b: Value): boolean {
  return less(a, b) || equal(a, [b])
}

import { FunctionError, redacted } from '../errors.ts'
import { define, type FunctionTable, functionTable } from '../function.ts'
import { parseFloatLiteral } from '../number.ts'
import { Int, typeName, type Value } from '../value.ts'

function parseBool(text: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true
  if (/^(|0|f|F|FALSE|false|False)$/.test(text)) return false
  throw new FunctionError(`parseBool: strconv.ParseBool: parsing ${redacted}: invalid syntax`)
}

function parseFloat(text: string): number {
  if (text === '') return 0
  const word = /^([+-]?)(inf|infinity|nan)$/i.exec(text)
  if (word)
    return /nan/i.test(text) ? (word[1] === '' ? Number.NaN : badFloat('invalid syntax')) : Number(`${word[1]}Infinity`)
  return (
    parseFloatLiteral(text) ??
    badFloat(
      /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(text.replace(/(?<=[0-9])_(?=[0-9])/g, ''))
        ? 'value out of range'
        : 'invalid syntax',
    )
  )
}

function badFloat(why: string): never {
  throw new FunctionError(`parseFloat: strconv.ParseFloat: parsing ${redacted}: ${why}`)
}

/** `parseInt` and `parseUint`: base 10, 64 bits. @throws FunctionError */
export function parseWhole(name: 'parseInt' | 'parseUint', text: string): Int {
  const type = name === 'parseInt' ? 'int64' : 'uint64'
  if (text === '') return new Int(type, 0n)
  const go = name === 'parseInt' ? 'ParseInt' : 'ParseUint'
  const fail = (why: string): never => {
    throw new FunctionError(`${name}: strconv.${go}: parsing ${redacted}: ${why}`)
  }
  if (!(name === 'parseInt' ? /^[+-]?[0-9]+$/ : /^[0-9]+$/).test(text)) return fail('invalid syntax')
  // No number of 64 bits has more than 20 digits.
  const digits = text.replace(/^([+-]?)0+(?=[0-9])/, '$1')
  if (digits.length > 21) return fail('value out of range')
  const value = BigInt(digits.replace('+', ''))
  const fits = name === 'parseInt' ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value)
  return fits === value ? new Int(type, value) : fail('value out of range')
}

type Operand = { readonly kind: 'int' | 'uint' | 'float'; readonly int: bigint; readonly float: number }

function operand(name: string, value: Value, isFloatFit: boolean): Operand {
  if (typeof value === 'bigint') return { kind: 'int', int: value, float: Number(value) }
  if (value instanceof Int) {
    const kind = value.type.startsWith('u') ? 'uint' : 'int'
    return { kind, int: value.value, float: Number(value.value) }
  }
  if (typeof value === 'number' && isFloatFit) return { kind: 'float', int: 0n, float: value }
  const type = typeName(value ?? undefined)
  throw new FunctionError(`${name}: unknown type for ${redacted} (${type})`)
}

type Rule = {
  readonly int: (a: bigint, b: bigint) => bigint
  readonly float: ((a: number, b: number) => number) | null
}

const zeroDivisor = (): never => {
  throw new FunctionError('runtime error: integer divide by zero')
}

const rules: Readonly<Record<string, Rule>> = {
  add: { int: (a, b) => a + b, float: (a, b) => a + b },
  subtract: { int: (a, b) => a - b, float: (a, b) => a - b },
  multiply: { int: (a, b) => a * b, float: (a, b) => a * b },
  divide: { int: (a, b) => (b === 0n ? zeroDivisor() : a / b), float: (a, b) => a / b },
  modulo: { int: (a, b) => (b === 0n ? zeroDivisor() : a % b), float: null },
}

/** `add b a`: the second is the left operand, so that `5 | subtract 2` is 3. Whole numbers wrap at 64 bits, as in Go. */
function calculate(name: string, rule: Rule, b: Value, a: Value): Value {
  const left = operand(name, a, rule.float !== null)
  const right = operand(name, b, rule.float !== null)
  if (rule.float && (left.kind === 'float' || right.kind === 'float')) return rule.float(left.float, right.float)
  const isUnsigned = left.kind === 'uint' && right.kind === 'uint'
  const value = isUnsigned
    ? rule.int(left.int, right.int)
    : rule.int(BigInt.asIntN(64, left.int), BigInt.asIntN(64, right.int))
  return isUnsigned ? new Int('uint64', BigInt.asUintN(64, value)) : new Int('int64', BigInt.asIntN(64, value))
}

function extreme(name: 'minimum' | 'maximum', b: Value, a: Value): Value {
  const left = operand(name, a, true)
  const right = operand(name, b, true)
  const areWhole = left.kind !== 'float' && right.kind !== 'float'
  const isLess = areWhole ? left.int < right.int : left.float < right.float
  const isGreater = areWhole ? left.int > right.int : left.float > right.float
  const chosen = (name === 'minimum' ? isLess : isGreater) ? left : right
  if (chosen.kind === 'float') return chosen.float
  return new Int(chosen.kind === 'int' ? 'int64' : 'uint64', chosen.int)
}

const any = 'interface {}'

/** Numbers from texts, and arithmetic. @source consul-template template/funcs.go */
export const numberFunctions: FunctionTable = functionTable([
  define('parseBool', ['string'], 'bool', 'A truth from text; of empty text false.', parseBool),
  define('parseFloat', ['string'], 'float64', 'A number from text; of empty text 0.', parseFloat),
  define('parseInt', ['string'], 'int64', 'A whole number from text; of empty text 0.', text =>
    parseWhole('parseInt', text),
  ),
  define('parseUint', ['string'], 'uint64', 'A whole number from 0 up.', text => parseWhole('parseUint', text)),
  ...Object.entries(rules).map(([name, rule]) =>
    define(name, [any, any], any, `\`${name} b a\`, a being the left operand.`, (b, a) => calculate(name, rule, b, a)),
  ),
  define('minimum', [any, any], any, 'The lesser of two numbers.', (b, a) => extreme('minimum', b, a)),
  define('maximum', [any, any], any, 'The greater of two numbers.', (b, a) => extreme('maximum', b, a)),
])

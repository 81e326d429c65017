import { FunctionError } from './errors.ts'
import { define, type FunctionTable, functionTable } from './function.ts'
import { Int, type JsonNumber } from './value.ts'

/** The methods that Go's `json.Number` has. */
export function jsonNumberMethods(number: JsonNumber): FunctionTable {
  return functionTable([
    define('String', [], 'string', 'The number as it was written.', () => number.literal),
    define('Float64', [], 'float64', 'The number as a float64.', () => {
      const value = Number(number.literal)
      if (number.literal === '' || Number.isNaN(value)) throw new FunctionError('invalid syntax')
      return value
    }),
    define('Int64', [], 'int64', 'The number as an int64.', () => {
      if (!/^-?[0-9]+$/.test(number.literal)) throw new FunctionError('invalid syntax')
      const value = BigInt(number.literal)
      if (BigInt.asIntN(64, value) !== value) throw new FunctionError('value out of range')
      return new Int('int64', value)
    }),
  ])
}

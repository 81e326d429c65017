import { byteLength, sliceBytes, toBytes } from './bytes.ts'
import { equal, less, lessOrEqual } from './compare.ts'
import { FunctionError, redacted } from './errors.ts'
import { escapeHtml, escapeJs, escapeQuery } from './escape.ts'
import { print, println } from './fmt.ts'
import { define, type FunctionTable, functionTable } from './function.ts'
import { printf } from './printf.ts'
import {
  anyType,
  type Execution,
  Int,
  isMap,
  isTrue,
  itemsOf,
  JsonNumber,
  Struct,
  TemplateFunction,
  TypedList,
  TypedMap,
  typeName,
  type Value,
  zeroOf,
} from './value.ts'

/** An index or a bound: a whole number from 0 to `limit`. @source Go text/template/funcs.go indexArg */
function position(index: Value, limit: number): number {
  if (index === undefined || index === null) throw new FunctionError('cannot index slice/array with nil')
  const number = typeof index === 'bigint' ? index : index instanceof Int ? index.value : null
  if (number === null) throw new FunctionError(`cannot index slice/array with type ${typeName(index)}`)
  if (number < 0n || number > BigInt(limit)) throw new FunctionError(`index out of range: ${redacted}`)
  return Number(number)
}

function indexOne(item: Value, index: Value): Value {
  if (item === null || item === undefined || (item instanceof Struct && item.isNil)) {
    throw new FunctionError('index of nil pointer')
  }
  const items = itemsOf(item)
  if (items) {
    const at = position(index, items.length)
    if (at === items.length) throw new FunctionError('reflect: slice index out of range')
    return items[at] ?? null
  }
  if (typeof item === 'string' || item instanceof JsonNumber) {
    const bytes = toBytes(typeof item === 'string' ? item : item.literal)
    const at = position(index, bytes.length)
    if (at === bytes.length) throw new FunctionError('reflect: string index out of range')
    return new Int('uint8', BigInt(bytes[at]!))
  }
  if (isMap(item)) return typeof index === 'string' ? (item.get(index) ?? null) : badKey(index, 'string')
  if (item instanceof TypedMap) {
    if (item.key !== anyType && typeName(index) !== item.key) return badKey(index, item.key)
    return item.entries.has(index) ? item.entries.get(index) : zeroOf(item.element)
  }
  throw new FunctionError(`can't index item of type ${typeName(item)}`)
}

function badKey(index: Value, wanted: string): never {
  if (index === undefined || index === null) throw new FunctionError(`value is nil; should be of type ${wanted}`)
  throw new FunctionError(`value has type ${typeName(index)}; should be ${wanted}`)
}

function index(item: Value, ...indexes: readonly Value[]): Value {
  if (item === undefined || item === null) throw new FunctionError('index of untyped nil')
  return indexes.reduce(indexOne, item)
}

function slice(item: Value, ...bounds: readonly Value[]): Value {
  if (item === undefined || item === null) throw new FunctionError('slice of untyped nil')
  if (item instanceof Struct && item.isNil) throw new FunctionError('slice of nil pointer')
  if (bounds.length > 3) throw new FunctionError(`too many slice indexes: ${bounds.length}`)
  const items = itemsOf(item)
  if (!items && typeof item !== 'string') throw new FunctionError(`can't slice item of type ${typeName(item)}`)
  if (!items && bounds.length === 3) throw new FunctionError('cannot 3-index slice a string')
  const length = items ? items.length : byteLength(item as string)
  const places = bounds.map(bound => position(bound, length))
  const [start = 0, end = length, cap = length] = places
  if (start > end || end > cap) throw new FunctionError(`invalid slice index: ${redacted} > ${redacted}`)
  if (!items) return sliceBytes(item as string, start, end)
  const part = items.slice(start, end)
  return item instanceof TypedList ? new TypedList(item.element, part) : part
}

function length(item: Value): bigint {
  if (item === undefined) throw new FunctionError('reflect: call of reflect.Value.Type on zero Value')
  if (item === null || (item instanceof Struct && item.isNil)) throw new FunctionError('len of nil pointer')
  if (typeof item === 'string') return BigInt(byteLength(item))
  if (item instanceof JsonNumber) return BigInt(item.literal.length)
  const items = itemsOf(item)
  if (items) return BigInt(items.length)
  if (isMap(item)) return BigInt(item.size)
  if (item instanceof TypedMap) return BigInt(item.entries.size)
  const shown = item instanceof Struct ? item.typeName : typeName(item)
  throw new FunctionError(`len of type ${shown}`)
}

/** The text of arguments that an escaping function takes. @source Go text/template/funcs.go evalArgs */
function textOf(args: readonly Value[]): string {
  if (args.length === 1 && typeof args[0] === 'string') return args[0]
  return print(args.map(arg => (arg === undefined || arg === null ? '<no value>' : arg)))
}

/** `call`: the first argument is the callee's text in the template, put there by the evaluator. */
function call(execution: Execution, [label, callee, ...args]: readonly Value[]): Value {
  const name = typeof label === 'string' ? label : ''
  if (callee === undefined || callee === null) throw new FunctionError('call of nil')
  if (!(callee instanceof TemplateFunction)) {
    throw new FunctionError(`non-function ${name} of type ${typeName(callee)}`)
  }
  const { parameters } = callee
  const rest = parameters.at(-1)?.startsWith('...') ? parameters.at(-1)!.slice(3) : null
  const fixed = parameters.length - (rest === null ? 0 : 1)
  if (rest === null ? args.length !== fixed : args.length < fixed) {
    throw new FunctionError(
      `wrong number of args for ${name}: got ${args.length} want ${rest === null ? '' : 'at least '}${fixed}`,
    )
  }
  for (const [i, arg] of args.entries()) {
    const wanted = i < fixed ? parameters[i]! : rest!
    if (wanted === anyType || wanted === 'reflect.Value' || typeName(arg) === wanted) continue
    if (arg === undefined || arg === null)
      throw new FunctionError(`arg ${i}: value is nil; should be of type ${wanted}`)
    throw new FunctionError(`arg ${i}: value has type ${typeName(arg)}; should be ${wanted}`)
  }
  return callee.call(execution, args)
}

function unreached(): never {
  throw new FunctionError('and/or are executed by the evaluator')
}

/** The functions that every template has. @source Go text/template/funcs.go */
export const builtins: FunctionTable = functionTable([
  define(
    'and',
    ['reflect.Value', '...reflect.Value'],
    'reflect.Value',
    'The first false argument, or the last.',
    unreached,
  ),
  define(
    'or',
    ['reflect.Value', '...reflect.Value'],
    'reflect.Value',
    'The first true argument, or the last.',
    unreached,
  ),
  define('not', ['reflect.Value'], 'bool', 'The opposite of the truth of the argument.', value => !isTrue(value)),
  new TemplateFunction('call', ['reflect.Value', '...reflect.Value'], 'reflect.Value', 'Calls its argument.', call),
  define('len', ['reflect.Value'], 'int', 'The length of a string (bytes), list or map.', length),
  define('index', ['reflect.Value', '...reflect.Value'], 'reflect.Value', '`index x 1 "k"` is x[1]["k"].', index),
  define('slice', ['reflect.Value', '...reflect.Value'], 'reflect.Value', '`slice x 1 2` is x[1:2].', slice),
  define('print', ['...interface {}'], 'string', 'The arguments as text.', (...args) => print(args)),
  define('println', ['...interface {}'], 'string', 'The arguments and a line feed.', (...args) => println(args)),
  define('printf', ['string', '...interface {}'], 'string', 'The arguments in a format.', (format, ...args) =>
    printf(format, args),
  ),
  define('html', ['...interface {}'], 'string', 'Escaped for HTML.', (...args) => escapeHtml(textOf(args))),
  define('js', ['...interface {}'], 'string', 'Escaped for JavaScript.', (...args) => escapeJs(textOf(args))),
  define('urlquery', ['...interface {}'], 'string', 'Escaped for a URL query.', (...args) => escapeQuery(textOf(args))),
  define('eq', ['reflect.Value', '...reflect.Value'], 'bool', 'Is the first equal to any other?', (a, ...rest) =>
    equal(a, rest),
  ),
  define('ne', ['reflect.Value', 'reflect.Value'], 'bool', 'a != b', (a, b) => !equal(a, [b])),
  define('lt', ['reflect.Value', 'reflect.Value'], 'bool', 'a < b', (a, b) => less(a, b)),
  define('le', ['reflect.Value', 'reflect.Value'], 'bool', 'a <= b', (a, b) => lessOrEqual(a, b)),
  define('gt', ['reflect.Value', 'reflect.Value'], 'bool', 'a > b', (a, b) => !lessOrEqual(a, b)),
  define('ge', ['reflect.Value', 'reflect.Value'], 'bool', 'a >= b', (a, b) => !less(a, b)),
])

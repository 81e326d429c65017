import {
  type JsonNumber,
  TemplateFunction,
  type TypedList,
  type Value,
  type ValueList,
  type ValueMap,
} from './value.ts'

/** Go's names of the parameter types that a function may ask for, and what it then gets. */
export type ParameterTypes = {
  string: string
  int: bigint
  bool: boolean
  float64: number
  'json.Number': JsonNumber
  'interface {}': Exclude<Value, undefined>
  /** The untouched value, `undefined` for a missing one. */
  'reflect.Value': Value
  '[]string': TypedList
  '[]interface {}': ValueList
  'map[string]interface {}': ValueMap
}

export type ParameterType = keyof ParameterTypes

/** The last parameter may be variadic: `...string`. */
export type Parameter = ParameterType | `...${ParameterType}`

type Native<P> = P extends ParameterType ? ParameterTypes[P] : never

/** The arguments that a list of parameters stands for. */
export type Arguments<P extends readonly Parameter[]> = P extends readonly [...infer Fixed, `...${infer Rest}`]
  ? [...{ [K in keyof Fixed]: Native<Fixed[K]> }, ...Native<Rest>[]]
  : { -readonly [K in keyof P]: Native<P[K]> }

/** The functions of a template by name. Two tables are joined by `new Map([...a, ...b])`. */
export type FunctionTable = ReadonlyMap<string, TemplateFunction>

/** A function from its parameters' types; the evaluator has checked the arguments before it is called. */
export function define<const P extends readonly Parameter[]>(
  name: string,
  parameters: P,
  result: string,
  summary: string,
  call: (...args: Arguments<P>) => Value,
): TemplateFunction {
  const untyped = call as (...args: readonly Value[]) => Value
  return new TemplateFunction(name, parameters, result, summary, (_, args) => untyped(...args))
}

export function functionTable(functions: readonly TemplateFunction[]): FunctionTable {
  return new Map(functions.map(each => [each.name, each]))
}

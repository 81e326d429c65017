import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { virtualClock } from '#ground/base/clock.ts'
import { toBytes } from './bytes.ts'
import { FunctionError, redacted } from './errors.ts'
import { define, type FunctionTable, functionTable } from './function.ts'
import { clockFunctions } from './functions/clock.ts'
import { formatGoTime } from './functions/layout.ts'
import { textFunctions } from './functions/text.ts'
import { parseTemplate } from './template.ts'
import { Int, type IntType, JsonNumber, Struct, TypedList, TypedMap, type Value } from './value.ts'

/** A recorded case, as tools/golden/template writes it. */
type Golden = {
  template: string
  dot?: number
  missingKey?: 'default' | 'zero' | 'error'
  delims?: [string, string]
  functions?: string
  output?: string
  base64?: true
  error?: string
}

// The same functions as in tools/golden/template/main.go.
const functions: FunctionTable = functionTable([
  define('str', ['string'], 'string', '', text => `<${text}>`),
  define('num', ['int'], 'int', '', number => number * 2n),
  define('flo', ['float64'], 'float64', '', number => number / 2),
  define('boo', ['bool'], 'bool', '', value => !value),
  define('any', ['interface {}'], 'interface {}', '', value => value),
  define('strs', ['[]string'], 'int', '', list => BigInt(list.items.length)),
  define('two', ['string', 'int'], 'string', '', (text, number) => text + String(number)),
  define('vari', ['string', '...int'], 'int', '', (text, ...rest) => BigInt(text.length + rest.length)),
  define('varstr', ['...string'], 'string', '', (...rest) => rest.join('+')),
  define('fail', [], 'string', '', () => {
    throw new FunctionError('it failed')
  }),
  define('nothing', [], 'interface {}', '', () => null),
])

// The instant at which the Go side formats its layouts.
const layout = define('layout', ['string'], 'string', '', text =>
  formatGoTime(Date.UTC(2026, 2, 5, 14, 7, 9, 80), text),
)

function tagged(tag: string, value: unknown): Value {
  const record = value as Record<string, string>
  switch (tag) {
    case '$int':
      return BigInt(value as string)
    case '$int64':
    case '$uint8':
    case '$uint64':
      return new Int(tag.slice(1) as IntType, BigInt(value as string))
    case '$json':
      return new JsonNumber(value as string)
    case '$strings':
      return new TypedList('string', value as string[])
    case '$ints':
      return new TypedList('int', (value as string[]).map(BigInt))
    case '$stringMap':
      return new TypedMap('string', 'string', new Map(Object.entries(record)))
    case '$intMap':
      return new TypedMap('int', 'string', new Map(Object.entries(record).map(([k, v]) => [BigInt(k), v])))
    case '$anyMap':
      return new TypedMap(
        'interface {}',
        'interface {}',
        new Map(Object.entries(record).map(([k, v]) => [k, decode(v)])),
      )
    case '$secret':
      return secret(value === null ? null : decode(value))
    case '$function':
      return functions.get(value as string)
    default:
      throw new Error(`unknown tag ${tag}`)
  }
}

function secret(data: Value): Struct {
  const auth = new Struct('dependency.SecretAuth', [['ClientToken', '']], { isNil: true })
  return new Struct(
    'dependency.Secret',
    [
      ['RequestID', 'req'],
      ['LeaseID', 'lease/1'],
      ['LeaseDuration', 60n],
      ['Renewable', true],
      ['Data', data],
      ['Warnings', new TypedList('string', [])],
      ['Auth', auth],
      ['WrapInfo', new Struct('dependency.SecretWrapInfo', [], { isNil: true })],
    ],
    { isNil: data === null },
  )
}

function decode(raw: unknown): Value {
  if (Array.isArray(raw)) return raw.map(decode)
  if (typeof raw !== 'object' || raw === null) return raw as Value
  const entries = Object.entries(raw)
  const [first] = entries
  if (entries.length === 1 && first?.[0].startsWith('$')) return tagged(first[0], first[1])
  return new Map(entries.map(([key, value]) => [key, decode(value)]))
}

/** Where our text differs from Go's on purpose: what could be a value is left out. */
const redactions: readonly (readonly [RegExp, string])[] = [
  [/(range can't iterate over ).*$/s, `$1${redacted}`],
  [/(can't use ).*( to iterate over)/s, `$1${redacted}$2`],
  [/(index out of range: )-?\d+$/, `$1${redacted}`],
  [/(invalid slice index: )\d+ > \d+$/, `$1${redacted} > ${redacted}`],
  [/(non-comparable types? ).*$/s, '$1'],
  [/(strconv\.\w+: parsing )"(?:[^"\\]|\\.)*"/, `$1${redacted}`],
  [/(unknown type for ).*( \()/, `$1${redacted}$2`],
  [/(invalid character )'.*'(?= )/, `$1${redacted}`],
  [/(cannot unmarshal number )\S+/, `$1${redacted}`],
  [/(invalid number literal ).*$/, `$1${redacted}`],
  [/(: template: no template )"(?:[^"\\]|\\.)*"/, `$1${redacted}`],
  // Our bound is lower.
  [/(exceeded maximum template depth )\(100000\)/, '$1(1000)'],
]

function comparable(text: string): string {
  return redactions.reduce((out, [pattern, replacement]) => out.replace(pattern, replacement), text)
}

function play(golden: Golden, data: Value): string {
  const [left, right] = golden.delims ?? []
  const isConsul = golden.functions === 'consul'
  const dataFunction = define('data', [], 'interface {}', '', () => data ?? null)
  const consul: FunctionTable = new Map([
    ...textFunctions,
    ...clockFunctions(virtualClock()),
    ['data', dataFunction],
    ['layout', layout],
  ])
  const template = parseTemplate(isConsul ? '' : 't', golden.template, {
    functions: isConsul ? consul : functions,
    ...(left && right ? { delims: { left, right } } : {}),
  })
  const missingKey = golden.missingKey ?? (isConsul ? 'zero' : 'default')
  return template.execute(isConsul ? undefined : data, { missingKey })
}

// Outputs are compared as bytes: two halves of a character are, side by side, that character.
function asBase64(text: string): string {
  return Buffer.from(toBytes(text)).toString('base64')
}

function outcome(golden: Golden, data: Value): { output: string } | { error: string } {
  try {
    const output = play(golden, data)
    const isSame = golden.output !== undefined && wanted(golden) === asBase64(output)
    return { output: isSame ? (golden.output ?? '') : output }
  } catch (error) {
    return { error: comparable((error as Error).message) }
  }
}

function wanted(golden: Golden): string {
  return golden.base64 ? (golden.output ?? '') : asBase64(golden.output ?? '')
}

const folder = new URL('./golden/', import.meta.url)

for (const file of readdirSync(folder).sort()) {
  test(`templates give what Go gives: ${file.slice(0, -5)}`, () => {
    const { dots, cases } = JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as {
      dots: unknown[] | null
      cases: Golden[]
    }
    const data = (dots ?? []).map(dot => decode(dot) ?? undefined)
    assert(cases.length > 0)
    const misses = cases.flatMap(golden => {
      const want = golden.output === undefined ? { error: comparable(golden.error ?? '') } : { output: golden.output }
      const got = outcome(golden, golden.dot === undefined ? undefined : data[golden.dot])
      return JSON.stringify(got) === JSON.stringify(want) ? [] : [{ template: golden.template, got, want }]
    })
    assert.deepEqual(misses, [])
  })
}

import { parseFloatLiteral, parseInteger } from '../number.ts'
import { Int, type Value } from '../value.ts'

const words = new Set(
  [
    ['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'],
    ['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'],
    ['', '~', 'null', 'Null', 'NULL', '.nan', '.NaN', '.NAN', '.inf', '.Inf', '.INF'],
    ['+.inf', '+.Inf', '+.INF', '-.inf', '-.Inf', '-.INF'],
  ].flat(),
)

const timestamp =
  /^\d{4}-(?:0?[1-9]|1[0-2])-(?:0?[1-9]|[12]\d|3[01])(?:(?:[Tt]|\s)\d{1,2}:\d{1,2}:\d{1,2}(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)?)?$/
const base60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/
const yamlFloat = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/

/** Would a reader of YAML 1.1 take the bare text for something else than a string? @source gopkg.in/yaml.v2 resolve.go */
export function needsQuotes(text: string): boolean {
  if (words.has(text)) return true
  if (text.startsWith('.')) return parseFloatLiteral(text) !== null
  if (!/^[0-9+-]/.test(text)) return false
  if (timestamp.test(text) || base60.test(text)) return true
  const bare = text.replaceAll('_', '')
  const whole = bare.length > 80 ? null : parseInteger(bare)
  if (whole !== null && whole >= -(2n ** 63n) && whole < 2n ** 64n) return true
  return yamlFloat.test(bare) && parseFloatLiteral(bare) !== null
}

const isLetter = (char: string): boolean => /\p{L}/u.test(char)
const isDigit = (char: string | undefined): boolean => char !== undefined && /\p{Nd}/u.test(char)

function numeric(value: Value): number | null {
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') return Number(value)
  return value instanceof Int ? Number(value.value) : null
}

/** The natural order of keys: runs of digits by their value, letters after the rest. @source gopkg.in/yaml.v2 sorter.go */
export function compareYamlKeys(a: Value, b: Value): number {
  const x = numeric(a)
  const y = numeric(b)
  if (x !== null && y !== null) return x - y
  if (typeof a !== 'string' || typeof b !== 'string') return x !== null ? -1 : y !== null ? 1 : 0
  return compareTexts(Array.from(a), Array.from(b))
}

function compareTexts(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const [x, y] = [a[i]!, b[i]!]
    if (x === y) continue
    if (isLetter(x) && isLetter(y)) return x.codePointAt(0)! - y.codePointAt(0)!
    if (isLetter(x) || isLetter(y)) return isLetter(y) ? -1 : 1
    const left = digitRun(a, b, i)
    const right = digitRun(b, a, i)
    if (left.value !== right.value) return left.value < right.value ? -1 : 1
    if (left.end !== right.end) return left.end - right.end
    return x.codePointAt(0)! - y.codePointAt(0)!
  }
  return a.length - b.length
}

// A zero inside a number counts: what stands before it is a digit other than zero.
function digitRun(own: readonly string[], other: readonly string[], from: number): { value: bigint; end: number } {
  let value = 0n
  if (own[from] === '0' || other[from] === '0') {
    for (let i = from - 1; i >= 0 && isDigit(own[i]); i--) {
      if (own[i] === '0') continue
      value = 1n
      break
    }
  }
  let end = from
  while (isDigit(own[end])) value = BigInt.asIntN(64, value * 10n + BigInt(own[end++]!.codePointAt(0)! - 48))
  return { value, end }
}

import { goQuote } from './quote.ts'

/** A duration that can't be read; the text is Go's own, clients and scripts know it. */
export class DurationError extends Error {
  override readonly name = 'DurationError'
}

const unitNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

// Go's package time quotes by itself: bytes that aren't printable ASCII as \xNN.
function timeQuote(text: string): string {
  const quoted = text.replace(/["\\]|[^ -\u007f]/gu, char => {
    if (char === '"' || char === '\\') return `\\${char}`
    return Buffer.from(char).toString('hex').replace(/../g, '\\x$&')
  })
  return `"${quoted}"`
}

const int64Max = 2 ** 63

/**
 * Reads Go's duration syntax, `1h30m`, `1.5h`, `-100ms`, `0`, into nanoseconds.
 * @returns whole ns; above 2^53 (104 days) the last digits are rounded, as the duration's user can't see.
 * @throws DurationError with the text of Go's time.ParseDuration
 */
export function parseGoDuration(text: string): number {
  const invalid = (): DurationError => new DurationError(`time: invalid duration ${timeQuote(text)}`)
  let at = 0
  let sign = 1
  if (text[0] === '-' || text[0] === '+') {
    if (text[0] === '-') sign = -1
    at = 1
  }
  if (text.slice(at) === '0') return 0
  if (at === text.length) throw invalid()
  const part = /(\d*)(\.\d*)?([^\d.]*)/y
  let total = 0
  while (at < text.length) {
    part.lastIndex = at
    const [whole, digits = '', fraction = '', unit = ''] = part.exec(text)!
    if (digits === '' && fraction.length < 2) throw invalid()
    if (unit === '') throw new DurationError(`time: missing unit in duration ${timeQuote(text)}`)
    const size = Object.hasOwn(unitNs, unit) ? unitNs[unit] : undefined
    if (size === undefined)
      throw new DurationError(`time: unknown unit ${timeQuote(unit)} in duration ${timeQuote(text)}`)
    total += Number(digits) * size
    if (fraction.length > 1) total += Math.trunc(Number(`0${fraction}`) * size)
    if (total > int64Max || (total === int64Max && sign > 0)) throw invalid()
    at += whole.length
  }
  return sign * total || 0
}

/**
 * Reads what Vault takes wherever it asks for a duration: `""` is 0, a whole number (also as text) is seconds, `7d` is
 * days, the rest is Go's syntax.
 * @returns seconds, with a fraction where the input has one; a number loses its fraction, as a JSON float does upstream
 * @throws DurationError
 * @source hashicorp/go-secure-stdlib parseutil ParseDurationSecond
 */
export function parseDurationSeconds(input: string | number): number {
  if (typeof input === 'number') {
    if (!Number.isFinite(input)) throw new DurationError(`time: invalid duration ${timeQuote(String(input))}`)
    return Math.trunc(input) || 0
  }
  if (input === '') return 0
  if (/^[+-]?\d+$/.test(input)) return bounded(Number(input), input)
  if (input.endsWith('d')) {
    const days = input.slice(0, -1)
    if (!/^[+-]?\d+$/.test(days)) {
      throw new DurationError(`strconv.ParseInt: parsing ${goQuote(days)}: invalid syntax`)
    }
    return bounded(Number(days) * 86_400, input)
  }
  return parseGoDuration(input) / 1e9
}

// What Go's int64 of nanoseconds can't hold would wrap around there; here it is refused.
function bounded(seconds: number, input: string): number {
  if (Math.abs(seconds) * 1e9 >= int64Max) throw new DurationError(`time: invalid duration ${timeQuote(input)}`)
  return seconds || 0
}

/** Go's `Duration.String()` of a length in seconds: `3h0m0s`, `1m30s`, `1.5s`, `100ms`, `0s`. */
export function formatGoDuration(seconds: number): string {
  return formatGoDurationNs(Math.round(seconds * 1e9))
}

/** Go's `Duration.String()` of whole nanoseconds. */
export function formatGoDurationNs(ns: number): string {
  if (ns === 0) return '0s'
  const sign = ns < 0 ? '-' : ''
  const size = Math.abs(ns)
  if (size < 1e3) return `${sign}${size}ns`
  if (size < 1e6) return `${sign}${decimal(size, 3)}µs`
  if (size < 1e9) return `${sign}${decimal(size, 6)}ms`
  const wholeSeconds = Math.floor(size / 1e9)
  const hours = Math.floor(wholeSeconds / 3600)
  const minutes = Math.floor(wholeSeconds / 60) % 60
  const rest = `${decimal((wholeSeconds % 60) * 1e9 + (size % 1e9), 9)}s`
  if (hours > 0) return `${sign}${hours}h${minutes}m${rest}`
  return minutes > 0 ? `${sign}${minutes}m${rest}` : sign + rest
}

function decimal(value: number, places: number): string {
  const scale = 10 ** places
  const fraction = (value % scale).toString().padStart(places, '0').replace(/0+$/, '')
  const whole = Math.floor(value / scale)
  return fraction === '' ? `${whole}` : `${whole}.${fraction}`
}

/** As `formatGoDuration`, without the zero parts at the end: `768h`, `1h30m`. The CLI's tables show this form. */
export function formatCompactDuration(seconds: number): string {
  const text = formatGoDuration(seconds)
  return text.replace(/m0s$/, 'm').replace(/h0m$/, 'h')
}

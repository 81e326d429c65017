import { compareKeys, isJsonObject, type Json, NumberLiteral, renderJson } from '#ground/text/json.ts'
import { formatGoDuration } from '#ground/text/duration.ts'

/** A value as Go's `%v` prints it: `map[a:1 b:[x y]]`, `<nil>`, numbers by their literal. */
export function goValue(value: Json): string {
  if (value === null) return '<nil>'
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return `[${value.map(item => goValue(item as Json)).join(' ')}]`
  if (isJsonObject(value)) {
    const keys = Object.keys(value).sort(compareKeys)
    return `map[${keys.map(key => `${key}:${goValue(value[key] ?? null)}`).join(' ')}]`
  }
  return renderJson(value)
}

/** Seconds without their zeros: `768h`, `1h5s`, `0s`. @source openbao command/base_helpers.go humanDuration */
export function humanDuration(seconds: number): string {
  const text = formatGoDuration(seconds).replace(/m0s$/, 'm')
  const at = text.indexOf('h0m')
  return at > 0 ? text.slice(0, at + 1) + text.slice(at + 3) : text
}

/** Does the key name a length of time? Then its whole seconds are shown as one. */
export function looksLikeDuration(key: string): boolean {
  return /(?:^|_)(?:period|ttl|duration)$/.test(key) || key === 'lease_max' || key === 'ttl_max'
}

/** A table's cell for a member of `data`. */
export function cellOf(key: string, value: Json): string {
  if (looksLikeDuration(key)) {
    const number = value instanceof NumberLiteral ? Number(value.text) : value
    if (typeof number === 'number' && Number.isSafeInteger(number) && !/[.eE]/.test(goValue(value))) {
      return humanDuration(number)
    }
  }
  return goValue(value)
}

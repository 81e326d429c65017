const daysBefore = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return isLeap(year) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

// Days from 1970-01-01 to the first of January of a year, proleptic Gregorian.
function daysToYear(year: number): number {
  const before = year - 1
  return before * 365 + Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400) - 719_162
}

const two = (value: number): string => (value < 10 ? `0${value}` : `${value}`)

// The second that was formatted last: within it only the fraction differs, and a busy server formats thousands.
let lastSecond = Number.NaN
let lastText = ''

function wholeSeconds(second: number): string {
  if (second === lastSecond) return lastText
  const days = Math.floor(second / 86_400)
  const rest = second - days * 86_400
  let year = 1970 + Math.floor(days / 365.2425)
  while (daysToYear(year + 1) <= days) year++
  while (daysToYear(year) > days) year--
  let day = days - daysToYear(year)
  let month = 1
  while (day >= daysInMonth(year, month)) day -= daysInMonth(year, month++)
  const hour = Math.floor(rest / 3600)
  const minute = Math.floor(rest / 60) % 60
  const years = year.toString().padStart(4, '0')
  lastText = `${years}-${two(month)}-${two(day + 1)}T${two(hour)}:${two(minute)}:${two(rest % 60)}`
  lastSecond = second
  return lastText
}

/**
 * `2026-01-01T00:00:00.5Z`: the fraction has as many digits as it needs and is left out when it is zero, as Go's
 * RFC3339Nano; a reader of audit logs and lookups may not rely on a width.
 * @param ms wall time since 1970, years 0 to 9999
 * @param nanos what lies between this millisecond and the next, 0 to 999,999 ns
 */
export function formatRfc3339Nano(ms: number, nanos = 0): string {
  const second = Math.floor(ms / 1000)
  const fraction = Math.trunc(ms - second * 1000) * 1_000_000 + nanos
  if (fraction === 0) return `${wholeSeconds(second)}Z`
  return `${wholeSeconds(second)}.${fraction.toString().padStart(9, '0').replace(/0+$/, '')}Z`
}

/** As `formatRfc3339Nano`, without the fraction. */
export function formatRfc3339(ms: number): string {
  return `${wholeSeconds(Math.floor(ms / 1000))}Z`
}

/** As Go's `time.Time.String()` writes UTC, without a fraction: `2026-01-01 00:00:00 +0000 UTC`. */
export function formatGoTime(ms: number): string {
  return `${wholeSeconds(Math.floor(ms / 1000)).replace('T', ' ')} +0000 UTC`
}

// As lenient as Go's time.Parse(RFC3339): an hour of one digit and a comma before the fraction pass.
const shape = /^(\d{4})-(\d\d)-(\d\d)T(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/

/**
 * Reads an RFC 3339 time as Go does, quirks included: audit hashing leaves such strings in the clear, and must agree.
 * @returns ms since 1970, with the fraction cut at the millisecond, or null when it isn't one
 * @source Go time/format.go Parse
 */
export function parseRfc3339(text: string): number | null {
  if (text.length < 19 || text.length > 256) return null
  const match = shape.exec(text)
  if (!match) return null
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return null
  if (hour > 23 || minute > 59 || second > 59) return null
  let offsetMinutes = 0
  if (match[8] !== undefined) {
    const hours = Number(match[9])
    const minutes = Number(match[10])
    // Go tests with > on purpose: some people write +24:00.
    if (hours > 24 || minutes > 60) return null
    offsetMinutes = (match[8] === '-' ? -1 : 1) * (hours * 60 + minutes)
  }
  const days = daysToYear(year) + daysBefore[month - 1]! + (month > 2 && isLeap(year) ? 1 : 0) + day - 1
  const ms = match[7] === undefined ? 0 : Number(match[7].slice(0, 3).padEnd(3, '0'))
  return (days * 86_400 + hour * 3600 + (minute - offsetMinutes) * 60 + second) * 1000 + ms
}

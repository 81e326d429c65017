import { type Instant, instant } from '#ground/base/clock.ts'

/** A schedule that can't be read; the text is for the operator. */
export class ScheduleProblem extends Error {
  override readonly name = 'ScheduleProblem'
}

/** When something is due, in the five fields of cron, UTC. */
export type Schedule = {
  /** The first minute that fits after this time; null when none does within five years (30 February). */
  next(after: Instant): Instant | null
}

type Field = { readonly name: string; readonly min: number; readonly max: number; readonly names?: readonly string[] }

const minuteMs = 60_000
const dayMs = 86_400_000
const daysMax = 5 * 366
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const shape: readonly Field[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: months },
  { name: 'day of week', min: 0, max: 6, names: days },
]
const named: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}

/**
 * Reads `0 3 * * SAT`, lists, ranges, steps, names and `@daily`.
 * @throws ScheduleProblem
 * @source robfig/cron parser.go, the standard form
 */
export function parseSchedule(text: string): Schedule {
  const spec = named[text.trim().toLowerCase()] ?? text.trim()
  if (/^(?:CRON_)?TZ=/.test(spec)) throw new ScheduleProblem('a time zone is not supported: schedules are in UTC')
  const parts = spec.split(/\s+/)
  if (spec === '' || parts.length !== shape.length)
    throw new ScheduleProblem(
      `expected 5 fields (minute hour day month weekday), found ${spec === '' ? 0 : parts.length}`,
    )
  const sets = parts.map((part, index) => readField(part, shape[index]!))
  const [minutes, hours, monthDays, monthSet, weekDays] = sets as [Part, Part, Part, Part, Part]
  const isDay = (day: number): boolean => {
    const { month, date } = civil(day)
    if (!monthSet.values.has(month)) return false
    const [byDate, byWeek] = [monthDays.values.has(date), weekDays.values.has((((day + 4) % 7) + 7) % 7)]
    // Where both are given either is enough.
    return monthDays.isOpen || weekDays.isOpen ? byDate && byWeek : byDate || byWeek
  }
  return {
    next(after) {
      const first = Math.floor(after / minuteMs) + 1
      const firstDay = Math.floor((first * minuteMs) / dayMs)
      for (let day = firstDay; day < firstDay + daysMax; day++) {
        if (!isDay(day)) continue
        const from = day === firstDay ? first - day * 1440 : 0
        for (let minute = from; minute < 1440; minute++) {
          if (hours.values.has(Math.floor(minute / 60)) && minutes.values.has(minute % 60))
            return instant(day * dayMs + minute * minuteMs)
        }
      }
      return null
    },
  }
}

type Part = { readonly values: ReadonlySet<number>; readonly isOpen: boolean }

function readField(text: string, field: Field): Part {
  const values = new Set<number>()
  let isOpen = false
  for (const piece of text.split(',')) {
    const [range = '', stepText, ...rest] = piece.split('/')
    const step = stepText === undefined ? 1 : Number(stepText)
    if (rest.length > 0 || !Number.isInteger(step) || step < 1 || !/^\d+$/.test(stepText ?? '1'))
      throw new ScheduleProblem(`${field.name}: "${piece}" has no step that counts`)
    const isStar = range === '*' || range === '?'
    if (isStar && step === 1) isOpen = true
    const [from, to = from, ...more] = isStar
      ? [field.min, field.max]
      : range.split('-').map(word => readNumber(word, field))
    if (more.length > 0 || from === undefined || to === undefined || to < from)
      throw new ScheduleProblem(`${field.name}: "${piece}" is no range`)
    // `5/15` goes on to the end, as `5-59/15`.
    const end = stepText !== undefined && !isStar && !range.includes('-') ? field.max : to
    for (let value = from; value <= end; value += step) values.add(value)
  }
  return { values, isOpen }
}

function readNumber(word: string, { name, min, max, names }: Field): number {
  const at = names?.indexOf(word.toLowerCase()) ?? -1
  const value = at >= 0 ? at + min : /^\d{1,2}$/.test(word) ? Number(word) : Number.NaN
  // Sunday's second name.
  if (name === 'day of week' && value === 7) return 0
  if (value >= min && value <= max) return value
  throw new ScheduleProblem(`${name}: "${word}" is not from ${min} to ${max}`)
}

/** Month and day of month of a day since 1970, proleptic Gregorian. */
function civil(day: number): { month: number; date: number } {
  // Years begin in March here, so that the leap day is the last.
  const shifted = day + 719_468
  const era = Math.floor(shifted / 146_097)
  const ofEra = shifted - era * 146_097
  const year = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  )
  const ofYear = ofEra - (365 * year + Math.floor(year / 4) - Math.floor(year / 100))
  const march = Math.floor((5 * ofYear + 2) / 153)
  return { month: march < 10 ? march + 3 : march - 9, date: ofYear - Math.floor((153 * march + 2) / 5) + 1 }
}

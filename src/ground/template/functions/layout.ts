import { formatRfc3339 } from '#ground/text/time.ts'

const months = 'January February March April May June July August September October November December'.split(' ')
const days = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ')

// The reference time's parts, longest first where one begins another. @source Go time/format.go nextStdChunk
const parts =
  /January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|_2006|_2|002|0[1-6]|15|PM|pm|Z07:00:00|Z07:00|Z070000|Z0700|Z07|-07:00:00|-07:00|-070000|-0700|-07|[.,]0+(?![0-9])|[.,]9+(?![0-9])|[1-5]/g

/** Wall time in UTC in a Go layout, where `2006-01-02 15:04:05` stands for the parts. @param ms since 1970 */
export function formatGoTime(ms: number, layout: string): string {
  const [year, month, day, hour, minute, second] = formatRfc3339(ms).split(/[-T:Z]/) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  const dayNumber = Math.floor(ms / 86_400_000)
  const weekday = days[(((dayNumber + 4) % 7) + 7) % 7]!
  const yearStart = dayNumber - dayOfYear(Number(year), Number(month), Number(day)) + 1
  const dayInYear = String(dayNumber - yearStart + 1)
  const twelve = String(Number(hour) % 12 || 12)
  const nanos = `${String(((ms % 1000) + 1000) % 1000).padStart(3, '0')}000000`
  const bare = (text: string): string => String(Number(text))
  const values: Readonly<Record<string, string>> = {
    January: months[Number(month) - 1]!,
    Jan: months[Number(month) - 1]!.slice(0, 3),
    Monday: weekday,
    Mon: weekday.slice(0, 3),
    MST: 'UTC',
    '2006': year,
    _2006: `_${year}`,
    '06': year.slice(-2),
    '01': month,
    '1': bare(month),
    '02': day,
    '2': bare(day),
    _2: bare(day).padStart(2, ' '),
    '002': dayInYear.padStart(3, '0'),
    __2: dayInYear.padStart(3, ' '),
    '15': hour,
    '03': twelve.padStart(2, '0'),
    '3': twelve,
    '04': minute,
    '4': bare(minute),
    '05': second,
    '5': bare(second),
    PM: Number(hour) >= 12 ? 'PM' : 'AM',
    pm: Number(hour) >= 12 ? 'pm' : 'am',
    '-07:00:00': '+00:00:00',
    '-07:00': '+00:00',
    '-070000': '+000000',
    '-0700': '+0000',
    '-07': '+00',
  }
  return layout.replace(parts, part => {
    const known = values[part]
    if (known !== undefined) return known
    if (part.startsWith('Z')) return 'Z'
    const digits = Math.min(9, part.length - 1)
    if (part[1] === '0') return part[0]! + nanos.slice(0, digits)
    const fraction = nanos.slice(0, digits).replace(/0+$/, '')
    return fraction === '' ? '' : part[0]! + fraction
  })
}

function dayOfYear(year: number, month: number, day: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month - 1]!
  return before + day + (isLeap && month > 2 ? 1 : 0)
}

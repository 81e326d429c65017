import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assert as hold, integer, property } from 'fast-check'
import { instant } from '#ground/base/clock.ts'
import { formatRfc3339, parseRfc3339 } from '#ground/text/time.ts'
import { parseSchedule, ScheduleProblem } from './schedule.ts'

const at = (text: string) => instant(parseRfc3339(text)!)

for (const [spec, after, want] of [
  ['* * * * *', '2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z'],
  ['* * * * *', '2026-01-01T00:00:59Z', '2026-01-01T00:01:00Z'],
  ['0 3 * * SAT', '2026-01-01T00:00:00Z', '2026-01-03T03:00:00Z'],
  ['0 3 * * 6', '2026-01-03T03:00:00Z', '2026-01-10T03:00:00Z'],
  ['0 0 * * 7', '2026-01-01T00:00:00Z', '2026-01-04T00:00:00Z'],
  ['*/15 9-17 * * MON-FRI', '2026-01-02T17:50:00Z', '2026-01-05T09:00:00Z'],
  ['5/20 0 * * *', '2026-01-01T00:26:00Z', '2026-01-01T00:45:00Z'],
  ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
  ['0 0 31 * *', '2026-01-31T00:00:00Z', '2026-03-31T00:00:00Z'],
  ['0 0 13 * FRI', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'],
  ['0 0 1 jan,JUL *', '2026-01-01T00:00:00Z', '2026-07-01T00:00:00Z'],
  ['59 23 31 12 ?', '2026-01-01T00:00:00Z', '2026-12-31T23:59:00Z'],
  ['@monthly', '2026-12-15T00:00:00Z', '2027-01-01T00:00:00Z'],
  ['0 0 30 2 *', '2026-01-01T00:00:00Z', null],
] as const) {
  test(`schedule: after ${after} "${spec}" is due ${want ?? 'never'}`, () => {
    const next = parseSchedule(spec).next(at(after))
    assert.equal(next === null ? null : formatRfc3339(next), want)
  })
}

for (const spec of [
  '',
  '* * * *',
  '* * * * * *',
  '60 * * * *',
  '* 24 * * *',
  '* * 0 * *',
  '* * * 13 *',
  '* * * * 8',
  '5-1 * * * *',
  '*/0 * * * *',
  '1/2/3 * * * *',
  'x * * * *',
  '-1 * * * *',
  '*/1e9 * * * *',
  'TZ=Europe/Berlin 0 0 * * *',
]) {
  test(`schedule: refused is "${spec}"`, () => {
    assert.throws(() => parseSchedule(spec), ScheduleProblem)
  })
}

test('schedule: what is next lies after, fits the fields, and nothing before it does', () => {
  const minute = integer({ min: 0, max: 59 })
  const hour = integer({ min: 0, max: 23 })
  const when = integer({ min: 0, max: 4_000_000_000 })
  hold(
    property(minute, hour, when, (m, h, second) => {
      const after = instant(second * 1000)
      const next = parseSchedule(`${m} ${h} * * *`).next(after)!
      assert.ok(next > after && next - after <= 86_400_000)
      assert.equal(formatRfc3339(next).slice(11, 16), `${`${h}`.padStart(2, '0')}:${`${m}`.padStart(2, '0')}`)
    }),
  )
})

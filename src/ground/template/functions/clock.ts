import type { Clock } from '#ground/base/clock.ts'
import { FunctionError } from '../errors.ts'
import { define, type FunctionTable, functionTable } from '../function.ts'
import { formatGoTime } from './layout.ts'

/** Functions that need the time: `timestamp`, in UTC. @source consul-template template/funcs.go */
export function clockFunctions(clock: Pick<Clock, 'now'>): FunctionTable {
  const summary = 'The time in RFC 3339; `timestamp "unix"` in seconds; else in a Go layout.'
  const timestamp = define('timestamp', ['...string'], 'string', summary, (...layouts) => {
    if (layouts.length > 1) {
      throw new FunctionError(`timestamp: wrong number of arguments, expected 0 or 1, but got ${layouts.length}`)
    }
    if (layouts[0] === 'unix') return String(Math.floor(clock.now() / 1000))
    return formatGoTime(clock.now(), layouts[0] ?? '2006-01-02T15:04:05Z07:00')
  })
  return functionTable([timestamp])
}

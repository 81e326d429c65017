import { durationFlag, stringFlag, stringListFlag } from '#ground/text/flags.ts'
import { subscribeEvents } from '#client/event-socket.ts'
import { attempt } from '../context.ts'
import { type Row, row } from '../row.ts'
import { CliError } from '../ui.ts'

const flags = {
  filter: stringFlag({
    usage: 'Show only events that fit: operation == "data-write" and data_path != "secret/data/x".',
  }),
  namespaces: stringListFlag({ usage: 'Globs of namespaces. May be given several times.' }),
  timeout: durationFlag({ usage: 'End after this time; 0 = never.' }),
}

/** Orderly ends of a WebSocket (RFC 6455 section 7.4.1). */
const orderly: readonly number[] = [1000, 1001, 1005]

const subscribeRow = row({
  name: 'events subscribe',
  synopsis: 'Subscribe to events',
  usage: '[options] EVENT_TYPE',
  help: `Prints what happens at the server, a line of JSON each, without values, until it is ended. It needs "read" on
sys/events/subscribe/EVENT_TYPE, and "list" and "subscribe" on the paths of the data:

    $ % events subscribe 'kv-v2/*'
    $ % events subscribe -filter='data_path matches "^secret/data/app/"' kv-v2/data-write`,
  flags,
  args: 1,
  async run(c) {
    const { world } = c.io
    const ending = new AbortController()
    using _timer = c.flags.timeout > 0 ? world.clock.after(c.flags.timeout * 1000, () => ending.abort()) : null
    const signal = AbortSignal.any([world.signal, ending.signal])
    const { filter, namespaces } = c.flags
    const stream = await attempt(
      'Error subscribing to events',
      subscribeEvents(c.client, { types: c.arg(0), filter, namespaces }, signal),
    )
    for await (const event of stream.events) c.ui.output(event)
    const { code, reason } = await stream.closed
    if (signal.aborted || orderly.includes(code)) return 0
    throw new CliError(2, `The subscription ended: ${reason === '' ? `code ${code}` : reason}`)
  },
})

export const eventRows: readonly Row[] = [subscribeRow]

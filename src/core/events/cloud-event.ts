import type { Bytes } from '#ground/base/brand.ts'
import { type Json, renderJson } from '#ground/text/json.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import type { FiredEvent } from './event-hub.ts'

/** One event as a line of JSON. `datacontentype` is spelt as it is there. @source hv docs/concepts/events */
export function eventJson(event: FiredEvent, node: string): string {
  const { id, type, source, metadata, time } = event
  return renderJson({
    id,
    source: `vault://${node}`,
    specversion: '1.0',
    type: '*',
    data: {
      event: { id, metadata: metadata as Json },
      event_type: type,
      plugin_info: {
        mount_class: source.class,
        mount_accessor: source.accessor,
        mount_path: source.path,
        plugin: source.plugin,
        ...(source.version !== '' && { version: source.version }),
      },
    },
    datacontentype: 'application/cloudevents',
    time: formatRfc3339Nano(time),
  })
}

// Protocol buffers, wire type 2 alone: all that the message has are texts and messages.

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes])
}

const text = (number: number, value: string): Buffer =>
  value === '' ? Buffer.alloc(0) : field(number, Buffer.from(value))

function varint(value: number): Buffer {
  const out: number[] = []
  let left = value
  while (left > 0x7f) {
    out.push((left & 0x7f) | 0x80)
    left >>>= 7
  }
  return Buffer.from([...out, left])
}

/** `google.protobuf.Struct` whose values are texts. */
function struct(values: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(values).map(([key, value]) => {
    // Value.string_value is member 3, and sent also when it is empty: it says which kind it is.
    const inner = field(3, Buffer.from(value))
    return field(1, Buffer.concat([text(1, key), field(2, inner)]))
  })
  return Buffer.concat(entries)
}

/** The same as a binary message. @source vault sdk/logical/event.proto, EventReceived */
export function eventProto({ id, type, source, metadata }: FiredEvent): Bytes {
  const data = Buffer.concat([text(1, id), field(2, struct(metadata))])
  const plugin = Buffer.concat([
    text(1, source.class),
    text(2, source.accessor),
    text(3, source.path),
    text(4, source.plugin),
    text(6, source.version),
  ])
  return Buffer.concat([field(1, data), text(3, type), field(4, plugin)])
}

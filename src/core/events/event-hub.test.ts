import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instant } from '#ground/base/clock.ts'
import { simWorld } from '#ground/base/world.ts'
import type { EngineEvent } from '#protocol/event.ts'
import { eventJson, eventProto } from './cloud-event.ts'
import { EventHub, type EventInterest, type FiredEvent, subscribersMax, waitingMax } from './event-hub.ts'
import { parseFilter } from './filter.ts'

const source = { class: 'secret', accessor: 'kv_1', path: 'secret/', plugin: 'kv', version: '2' }
const written = (path: string, more: Partial<EngineEvent> = {}): EngineEvent => ({
  type: 'kv-v2/data-write',
  path: `data/${path}`,
  dataPath: `data/${path}`,
  operation: 'data-write',
  modified: true,
  ...more,
})
const all: EventInterest = { types: '*', filter: null }

async function read(hub: EventHub, interest: EventInterest, publish: () => void): Promise<readonly string[]> {
  using subscription = hub.subscribe(interest)!
  publish()
  hub.close()
  const paths: string[] = []
  for await (const event of subscription.read(new AbortController().signal)) paths.push(event.metadata['path']!)
  return paths
}

for (const [rule, interest, want] of [
  ['all types', all, ['secret/data/a', 'secret/data/b', 'secret/config']],
  ['a glob of types', { types: 'kv-v2/data-*', filter: null }, ['secret/data/a', 'secret/data/b']],
  ['one type', { types: 'kv-v2/config-write', filter: null }, ['secret/config']],
  ['a filter', { types: '*', filter: parseFilter('data_path == "secret/data/b"') }, ['secret/data/b']],
  ['a filter by mount', { types: '*', filter: parseFilter('source_plugin_mount != "secret/"') }, []],
  ['a filter by metadata', { types: '*', filter: parseFilter('metadata.current_version == 7') }, ['secret/data/b']],
] as const) {
  test(`events: who asks for ${rule} gets just that, in order`, async () => {
    const hub = new EventHub(simWorld({ seed: 1 }))
    const seen = await read(hub, interest, () => {
      hub.publish(() => source, written('a'))
      hub.publish(() => source, written('b', { version: 7, oldestVersion: 2 }))
      hub.publish(() => source, written('', { type: 'kv-v2/config-write', path: 'config', dataPath: 'config' }))
    })
    assert.deepEqual(seen, want)
  })
}

test('events: while nobody listens nothing is made', () => {
  const hub = new EventHub(simWorld({ seed: 1 }))
  hub.publish(() => assert.fail('the source was asked for'), written('a'))
  using _ = hub.subscribe({ types: 'database/*', filter: null })
  hub.publish(() => assert.fail('the source was asked for'), written('a'))
})

test('events: who reads too slowly gets what waits, and is cut off then', async () => {
  const hub = new EventHub(simWorld({ seed: 1 }))
  using slow = hub.subscribe(all)!
  for (let n = 0; n <= waitingMax; n++) hub.publish(() => source, written(String(n)))
  assert.equal(slow.hasLost, true)
  let count = 0
  for await (const _ of slow.read(new AbortController().signal)) count++
  assert.equal(count, waitingMax)
})

test('events: subscribers are bounded', () => {
  const hub = new EventHub(simWorld({ seed: 1 }))
  const subscriptions = Array.from({ length: subscribersMax }, () => hub.subscribe(all)!)
  assert.equal(hub.subscribe(all), null)
  subscriptions[0]![Symbol.dispose]()
  assert.notEqual(hub.subscribe(all), null)
})

const fired: FiredEvent = {
  id: 'e1',
  type: 'kv-v2/data-write',
  time: instant(Date.UTC(2026, 0, 2, 3, 4, 5)),
  source,
  metadata: { path: 'secret/data/a', note: '' },
  dataPath: 'secret/data/a',
}

test('events: as JSON they are CloudEvents in the spelling of the original', () => {
  assert.deepEqual(JSON.parse(eventJson(fired, 'vault-cluster-1')), {
    id: 'e1',
    source: 'vault://vault-cluster-1',
    specversion: '1.0',
    type: '*',
    data: {
      event: { id: 'e1', metadata: { path: 'secret/data/a', note: '' } },
      event_type: 'kv-v2/data-write',
      plugin_info: {
        mount_class: 'secret',
        mount_accessor: 'kv_1',
        mount_path: 'secret/',
        plugin: 'kv',
        version: '2',
      },
    },
    datacontentype: 'application/cloudevents',
    time: '2026-01-02T03:04:05Z',
  })
})

/** Members of a message whose wire types are all 2, in order. */
function members(bytes: Uint8Array): readonly (readonly [number: number, value: Buffer])[] {
  const out: (readonly [number, Buffer])[] = []
  const varint = (at: number): readonly [value: number, next: number] => {
    let value = 0
    for (let shift = 0; ; shift += 7, at++) {
      value |= (bytes[at]! & 0x7f) << shift
      if (bytes[at]! < 0x80) return [value, at + 1]
    }
  }
  for (let at = 0; at < bytes.length; ) {
    const [tag, after] = varint(at)
    assert.equal(tag & 7, 2)
    const [length, start] = varint(after)
    out.push([tag >> 3, Buffer.from(bytes.subarray(start, start + length))])
    at = start + length
  }
  return out
}

test('events: as protocol buffers they are EventReceived', () => {
  const long: FiredEvent = { ...fired, metadata: { ...fired.metadata, path: 'x'.repeat(300) } }
  const [data, type, plugin] = members(eventProto(long))
  assert.deepEqual([data![0], type![0], type![1].toString(), plugin![0]], [1, 3, 'kv-v2/data-write', 4])
  const [id, metadata] = members(data![1])
  assert.deepEqual([id![0], id![1].toString(), metadata![0]], [1, 'e1', 2])
  const entries = members(metadata![1]).map(([number, entry]) => {
    const [key, value] = members(entry)
    const [text] = members(value![1])
    assert.deepEqual([number, key![0], value![0], text![0]], [1, 1, 2, 3])
    return [key![1].toString(), text![1].toString()]
  })
  assert.deepEqual(entries, [
    ['path', 'x'.repeat(300)],
    ['note', ''],
  ])
  assert.deepEqual(
    members(plugin![1]).map(([number, value]) => [number, value.toString()]),
    [
      [1, 'secret'],
      [2, 'kv_1'],
      [3, 'secret/'],
      [4, 'kv'],
      [6, '2'],
    ],
  )
})

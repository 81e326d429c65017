import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instant } from '#ground/base/clock.ts'
import { simWorld } from '#ground/base/world.ts'
import { type Json, renderJson } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import type { Parts, RowOperation } from '#backend/engine.ts'
import type { Reply } from '#backend/reply.ts'
import type { Batch, Change, Key, View } from '#backend/storage.ts'
import { kvV2 } from './engine.ts'
import type { KvState } from './state.ts'

/** Entries by key, kept as they are given: as the cache of the server shares them. */
function entriesOnly(): Pick<View, 'get' | 'update'> {
  const entries = new Map<string, unknown>()
  const at = (key: Key<never>): string => key.codec.prefix + key.id
  const set = (batch: Batch): void => {
    for (const { key, entry } of batch) entries.set(at(key as Key<never>), entry)
  }
  return {
    get: <E>(key: Key<E>) => (entries.get(at(key as Key<never>)) ?? null) as E | null,
    async update<E, R>(key: Key<E>, change: (now: E | null) => Change<E, R>) {
      const { entry, also, result } = change((entries.get(at(key as Key<never>)) ?? null) as E | null)
      if (entry !== undefined) entries.set(at(key as Key<never>), entry)
      if (also) set(also)
      return result
    },
  }
}

function newMount() {
  let now = 1_767_225_600_000
  const parts = { view: entriesOnly(), world: simWorld({ seed: 1 }), emit: () => undefined } as unknown as Parts
  const state: KvState = { upgrade: null, parts }
  return async (operation: RowOperation, path: string, input: Record<string, Json> = {}): Promise<Reply> => {
    now += 1_000
    const [folder, secret = ''] = path.split('/')
    const row = kvV2.rows.find(one => one.path === `${folder}/*path`)!
    const nulls = Object.keys(input).filter(name => input[name] === null)
    const sent = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null))
    const defaults = { version: 0, after: '', limit: 0 }
    const call = { input: { ...defaults, ...sent, path: secret }, sent: new Set(Object.keys(sent)), nulls }
    return row.operations[operation]!.handler({ ...call, now: () => instant(now) } as unknown as Call<never>, state)
  }
}

const shown = (reply: Reply): Json => (reply.kind === 'data' ? (JSON.parse(renderJson(reply.data)) as Json) : null)

test('kv v2: a read after a write of metadata shows what was written', async () => {
  const ask = newMount()
  await ask('update', 'data/a', { data: { x: '1' } })
  for (const [operation, sent, want] of [
    [
      'update',
      { custom_metadata: { team: 'red' }, max_versions: 3 },
      { custom_metadata: { team: 'red' }, max_versions: 3 },
    ],
    ['patch', { custom_metadata: { team: 'blue' } }, { custom_metadata: { team: 'blue' }, max_versions: 3 }],
    ['patch', { custom_metadata: null, cas_required: true }, { custom_metadata: null, cas_required: true }],
    ['update', { delete_version_after: 90 }, { delete_version_after: '1m30s', cas_required: true }],
  ] as const) {
    const before = await ask('read', 'metadata/a')
    await ask(operation, 'metadata/a', sent as Record<string, Json>)
    const after = await ask('read', 'metadata/a')
    const text = shown(after) as Record<string, Json>
    for (const [name, value] of Object.entries(want)) assert.deepEqual(text[name], value, name)
    assert.notEqual('memo' in after && after.memo, 'memo' in before && before.memo, 'the kept rendering is of before')
  }
})

test('kv v2: a memo stands for one rendering, and is the same while nothing changes', async () => {
  const ask = newMount()
  const renderings = new Map<object, string>()
  const look = async (): Promise<void> => {
    for (const path of ['data/a', 'metadata/a']) {
      const reply = await ask('read', path)
      if (!('memo' in reply) || reply.memo === undefined || reply.kind !== 'data') continue
      const text = renderJson(reply.data)
      assert.equal(renderings.get(reply.memo) ?? text, text, path)
      renderings.set(reply.memo, text)
      const again = await ask('read', path)
      assert.equal('memo' in again && again.memo, reply.memo, path)
    }
  }
  await ask('update', 'data/a', { data: { x: '1' } })
  const steps: [RowOperation, string, Record<string, Json>][] = [
    ['update', 'metadata/a', { custom_metadata: { k: 'v' } }],
    ['update', 'data/a', { data: { x: '2' } }],
    ['patch', 'data/a', { data: { y: 1 } }],
    ['update', 'metadata/a', { max_versions: 2 }],
    ['update', 'delete/a', { versions: [1, 2] }],
    ['delete', 'data/a', {}],
    ['update', 'undelete/a', { versions: [3] }],
    ['patch', 'metadata/a', { cas_required: false }],
    ['update', 'destroy/a', { versions: [2] }],
    ['update', 'destroy/a', { versions: [3] }],
  ]
  for (const [operation, path, input] of steps) {
    await look()
    await ask(operation, path, input)
  }
  await look()
  assert.ok(renderings.size > steps.length)
})

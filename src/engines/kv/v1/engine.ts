import type { Maybe } from '#ground/base/brand.ts'
import type { Input } from '#ground/fields/field.ts'
import { captured } from '#ground/fields/kit.ts'
import { canonicalJson, RawJson } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { type Engine, type Parts, rowOf } from '#backend/engine.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { put } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import { asFolder, listOf, pagingFields, scanOf } from '#backend/listing.ts'
import { type PlainEntry, plainCodec, plainKey, ttlOf } from './secret.ts'
import { pluginVersion } from '#protocol/version.ts'

export type PlainState = { readonly parts: Parts }

const fields = { path: captured('Location of the secret, or of a folder.'), ...pagingFields }

type PlainCall = Call<Input<typeof fields>>

// The mount itself, and what is written as a folder: no secret can be there.
const isFolder = (path: string): boolean => path === '' || path.endsWith('/')

function entryAt(path: string, { parts }: PlainState): Maybe<PlainEntry | null> {
  return isFolder(path) ? null : parts.view.get(plainKey(path))
}

function read(call: PlainCall, state: PlainState): Maybe<Reply> {
  const entry = entryAt(call.input.path, state)
  return entry instanceof Promise ? entry.then(one => shown(one, state)) : shown(entry, state)
}

function shown(entry: PlainEntry | null, { parts }: PlainState): Reply {
  if (entry === null) return missing
  return { kind: 'data', data: new RawJson(entry.text), ttl: entry.ttl ?? parts.mount.defaultTtl(), memo: entry }
}

async function write(call: PlainCall, state: PlainState): Promise<Reply> {
  const { path } = call.input
  if (path === '') throw fault('request.invalid', 'missing path')
  if (Object.keys(call.body).length === 0) throw fault('request.invalid', 'missing data fields')
  const entry: PlainEntry = { text: canonicalJson(call.body), ttl: ttlOf(call.body) }
  await state.parts.view.commit([put(plainKey(path), entry)])
  changed(state, path, 'write')
  return empty
}

async function remove(call: PlainCall, state: PlainState): Promise<Reply> {
  const { path } = call.input
  if (isFolder(path)) return empty
  const wasThere = await state.parts.view.update<PlainEntry, boolean>(plainKey(path), now =>
    now === null ? { result: false } : { entry: null, result: true },
  )
  if (wasThere) changed(state, path, 'delete')
  return empty
}

/** Tells readers; after the commit. */
function changed(state: PlainState, path: string, operation: 'write' | 'delete'): void {
  state.parts.emit({ type: `kv-v1/${operation}`, path, dataPath: path, operation, modified: true })
}

const secretRow = rowOf<PlainState>()({
  path: '*path',
  fields,
  body: 'own',
  exists(call, state) {
    const entry = entryAt(call.input.path, state)
    return entry instanceof Promise ? entry.then(one => one !== null) : entry !== null
  },
  operations: {
    read: { access: 'policy', summary: 'Read a secret.', handler: read },
    update: { access: 'policy', summary: 'Write a secret, in place of what was there.', handler: write },
    delete: { access: 'policy', summary: 'Delete a secret, for good.', handler: remove },
    list: {
      access: 'policy',
      summary: 'The secrets and folders below a path.',
      handler: (call, state) => listOf(state.parts.view, plainCodec, asFolder(call.input.path), call),
    },
    scan: {
      access: 'policy',
      summary: 'All secrets below a path, at any depth.',
      handler: (call, state) => scanOf(state.parts.view, plainCodec, asFolder(call.input.path), call),
    },
  },
  help: {
    synopsis: 'Write, read, list and delete secrets.',
    description:
      'Each path holds one JSON object. A write replaces it whole; nothing of it is kept. A key "ttl" (or "lease") says how long a reader may rely on the secret: reads show it as lease_duration. It ends nothing.',
  },
})

/** KV version 1: a path, an object, no versions. @source openbao builtin/logical/kv/passthrough.go */
export const kvV1: Engine<PlainState> = {
  type: 'kv',
  kind: 'secret',
  version: pluginVersion,
  description: 'key-value store',
  codecs: [plainCodec],
  // Leases for what never ends are not made: an old option, and slow where it came from.
  options: { version: ['1', ''], leased_passthrough: ['false'] },
  serves: options => ['1', ''].includes(options['version'] ?? ''),
  rows: [secretRow],
  open: parts => ({ parts }),
}

import { captured, int } from '#ground/fields/kit.ts'
import { isJsonObject, type Json, type JsonObject, RawJson } from '#ground/text/json.ts'
import { parseJson } from '#ground/text/json-parse.ts'
import type { Call } from '#backend/call.ts'
import type { Reply } from '#backend/reply.ts'
import { read } from './data.ts'
import { type KvState, row } from './state.ts'

const fields = {
  path: captured('Location of the secret.'),
  version: int({ description: 'Which version; 0 = the current one.', from: 'query' }),
  depth: int({ description: 'Show names down to this level; 0 = all.', from: 'query' }),
}

const levelsMax = 100

/** The names without the values: whatever is no object, or empty, or too deep is null. */
function namesOf(value: JsonObject, levels: number): JsonObject {
  const names = Object.entries(value).map(([name, inner]): [string, Json] => [
    name,
    levels > 1 && isJsonObject(inner) && Object.keys(inner).length > 0 ? namesOf(inner, levels - 1) : null,
  ])
  return Object.fromEntries(names)
}

/** @source hv vault-plugin-secrets-kv path_subkeys.go */
async function readNames(
  call: Call<{ readonly path: string; readonly version: number; readonly depth: number }>,
  state: KvState,
): Promise<Reply> {
  const reply = await read(call, state)
  if (reply.kind !== 'data' || !isJsonObject(reply.data ?? undefined)) return reply
  const { data, metadata } = reply.data as { data: Json; metadata: Json }
  const { depth } = call.input
  const value = data instanceof RawJson ? parseJson(data.text) : data
  const levels = depth > 0 ? Math.min(depth, levelsMax) : levelsMax
  const subkeys = isJsonObject(value) ? namesOf(value, levels) : null
  return { kind: 'data', ...(reply.status && { status: reply.status }), data: { subkeys, metadata } }
}

export const subkeyRows = [
  row({
    path: 'subkeys/*path',
    fields,
    operations: {
      read: { access: 'policy', summary: 'The names inside a secret, without values.', handler: readNames },
    },
    help: {
      synopsis: 'The names inside a secret, without values.',
      description: 'Every value is null; objects keep their names, down to 100 levels.',
    },
  }),
]

import { captured } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import type { JsonObject } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { asFolder, listOf, pagingFields, scanOf } from '#backend/listing.ts'
import type { Reply } from '#backend/reply.ts'
import { metadataInfo } from './metadata.ts'
import { secretCodec, secretKey } from './secret.ts'
import { type KvState, row } from './state.ts'

const fields = { path: captured('A folder.'), ...pagingFields }

/** Names in one answer, each with its metadata; `after` goes on. */
const namesMax = 1_000

type DetailedCall = Call<Input<typeof fields>>

const bounded = ({ limit }: { readonly limit: number }): number => (limit > 0 ? Math.min(limit, namesMax) : namesMax)

async function detailed(call: DetailedCall, state: KvState): Promise<Reply> {
  const { view } = state.parts
  const folder = asFolder(call.input.path)
  const read = call.operation === 'scan' ? scanOf : listOf
  const paging = { after: call.input.after, limit: bounded(call.input) }
  const reply = await read(view, secretCodec, folder, { input: paging, signal: call.signal })
  if (reply.kind !== 'list') return reply
  const keyInfo = new Map<string, JsonObject>()
  for (const name of reply.keys) {
    const entry = name.endsWith('/') ? null : await view.get(secretKey(folder + name))
    if (entry !== null) keyInfo.set(name, metadataInfo(entry))
  }
  const more = reply.keys.length === namesMax && !(call.input.limit > 0 && call.input.limit <= namesMax)
  return {
    ...reply,
    keyInfo: Object.fromEntries(keyInfo),
    ...(more && { warnings: [`The list ends after ${namesMax} names: ask for those after "${reply.keys.at(-1)}".`] }),
  }
}

const operations = {
  list: { access: 'policy', summary: 'The secrets and folders below a path, with metadata.', handler: detailed },
  scan: { access: 'policy', summary: 'All secrets below a path, with metadata.', handler: detailed },
} as const

const help = {
  synopsis: 'Secrets with their metadata.',
  description: 'As a list of metadata/, and in key_info what a read of each would show; 1,000 names at most.',
}

/** @source openbao builtin/logical/kv/path_metadata_detailed.go */
export const detailedRows = [row({ path: 'detailed-metadata/*path', fields, operations, help })]

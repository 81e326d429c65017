import type { Engine } from '#backend/engine.ts'
import type { Reply } from '#backend/reply.ts'
import { captured } from '#ground/fields/kit.ts'
import { configRows } from './config.ts'
import { dataRows } from './data.ts'
import { metadataRows } from './metadata.ts'
import { secretCodec, versionCodec } from './secret.ts'
import { configEntries, type KvState, row } from './state.ts'
import { versionRows } from './versions.ts'

const invalidPath =
  "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If using the Vault CLI, use 'vault kv get' for this operation."

const wrong = (): Reply => ({ kind: 'data', status: 404, data: null, warnings: [invalidPath] })
const action = { access: 'policy', summary: 'Not a path of kv version 2.', handler: wrong } as const

/** Whatever is no path of version 2 is most often one of version 1: the answer says so. */
const elsewhere = row({
  path: '*path',
  fields: { path: captured('A path that version 2 does not have.') },
  operations: { read: action, update: action, patch: action, delete: action, list: action },
  help: {
    synopsis: 'Not a path of kv version 2.',
    description: 'Secrets are below data/, their metadata below metadata/.',
  },
})

/** KV version 2: secrets with versions. @source openbao builtin/logical/kv */
export const kvV2: Engine<KvState> = {
  type: 'kv',
  kind: 'secret',
  version: 'v0.21.0+builtin',
  description: 'key-value store with versions',
  codecs: [secretCodec, versionCodec, configEntries],
  options: { version: ['2'] },
  serves: options => options['version'] === '2',
  rows: [...dataRows, ...versionRows, ...metadataRows, ...configRows, elsewhere],
  open: parts => ({ parts }),
}

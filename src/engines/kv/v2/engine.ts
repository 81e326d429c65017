import type { Engine } from '#backend/engine.ts'
import type { Reply } from '#backend/reply.ts'
import { captured } from '#ground/fields/kit.ts'
import type { Call } from '#backend/call.ts'
import { configRows } from './config.ts'
import { dataRows, rootWarning } from './data.ts'
import { detailedRows } from './detailed.ts'
import { metadataRows } from './metadata.ts'
import { secretCodec, versionCodec } from './secret.ts'
import { plainCodec } from '../v1/secret.ts'
import { configEntries } from './config-entry.ts'
import { served } from './served.ts'
import { type KvState, row } from './state.ts'
import { Upgrade } from './upgrade.ts'
import { subkeyRows } from './subkeys.ts'
import { versionRows } from './versions.ts'
import { pluginVersion } from '#protocol/version.ts'

const invalidPath = (verb: string): string =>
  `Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If using the Vault CLI, use 'vault kv ${verb}' for this operation.`

const roots: readonly string[] = ['data', 'metadata', 'delete', 'undelete', 'destroy', 'subkeys']

/** Whatever is no path of version 2 is most often one of version 1: the answer says so. */
const wrong = (verb: string) => ({
  access: 'policy' as const,
  summary: 'Not a path of kv version 2.',
  handler(call: Call<{ readonly path: string }>): Reply {
    const warning = roots.includes(call.input.path) ? rootWarning : invalidPath(verb)
    return { kind: 'data', status: 404, data: null, warnings: [warning] }
  },
})

const elsewhere = row({
  path: '*path',
  fields: { path: captured('A path that version 2 does not have.') },
  operations: {
    read: wrong('get'),
    update: wrong('put'),
    patch: wrong('patch'),
    delete: wrong('delete'),
    list: wrong('list'),
  },
  help: {
    synopsis: 'Not a path of kv version 2.',
    description: 'Secrets are below data/, their metadata below metadata/.',
  },
})

/** KV version 2: secrets with versions. @source openbao builtin/logical/kv */
export const kvV2: Engine<KvState> = {
  type: 'kv',
  kind: 'secret',
  version: pluginVersion,
  description: 'key-value store with versions',
  codecs: [secretCodec, versionCodec, configEntries, plainCodec],
  options: { version: ['2'] },
  serves: options => options['version'] === '2',
  rows: [
    ...[...dataRows, ...versionRows, ...subkeyRows, ...metadataRows, ...detailedRows].map(served),
    ...configRows,
    elsewhere,
  ],
  async open(parts) {
    const state: KvState = { parts, upgrade: null }
    const onEnd = (): void => {
      state.upgrade = null
    }
    if (await Upgrade.isNeeded(parts)) state.upgrade = new Upgrade(parts, onEnd)
    return state
  },
  close: state => state.upgrade?.close(),
}

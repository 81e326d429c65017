import { optionalBool, optionalInt, signedDuration } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import { formatGoDuration } from '#ground/text/duration.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { empty, type Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { configKey, readConfig } from './config-entry.ts'
import { defaultConfig, type KvConfig } from './secret.ts'
import { type KvState, row } from './state.ts'

const fields = {
  max_versions: optionalInt({ description: 'Versions kept of each secret; 0 = 10.' }),
  cas_required: optionalBool({ description: 'Every write must say which version it replaces.' }),
  delete_version_after: signedDuration({ description: 'Versions delete themselves after this; negative = never.' }),
  metadata_cas_required: optionalBool({ description: 'Every write of metadata must say which one it replaces.' }),
} as const

const info = (config: KvConfig): Json => ({
  max_versions: config.maxVersions,
  cas_required: config.casRequired,
  delete_version_after: formatGoDuration(Math.max(0, config.deleteVersionAfter)),
  metadata_cas_required: config.metadataCasRequired,
})

async function write(call: Call<Input<typeof fields>>, state: KvState): Promise<Reply> {
  const { input, sent } = call
  if (input.max_versions !== undefined && input.max_versions < 0) {
    throw fault('request.invalid', 'max_versions cannot be negative')
  }
  await state.parts.view.update<KvConfig, void>(configKey, now => {
    const before = now ?? defaultConfig
    const entry: KvConfig = {
      maxVersions: input.max_versions ?? before.maxVersions,
      casRequired: input.cas_required ?? before.casRequired,
      deleteVersionAfter: sent.has('delete_version_after') ? input.delete_version_after : before.deleteVersionAfter,
      metadataCasRequired: input.metadata_cas_required ?? before.metadataCasRequired,
    }
    return { entry, result: undefined }
  })
  const event = {
    type: 'kv-v2/config-write',
    path: 'config',
    dataPath: 'config',
    operation: 'config-write',
    modified: true,
  }
  state.parts.emit(event)
  return empty
}

export const configRows = [
  row({
    path: 'config',
    fields,
    operations: {
      read: {
        access: 'policy',
        summary: 'Read the settings of the mount.',
        async handler(_call, state) {
          return { kind: 'data', data: info(await readConfig(state.parts)) }
        },
      },
      update: { access: 'policy', summary: 'Set up the mount.', handler: write },
    },
    help: { synopsis: 'Settings for all secrets of the mount.', description: 'Only what is sent changes.' },
  }),
]

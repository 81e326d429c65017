import type { Maybe } from '#ground/base/brand.ts'
import { int, optionalBool } from '#ground/fields/kit.ts'
import { empty } from '#backend/reply.ts'
import { jsonEntries } from '#backend/storage.ts'
import type { Parts } from '#backend/engine.ts'
import { fault } from '#protocol/fault.ts'
import { row } from './state.ts'

export type CertConfig = {
  /** Renewals don't ask for the certificate of the login. */
  readonly disablesBinding: boolean
  readonly putsMetadataOnAlias: boolean
  readonly ocspCacheSize: number
}

export const configEntries = jsonEntries<CertConfig>('config/')
const configKey = configEntries.key('config')

const defaults: CertConfig = { disablesBinding: false, putsMetadataOnAlias: false, ocspCacheSize: 100 }
const cacheSizeMax = 100_000

export function readConfig({ view }: Pick<Parts, 'view'>): Maybe<CertConfig> {
  const entry = view.get(configKey)
  return entry instanceof Promise ? entry.then(one => one ?? defaults) : (entry ?? defaults)
}

export const configRow = row({
  path: 'config',
  fields: {
    disable_binding: optionalBool({ description: 'Renew without the certificate of the login.' }),
    enable_identity_alias_metadata: optionalBool({ description: "Put the token's metadata on the alias, too." }),
    ocsp_cache_size: int({ description: 'Answers about certificates that are kept; at least 2.', fallback: 100 }),
  },
  operations: {
    read: {
      access: 'policy',
      summary: 'Settings of the mount.',
      async handler(_call, { parts }) {
        const config = await readConfig(parts)
        return {
          kind: 'data',
          data: {
            disable_binding: config.disablesBinding,
            enable_identity_alias_metadata: config.putsMetadataOnAlias,
            ocsp_cache_size: config.ocspCacheSize,
          },
        }
      },
    },
    update: {
      access: 'policy',
      summary: 'Set up the mount.',
      async handler({ input, sent }, { parts }) {
        const size = input.ocsp_cache_size
        if (sent.has('ocsp_cache_size') && (size < 2 || size > cacheSizeMax)) {
          throw fault('request.invalid', `invalid cache size, must be >= 2 and <= ${cacheSizeMax}`)
        }
        await parts.view.update<CertConfig, void>(configKey, now => {
          const before = now ?? defaults
          const entry: CertConfig = {
            disablesBinding: input.disable_binding ?? before.disablesBinding,
            putsMetadataOnAlias: input.enable_identity_alias_metadata ?? before.putsMetadataOnAlias,
            ocspCacheSize: sent.has('ocsp_cache_size') ? size : before.ocspCacheSize,
          }
          return { entry, result: undefined }
        })
        return empty
      },
    },
  },
  help: { synopsis: 'Settings of the mount.', description: 'Only what is sent changes.' },
})

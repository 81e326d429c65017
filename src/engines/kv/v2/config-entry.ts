import type { Maybe } from '#ground/base/brand.ts'
import type { Parts } from '#backend/engine.ts'
import { jsonEntries, type Key } from '#backend/storage.ts'
import { defaultConfig, type KvConfig } from './secret.ts'

export const configEntries = jsonEntries<KvConfig>('config/')
export const configKey: Key<KvConfig> = configEntries.key('v2')

/** The mount's configuration; the defaults until somebody wrote one. */
export function readConfig({ view }: Pick<Parts, 'view'>): Maybe<KvConfig> {
  const entry = view.get(configKey)
  return entry instanceof Promise ? entry.then(one => one ?? defaultConfig) : (entry ?? defaultConfig)
}

import { jsonEntries, type Key } from '#backend/storage.ts'
import type { Parts } from '#backend/engine.ts'
import type { Maybe } from '#ground/base/brand.ts'
import { rowOf } from '#backend/engine.ts'
import { defaultConfig, type KvConfig } from './secret.ts'

export type KvState = { readonly parts: Parts }

export const row = rowOf<KvState>()

export const configEntries = jsonEntries<KvConfig>('config/')
const configKey: Key<KvConfig> = configEntries.key('v2')

/** The mount's configuration; the defaults until somebody wrote one. */
export function readConfig({ parts }: KvState): Maybe<KvConfig> {
  const entry = parts.view.get(configKey)
  return entry instanceof Promise ? entry.then(one => one ?? defaultConfig) : (entry ?? defaultConfig)
}

export { configKey }

import { type Parts, rowOf } from '#backend/engine.ts'
import type { Upgrade } from './upgrade.ts'

export type KvState = {
  readonly parts: Parts
  /** While secrets of version 1 are moved; null afterwards, and for all other mounts. */
  upgrade: Upgrade | null
}

export const row = rowOf<KvState>()

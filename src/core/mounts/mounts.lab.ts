import { seconds } from '#ground/base/clock.ts'
import { simWorld } from '#ground/base/world.ts'
import type { AnyEngine } from '#backend/engine.ts'
import { openKeeperLab } from '#core/storage/keeper.lab.ts'
import type { EffectLog } from '#core/storage/view.ts'
import { defaultLimits } from '#stores/store.ts'
import { MemoryMedium } from '#stores/memory/memory.ts'
import { defaultMountConfig, type MountEntry } from './entry.ts'
import { Mounts, type MountsOptions } from './mounts.ts'

/** What an engine's states and the mounts did, in order. */
export type Events = string[]

/** An engine whose states are numbered, and which can be made to fail. */
export function numberedEngine(events: Events, more: Partial<AnyEngine> = {}): AnyEngine {
  let states = 0
  return {
    type: 'pad',
    kind: 'secret',
    version: 'v1',
    description: 'keeps nothing',
    codecs: [],
    rows: [],
    options: { size: ['small', 'large'] },
    open({ mount }) {
      const state = ++states
      events.push(`open ${state} at ${mount.path}`)
      return state
    },
    close(state) {
      events.push(`close ${String(state)}`)
    },
    ...more,
  }
}

export const entryOf = (path: string, more: Partial<MountEntry> = {}): MountEntry => ({
  uuid: `uuid-of-${path.replaceAll('/', '-')}`,
  kind: 'secret',
  path,
  type: 'pad',
  accessor: `pad_${path}`,
  description: '',
  config: defaultMountConfig,
  options: null,
  local: false,
  sealWrap: false,
  externalEntropyAccess: false,
  isTainted: false,
  ...more,
})

/** Mounts over a memory store; open it again over the same medium to play a restart. */
export function openMountsLab(options: { medium?: MemoryMedium; catalog?: AnyEngine[] } & Partial<MountsOptions> = {}) {
  const { medium = new MemoryMedium(), ...more } = options
  medium.isOpen = false
  const events: Events = []
  const { keeper } = openKeeperLab({ kind: 'memory', medium, limits: defaultLimits })
  const world = simWorld({ seed: 1 })
  const mounts = new Mounts({
    keeper,
    world,
    catalog: [numberedEngine(events), numberedEngine(events, { kind: 'auth', type: 'gate' })],
    services: {},
    ttls: { defaultTtl: seconds(100), maxTtl: seconds(200) },
    effects: () => ({}) as EffectLog,
    emit: () => undefined,
    async revokeBelow(mount) {
      events.push(`revoke below ${mount.path}`)
    },
    ...more,
  })
  return { mounts, keeper, medium, events, clock: world.clock }
}

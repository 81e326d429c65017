import { statfsSync } from 'node:fs'
import type { World } from '#ground/base/world.ts'

const lookEveryMs = 600_000
const fullFrom = 0.8

/** Blocks of a volume, and how many of them are left to us. */
export type Space = { readonly blocks: number; readonly bavail: number }

/**
 * Warns every ten minutes while the volume of the audit file is full to 80 % or more: on a full one the server answers
 * nobody, for an answer that can't be written down isn't given.
 */
export function watchVolume(
  folder: string,
  world: Pick<World, 'clock' | 'log' | 'signal'>,
  spaceOf: (folder: string) => Space = statfsSync,
): void {
  const look = (): void => {
    if (world.signal.aborted) return
    try {
      const { blocks, bavail } = spaceOf(folder)
      const used = blocks === 0 ? 0 : 1 - bavail / blocks
      if (used >= fullFrom) {
        world.log.warn('the volume of the audit file fills up; when it is full, no request is answered', {
          folder,
          used: `${Math.floor(used * 100)}%`,
        })
      }
    } catch (error) {
      world.log.warn('the space of the audit volume can not be told', { folder, error })
    }
    world.clock.after(lookEveryMs, look)
  }
  look()
}

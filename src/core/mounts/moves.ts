import type { World } from '#ground/base/world.ts'
import { fullPath, type MountEntry } from './entry.ts'
import type { Mount } from './mount.ts'
import type { Mounts } from './mounts.ts'

export type MoveStatus = 'in-progress' | 'success' | 'failure'

/** Where from and to, as requests name it. */
export type Move = { readonly source: string; readonly target: string; readonly status: MoveStatus }

export type MovesOptions = {
  readonly mounts: Mounts
  readonly world: Pick<World, 'entropy' | 'log' | 'signal'>
  /** Ends every lease and token that the mount gave: their ids carry its path. */
  readonly revoke: (mount: MountEntry, signal: AbortSignal) => Promise<void>
  /** What is said of the old path is said of the new one; may be called again. */
  readonly rename: (source: string, target: string) => Promise<void>
}

/** Moves that are kept in mind, for who asks how they went. */
const movesMax = 1_000

/**
 * Mounts that go to another path, with all that they keep, their uuid and accessor. A move is written into the mount's
 * entry before its first step: what a crash cuts short goes on at the next start, and what fails is undone.
 * @source vault vault/logical_system.go moveMount
 */
export class Moves {
  readonly #options: MovesOptions
  readonly #moves = new Map<string, Move>()

  constructor(options: MovesOptions) {
    this.#options = options
  }

  /**
   * Begins it; the rest goes on by itself. @param to as `entry.path`
   * @returns its id
   * @throws Fault for a mount that isn't there, and a path that is taken.
   */
  async start(source: string, to: string): Promise<string> {
    const { mounts, world } = this.#options
    const id = world.entropy.uuid()
    this.#go(await mounts.beginMove(source, to, id))
    return id
  }

  /** null: nobody knows of it any more. */
  status(id: string): Move | null {
    return this.#moves.get(id) ?? null
  }

  /** After unseal, once everything is there. */
  resume(): void {
    for (const mount of this.#options.mounts.cutShort) this.#go(mount)
  }

  #go(mount: Mount): void {
    const { id, to } = mount.entry.moving!
    const target = fullPath({ ...mount.entry, path: to })
    const { log } = this.#options.world
    const facts = { migration: id, from: mount.path, to: target }
    this.#note(id, { source: mount.path, target, status: 'in-progress' })
    log.info('a mount is being moved', facts)
    void this.#move(mount, target).then(
      () => {
        this.#note(id, { source: mount.path, target, status: 'success' })
        log.info('a mount was moved', facts)
      },
      error => {
        this.#note(id, { source: mount.path, target, status: 'failure' })
        log.error('a mount could not be moved', { ...facts, error })
      },
    )
  }

  async #move(mount: Mount, target: string): Promise<void> {
    const { mounts, revoke, rename, world } = this.#options
    const signal = AbortSignal.any([world.signal, mounts.closing])
    try {
      await mounts.settle(mount)
      await revoke(mount.entry, signal)
      await rename(mount.path, target)
      await mounts.endMove(mount, true)
    } catch (error) {
      // Sealed: the next unseal goes on with it.
      if (signal.aborted) throw error
      await rename(target, mount.path)
      await mounts.endMove(mount, false)
      throw error
    }
  }

  #note(id: string, move: Move): void {
    const oldest = this.#moves.keys().next().value
    if (!this.#moves.has(id) && this.#moves.size >= movesMax && oldest !== undefined) this.#moves.delete(oldest)
    this.#moves.set(id, move)
  }
}

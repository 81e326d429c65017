import { rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { writeFileAtomically } from '#ground/process/atomic-file.ts'
import type { FileSinkStanza } from '#delivery/agent-config/config.ts'

/** The files that hold the token. @source openbao command/agentproxyshared/sink/file */
export class TokenSinks {
  readonly #world: World
  readonly #sinks: readonly FileSinkStanza[]
  #isWritten: boolean

  constructor(world: World, sinks: readonly FileSinkStanza[]) {
    this.#world = world
    this.#sinks = sinks
    this.#isWritten = sinks.length === 0
  }

  get areWritten(): boolean {
    return this.#isWritten
  }

  /** A folder that can't be written is told at start, not after the login. */
  async check(): Promise<void> {
    for (const { path } of this.#sinks) {
      const probe = join(dirname(path), `.coffer-probe-${this.#world.entropy.base62(8)}`)
      try {
        await writeFile(probe, '', { mode: 0o600 })
        await rm(probe, { force: true })
      } catch (error) {
        throw new Error(`the token sink ${path} can not be written: ${(error as Error).message}`, { cause: error })
      }
    }
  }

  /** Writes the token to every sink; what fails is tried again every 1 to 3 s until the signal is aborted. */
  async write(token: Secret, signal: AbortSignal): Promise<void> {
    for (const sink of this.#sinks) while (!(await this.#tryOne(sink, token, signal)));
    this.#isWritten = !signal.aborted
  }

  async #tryOne({ path, mode, uid, gid }: FileSinkStanza, token: Secret, signal: AbortSignal): Promise<boolean> {
    const { clock, entropy } = this.#world
    const log = this.#world.log.named('sink.file')
    try {
      if (signal.aborted) return true
      const bytes = Buffer.from(token.reveal('a file sink of the agent'))
      await writeFileAtomically(path, bytes, { mode, ...(uid !== null && { uid }), ...(gid !== null && { gid }) })
      log.info('token written', { path })
      return true
    } catch (error) {
      const waitMs = 1000 + 2000 * entropy.fraction()
      log.error('the token can not be written', { path, error, again: `${Math.round(waitMs)}ms` })
      await clock.sleep(waitMs, signal).catch(() => undefined)
      return false
    }
  }
}

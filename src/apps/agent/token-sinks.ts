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

  async write(token: Secret): Promise<void> {
    const bytes = Buffer.from(token.reveal('a file sink of the agent'))
    for (const { path, mode, uid, gid } of this.#sinks) {
      await writeFileAtomically(path, bytes, { mode, ...(uid !== null && { uid }), ...(gid !== null && { gid }) })
      this.#world.log.named('sink.file').info('token written', { path })
    }
    this.#isWritten = true
  }
}

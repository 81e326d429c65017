import type { Readable } from 'node:stream'
import type { World } from '#ground/base/world.ts'

/** What a command may touch of the process; tests hand in their own. */
export type Io = {
  /** Writes whole text as is; no line feed is added. */
  stdout(text: string | Uint8Array): void
  stderr(text: string): void
  readonly stdin: Readable
  readonly isInputTerminal: boolean
  readonly isOutputTerminal: boolean
  /** Where progress is shown. */
  readonly isErrorTerminal?: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  /** Working directory, absolute. */
  readonly cwd: string
  /** The name the program was called by: `coffer`, or `vault` through a link. */
  readonly calledAs: string
  readonly world: World
}

/**
 * What an app exports as `command` from `src/apps/<name>/command.ts`.
 * `argv` begins after the command's name. The number is the exit code; a command never calls `process.exit`.
 */
export type Command = { run(argv: readonly string[], io: Io): Promise<number> }

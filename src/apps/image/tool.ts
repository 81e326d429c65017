import type { World } from '#ground/base/world.ts'
import { ChildError, runToEnd } from '#ground/process/child.ts'

/** What a person must mend before an image can be built. */
export class ImageError extends Error {
  override readonly name = 'ImageError'
}

export type ToolOptions = {
  readonly cwd?: string
  /** All that it gets; default the command's own environment. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * How this room runs the machine's tools: five minutes at most, ended by the command's own end. A tool that isn't there
 * fails like one that ends badly.
 */
export type Tool = (
  argv: readonly string[],
  options?: ToolOptions,
) => Promise<{ readonly isOk: boolean; readonly output: string }>

export function makeTool(
  world: Pick<World, 'clock' | 'signal'>,
  env: Readonly<Record<string, string | undefined>>,
): Tool {
  return async (argv, options = {}) => {
    try {
      const run = { clock: world.clock, signal: world.signal, timeoutMs: 300_000, output: 'capture' } as const
      const end = await runToEnd(argv, { env, ...run, ...options })
      return { isOk: end.code === 0, output: `${end.stdout.toString()}${end.stderr.toString()}` }
    } catch (error) {
      if (error instanceof ChildError) return { isOk: false, output: error.message }
      throw error
    }
  }
}

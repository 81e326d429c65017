import type { World } from '#ground/base/world.ts'
import { runToEnd } from '#ground/process/child.ts'

/** How this room runs the machine's tools: five minutes at most, ended by the command's own end. */
export type Tool = (
  argv: readonly string[],
  cwd?: string,
) => Promise<{ readonly isOk: boolean; readonly output: string }>

export function makeTool(world: World, env: Readonly<Record<string, string | undefined>>): Tool {
  return async (argv, cwd) => {
    const end = await runToEnd(argv, {
      env,
      clock: world.clock,
      signal: world.signal,
      timeoutMs: 300_000,
      output: 'capture',
      ...(cwd !== undefined && { cwd }),
    })
    return { isOk: end.code === 0, output: `${end.stdout.toString()}${end.stderr.toString()}` }
  }
}

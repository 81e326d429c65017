import { stringFlag } from '#ground/text/flags.ts'
import { join, kvPath, type KvPart, preflight } from '#client/calls/kv.ts'
import type { Context } from '../context.ts'
import { sanitizePath } from '../paths.ts'
import { CliError } from '../ui.ts'

/** The flag that splits the path into mount and key. */
export const mountFlag = stringFlag({
  usage:
    'Path of the KV engine. With it the argument is the key alone. Without it the argument is mount and key in one, and ' +
    'for KV version 2 the API\'s "data/" is put between them.',
})

type WithMount = { readonly mount: typeof mountFlag }

/** Which secret a `kv` command means, and where its parts are in the API. */
export type KvTarget = {
  readonly version: 1 | 2
  /** The path of a part (version 2), or the one path there is (version 1). */
  path(part: KvPart): string
}

/**
 * Asks the server which engine the argument lies in.
 * @throws what the preflight throws: exit code 2
 */
export async function kvTarget<F extends WithMount>(c: Context<F>, argument: string): Promise<KvTarget> {
  const mountName = (c.flags as { readonly mount: string }).mount
  const key = sanitizePath(argument)
  const mount = await preflight(c.probe, mountName === '' ? key : sanitizePath(mountName))
  const full = mountName === '' ? key : join(mount.path || mountName, key)
  return {
    version: mount.version,
    path: part => (mount.version === 2 ? kvPath(full, mount.path, part) : full),
  }
}

/** For what only version 2 can do. @throws CliError with the original's code, 1 or 2 */
export async function kvV2Target<F extends WithMount>(
  c: Context<F>,
  argument: string,
  refusal: string,
  exitCode = 1,
): Promise<KvTarget> {
  const target = await kvTarget(c, argument)
  if (target.version === 1) throw new CliError(exitCode, refusal)
  return target
}

/** `-versions=1,2 -versions=3` as a list of texts, which is what the API is sent. */
export function versionList(values: readonly string[]): string[] {
  return values
    .flatMap(value => value.split(','))
    .map(value => value.trim())
    .filter(value => value !== '')
}

import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Bytes } from '#ground/base/brand.ts'

export type AtomicFileOptions = {
  /** Permission bits, whatever the umask says. */
  readonly mode: number
  /** Owner and group by number; absent: this process's. */
  readonly uid?: number
  readonly gid?: number
}

let temporaries = 0

/**
 * Replaces a file in one step: whoever opens `path` finds the old bytes or the new ones, and a kill or a loss of power
 * at any moment leaves one of the two. A link at `path` is replaced, not followed. What a kill can leave behind is
 * `.coffer-*.tmp` beside it, readable by the owner alone.
 * @throws the file system's error (`code`); nothing has changed then, unless only the folder's fsync failed.
 */
export async function writeFileAtomically(path: string, bytes: Bytes, options: AtomicFileOptions): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `.coffer-${process.pid}-${++temporaries}.tmp`)
  const file = await create(temporary)
  try {
    try {
      await file.writeFile(bytes)
      // Owner first: changing it takes set-user-id bits away.
      if (options.uid !== undefined || options.gid !== undefined) await file.chown(options.uid ?? -1, options.gid ?? -1)
      await file.chmod(options.mode)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(folder)
}

// Exclusive, so that a link which somebody put there is not followed. A name that is taken is of a process that was
// killed: in a container the same number comes again.
async function create(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    await rm(path, { force: true })
    return open(path, 'wx', 0o600)
  }
}

// The rename itself is durable only with its folder. Some file systems can't sync one; then nothing more can be done.
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    await handle.close()
  }
}

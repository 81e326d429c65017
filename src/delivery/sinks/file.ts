import { mkdir, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { writeFileAtomically } from '#ground/process/atomic-file.ts'
import { findGroup, findUser } from '#ground/process/accounts.ts'
import type { Parcel, Sink } from '#delivery/recipe.ts'

export type FileSinkOptions = {
  readonly path: string
  /** null keeps the mode of the file that is there, else 0644. */
  readonly mode: number | null
  /** Name or number; null leaves it. */
  readonly user: string | null
  readonly group: string | null
  readonly createsFolders: boolean
}

/** What is wrong with a destination; the text names it. */
export class FileSinkError extends Error {
  override readonly name = 'FileSinkError'
}

/**
 * A file that is replaced in one rename: a reader sees the old bytes or the new ones, a kill at any moment leaves
 * neither half. Equal bytes with the right mode and owner change nothing.
 */
export class FileSink implements Sink {
  readonly describes: string
  readonly #options: FileSinkOptions

  constructor(options: FileSinkOptions) {
    this.#options = options
    this.describes = `file ${options.path}`
  }

  async land(parcel: Pick<Parcel, 'bytes'>): Promise<'changed' | 'unchanged'> {
    const { path } = this.#options
    try {
      await this.#prepareFolder()
      const before = await statOrNull(path)
      const mode = this.#options.mode ?? (before === null ? 0o644 : before.mode & 0o7777)
      const uid = this.#options.user === null ? (before?.uid ?? null) : await findUser(this.#options.user)
      const gid = this.#options.group === null ? (before?.gid ?? null) : await findGroup(this.#options.group)
      const isOwned = before !== null && (uid === null || before.uid === uid) && (gid === null || before.gid === gid)
      if (before !== null && isOwned && (await hasBytes(path, before.size, parcel.bytes))) {
        if ((before.mode & 0o7777) === mode) return 'unchanged'
      }
      await writeFileAtomically(path, parcel.bytes, {
        mode,
        ...(uid !== null && uid !== process.getuid?.() && { uid }),
        ...(gid !== null && gid !== process.getgid?.() && { gid }),
      })
      return 'changed'
    } catch (error) {
      if (error instanceof FileSinkError) throw error
      throw new FileSinkError(`can not write ${path}: ${(error as Error).message}`, { cause: error })
    }
  }

  async #prepareFolder(): Promise<void> {
    const folder = dirname(this.#options.path)
    if (this.#options.createsFolders) await mkdir(folder, { recursive: true, mode: 0o755 })
    else if ((await statOrNull(folder)) === null) {
      throw new FileSinkError(`the folder ${folder} does not exist, and create_dest_dirs is false`)
    }
  }
}

async function statOrNull(path: string): Promise<{ mode: number; uid: number; gid: number; size: number } | null> {
  try {
    return await stat(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

async function hasBytes(path: string, size: number, bytes: Uint8Array): Promise<boolean> {
  return size === bytes.length && Buffer.compare(await readFile(path), bytes) === 0
}

import { readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'

/** Another process of ours runs, or the file can't be written. */
export class PidFileError extends Error {
  override readonly name = 'PidFileError'
}

/**
 * Writes this process's number, and takes the file away when disposed.
 * @throws PidFileError when the process that it names is alive and runs the same program as we do; a number that was
 *   given to something else meanwhile, or to us (a restarted container), is no obstacle.
 */
export function holdPidFile(path: string): Disposable {
  if (!create(path)) {
    const holder = readPid(path)
    if (holder !== null && runsAsWeDo(holder)) {
      throw new PidFileError(`already running as process ${holder} (pid file ${path})`)
    }
    rmSync(path, { force: true })
    if (!create(path)) throw new PidFileError(`pid file ${path} was taken by another process just now`)
  }
  return {
    [Symbol.dispose]() {
      // Not a file that somebody else wrote since.
      if (readPid(path) === process.pid) rmSync(path, { force: true })
    },
  }
}

function create(path: string): boolean {
  try {
    writeFileSync(path, `${process.pid}`, { flag: 'wx', mode: 0o644 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw new PidFileError(`pid file ${path} can't be written: ${(error as Error).message}`, { cause: error })
  }
}

function readPid(path: string): number | null {
  try {
    const text = readFileSync(path, 'latin1').trim()
    return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : null
  } catch {
    return null
  }
}

function runsAsWeDo(pid: number): boolean {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it is alive, and another user's.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  try {
    return readlinkSync(`/proc/${pid}/exe`) === readlinkSync('/proc/self/exe')
  } catch {
    // No /proc, or not ours to look at: alive is all that is known.
    return true
  }
}

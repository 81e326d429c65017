import { closeSync, fchmodSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'

export type FileDeviceOptions = {
  /** Absolute path, or `stdout` or `discard`. */
  readonly path: string
  /** Permission bits; 0 leaves an existing file's as they are. Execute bits are never set. */
  readonly mode: number
  /** Bytes after which the file is renamed to `.1` and a new one begun; 0 = never (then SIGHUP and logrotate do it). */
  readonly rotateBytes: number
  /** How many renamed files are kept. */
  readonly rotateKeep: number
}

const bufferBytes = 1 << 20

/**
 * A file of lines. `append` only collects; `flush` gives all of them to the kernel in one write, once per tick and
 * before any answer of that tick goes out (design 3: "written" means that write(2) returned).
 */
export class FileDevice {
  readonly #options: FileDeviceOptions
  readonly #buffer = Buffer.allocUnsafe(bufferBytes)
  #used = 0
  #fd: number
  #size = 0
  #problem: Error | null = null

  /** @throws the system's error when the file can't be opened: the caller refuses to enable the device. */
  constructor(options: FileDeviceOptions) {
    this.#options = options
    this.#fd = this.#open()
  }

  append(line: string): void {
    const worst = line.length * 3
    if (this.#used + worst > bufferBytes) this.#drain()
    if (worst > bufferBytes) this.#write(Buffer.from(line))
    else this.#used += this.#buffer.write(line, this.#used, 'utf8')
  }

  /** @throws the first error since the last flush; what was collected is gone then. */
  flush(): void {
    this.#drain()
    if (this.#problem !== null) {
      const problem = this.#problem
      this.#problem = null
      throw problem
    }
    if (this.#options.rotateBytes > 0 && this.#size >= this.#options.rotateBytes) this.#rotate()
  }

  /** Opens the path anew, after somebody moved the file away (SIGHUP). */
  reopen(): void {
    this.#drain()
    if (this.#fd < 0 || this.#options.path === 'stdout') return
    const next = this.#open()
    closeSync(this.#fd)
    this.#fd = next
  }

  close(): void {
    this.#drain()
    if (this.#fd > 2) closeSync(this.#fd)
    this.#fd = -1
  }

  #open(): number {
    const { path, mode } = this.#options
    if (path === 'discard') return -1
    if (path === 'stdout') return 1
    const fd = openSync(path, 'a', mode === 0 ? 0o600 : mode & 0o666)
    if (mode !== 0) fchmodSync(fd, mode & 0o666)
    this.#size = fstatSync(fd).size
    return fd
  }

  #drain(): void {
    if (this.#used === 0) return
    const bytes = this.#buffer.subarray(0, this.#used)
    this.#used = 0
    this.#write(bytes)
  }

  #write(bytes: Buffer): void {
    if (this.#fd < 0) return
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at)
      this.#size += bytes.length
    } catch (error) {
      this.#problem ??= error as Error
    }
  }

  #rotate(): void {
    const { path, rotateKeep } = this.#options
    rmSync(`${path}.${rotateKeep}`, { force: true })
    for (let n = rotateKeep - 1; n >= 1; n--) moveIfThere(`${path}.${n}`, `${path}.${n + 1}`)
    if (rotateKeep > 0) moveIfThere(path, `${path}.1`)
    else rmSync(path, { force: true })
    const next = this.#open()
    closeSync(this.#fd)
    this.#fd = next
  }
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

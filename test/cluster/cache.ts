import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Tells people what a long step is doing; one line a call, without a line feed. */
export type Say = (line: string) => void

/** Writes to stderr: stdout belongs to what the caller prints. */
export const sayOnStderr: Say = line => {
  process.stderr.write(`cluster: ${line}\n`)
}

/** What is made once and kept: a folder whose content `key` determines. */
export type Artifact = {
  /** Lower case and hyphens: the first part of the folder's name. */
  name: string
  /** Hash of all that goes in; see `keyOf`. */
  key: string
  /** Fills the empty folder. When it throws, nothing is kept. */
  make(folder: string, say: Say, signal?: AbortSignal): Promise<void>
}

/** Of each artifact, folders that are kept beside the one in use: a branch switched to and fro doesn't build anew. */
const olderKept = 2

/** `$COFFER_CACHE`, else `coffer` in the user's cache folder (XDG base directory specification). */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  return env['COFFER_CACHE'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'coffer')
}

/** The first 16 hex digits of the SHA-256 over the parts, each preceded by its length. */
export function keyOf(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part.length}:`).update(part)
  return hash.digest('hex').slice(0, 16)
}

/** Where the artifact lies or will lie. */
export function folderOf(artifact: Artifact): string {
  return join(cacheRoot(), 'cluster', `${artifact.name}-${artifact.key}`)
}

/**
 * The artifact's folder, made first when it is missing. Whole or not there: it is made beside its place and renamed.
 * Of two runs that miss the same artifact one makes it, the other waits.
 * @throws what `make` threw, or the signal's reason.
 */
export async function obtain(artifact: Artifact, say: Say = sayOnStderr, signal?: AbortSignal): Promise<string> {
  const folder = folderOf(artifact)
  const root = dirname(folder)
  if (await exists(folder)) {
    // The time of last use decides which older ones go. In a cache of somebody else's it can't be set, and needn't.
    await utimes(folder, new Date(), new Date()).catch(() => undefined)
    return folder
  }
  await mkdir(root, { recursive: true })
  await using _lock = await acquire(join(root, artifact.name), say, signal)
  if (await exists(folder)) return folder
  const making = `.making-${artifact.name}-`
  for (const left of await readdir(root)) if (left.startsWith(making)) await remove(join(root, left))
  const draft = await mkdtemp(join(root, making))
  try {
    await artifact.make(draft, say, signal)
    await chmod(draft, 0o755)
    await rename(draft, folder)
  } catch (error) {
    await remove(draft)
    throw error
  }
  await removeOld(root, artifact)
  return folder
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null
}

function remove(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true, maxRetries: 3 })
}

async function removeOld(root: string, artifact: Artifact): Promise<void> {
  const others: { path: string; usedAt: number }[] = []
  for (const entry of await readdir(root)) {
    if (!entry.startsWith(`${artifact.name}-`) || entry === `${artifact.name}-${artifact.key}`) continue
    const path = join(root, entry)
    others.push({ path, usedAt: (await stat(path)).mtimeMs })
  }
  others.sort((a, b) => b.usedAt - a.usedAt)
  for (const { path } of others.slice(olderKept)) await remove(path)
}

/**
 * A lock between processes that can't outlive its holder: a socket in the abstract namespace, which the kernel takes
 * away with the process. A lock file would stay after SIGKILL.
 */
async function acquire(path: string, say: Say, signal?: AbortSignal): Promise<AsyncDisposable> {
  const name = `\0coffer-cluster-${keyOf([path])}`
  const waitMsMax = 30 * 60_000
  const stepMs = 500
  for (let waitedMs = 0; waitedMs < waitMsMax; waitedMs += stepMs) {
    signal?.throwIfAborted()
    const server = await listen(name)
    if (server) return { [Symbol.asyncDispose]: () => new Promise<void>(resolve => server.close(() => resolve())) }
    if (waitedMs % 10_000 === 0) say(`waiting for another run that makes ${path}`)
    await sleep(stepMs, undefined, { ...(signal && { signal }) })
  }
  throw new Error(`cluster: ${path} has been locked by another run for ${waitMsMax / 60_000} minutes`)
}

function listen(name: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null)
      else reject(error)
    })
    server.listen(name, () => resolve(server))
  })
}

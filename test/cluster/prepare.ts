import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { kubernetes } from './binaries.ts'
import { folderOf, obtain, type Say } from './cache.ts'
import { prepareNode } from './node.ts'
import { cgroupRoots } from './sweep.ts'

/** `api` is the control plane alone, `up` the one-node cluster. */
export type Kind = 'api' | 'up'

/** Why this machine can't start such a cluster, in words for people; null when it can. */
export function unable(kind: Kind): string | null {
  if (process.platform !== 'linux') return 'needs Linux'
  const needed = kind === 'api' ? ['setpriv'] : ['setpriv', 'unshare', 'nsenter', 'ip', 'bash', 'dpkg', 'apt-get']
  // What is built already needs no compiler.
  if (!existsSync(folderOf(kubernetes()))) needed.push('go')
  const missing = needed.filter(name => !isOnPath(name))
  if (missing.length > 0) return `needs ${missing.map(name => (name === 'go' ? 'Go 1.24 or later' : name)).join(', ')}`
  if (kind === 'api') return null
  if (process.getuid?.() !== 0) return 'needs root'
  const roots = cgroupRoots()
  return roots.length > 0 && roots.every(isWritable) ? null : 'needs a writable /sys/fs/cgroup'
}

/** Builds and downloads what is missing in the cache. Call it where no time limit runs. */
export async function prepare(kind: Kind, say?: Say, signal?: AbortSignal): Promise<void> {
  const reason = unable(kind)
  if (reason) throw new Error(`a cluster can't run here: ${reason}`)
  if (kind === 'api') await obtain(kubernetes(), say, signal)
  else await prepareNode(say, signal)
}

function isOnPath(name: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return [...folders, '/usr/local/go/bin', '/usr/sbin', '/sbin'].some(folder => isA(join(folder, name), constants.X_OK))
}

const isWritable = (path: string): boolean => isA(path, constants.W_OK)

function isA(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

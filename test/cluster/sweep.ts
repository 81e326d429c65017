import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTime } from './process.ts'

/** Run folders in $TMPDIR are named `coffer-cluster-XXXXXX`. */
export const runFolderPrefix = 'coffer-cluster-'
/** Cgroups are named `coffer-cluster-PID-STARTTIME`, after the process that owns them. */
export const cgroupPrefix = 'coffer-cluster-'

/** Which process a run belongs to. The PID namespace is part of it: $TMPDIR may be shared between containers. */
export type Owner = { pid: number; startTime: string; pidNamespace: string }

export function owner(): Owner {
  return {
    pid: process.pid,
    startTime: startTime(process.pid) ?? '0',
    pidNamespace: readlinkSync('/proc/self/ns/pid'),
  }
}

/**
 * Removes what dead runs left: their guard (`guard.sh`) does it within a second, so there is something to find only
 * where that was killed too, as at the end of a container or by an out-of-memory killer.
 * @returns what was removed.
 */
export function sweep(): string[] {
  return [...sweepFolders(), ...sweepCgroups()]
}

function sweepFolders(): string[] {
  const removed: string[] = []
  const mine = readlinkSync('/proc/self/ns/pid')
  for (const entry of readdirSync(tmpdir())) {
    if (!entry.startsWith(runFolderPrefix)) continue
    const folder = join(tmpdir(), entry)
    const of = readOwner(folder)
    if (!of || of.pidNamespace !== mine || startTime(of.pid) === of.startTime) continue
    try {
      rmSync(folder, { recursive: true, force: true })
      removed.push(folder)
    } catch {
      // Another user's, or its processes are just ending: the next sweep gets it.
    }
  }
  return removed
}

function readOwner(folder: string): Owner | null {
  try {
    if (statSync(folder).uid !== process.getuid?.()) return null
    return JSON.parse(readFileSync(join(folder, 'owner.json'), 'utf8')) as Owner
  } catch {
    // Just being made, or no folder of ours.
    return null
  }
}

/** The hierarchies below which a cluster has a group: all of version 1, or the one of version 2. */
export function cgroupRoots(): string[] {
  const top = '/sys/fs/cgroup'
  if (!existsSync(top)) return []
  if (existsSync(join(top, 'cgroup.controllers'))) return [top]
  return readdirSync(top)
    .map(name => join(top, name))
    .filter(path => existsSync(join(path, 'cgroup.procs')))
}

function sweepCgroups(): string[] {
  const removed: string[] = []
  for (const root of cgroupRoots()) {
    for (const name of readdirSync(root)) {
      if (!name.startsWith(cgroupPrefix)) continue
      const [pid, started] = name.slice(cgroupPrefix.length).split('-')
      if (startTime(Number(pid)) === started) continue
      if (removeCgroup(join(root, name))) removed.push(join(root, name))
    }
  }
  return removed
}

/** Kills what still runs in a group and removes it with all below; false when something is still ending. */
function removeCgroup(path: string): boolean {
  try {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory()) removeCgroup(join(path, entry.name))
    }
    for (const pid of readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) {
      process.kill(Number(pid), 'SIGKILL')
    }
    rmdirSync(path)
    return true
  } catch {
    return false
  }
}

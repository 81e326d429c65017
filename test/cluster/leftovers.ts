import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cgroupRoots } from './sweep.ts'

/** What a run is known by from outside. */
export type Traces = {
  /** The run's folder: it stands in the command line of each of its processes. */
  folder: string
  /** `net:[…]` of the node, if there is one. */
  networkNamespace?: string
  /** Name of the cgroup, if pods ran. */
  cgroup?: string
}

/** Everything of a run that is still there, one line each. */
export function leftovers({ folder, networkNamespace, cgroup }: Traces): string[] {
  const found: string[] = []
  if (existsSync(folder)) found.push(`folder ${folder}`)
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')
    if (command.includes(folder)) found.push(`process ${pid}: ${command}`)
    else if (networkNamespace && link(`/proc/${pid}/ns/net`) === networkNamespace)
      found.push(`in its network: ${command}`)
    if (read(`/proc/${pid}/mountinfo`).includes(folder)) found.push(`mount seen by ${pid}: ${command}`)
  }
  if (cgroup !== undefined) {
    found.push(
      ...cgroupRoots()
        .map(root => join(root, cgroup))
        .filter(existsSync),
    )
  }
  return found
}

/** Waits until nothing is left, at most 20 s. @returns what is left then. */
export async function untilNothingLeft(traces: Traces): Promise<string[]> {
  for (let tries = 0; tries < 400; tries++) {
    if (leftovers(traces).length === 0) return []
    await sleep(50)
  }
  return leftovers(traces)
}

/** The name of a process's network namespace; empty when it is gone. */
export const networkNamespaceOf = (pid: number): string => link(`/proc/${pid}/ns/net`)

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

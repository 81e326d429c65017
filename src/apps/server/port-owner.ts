import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/**
 * Whose a listening TCP port is, for the sentence about a taken port: "process 123 (coffer)". Linux only, and only of
 * processes that we may look at; null when it can't be told.
 */
export function portOwner(port: number): string | null {
  try {
    const inodes = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap(file => listeningInodes(file, port))
    if (inodes.length === 0) return null
    for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
      if (holdsAny(pid, inodes)) return `process ${pid} (${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()})`
    }
  } catch {
    return null
  }
  return null
}

const listening = '0A'

function listeningInodes(file: string, port: number): string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readFileSync(file, 'utf8')
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(fields => fields[1]?.endsWith(wanted) && fields[3] === listening)
    .map(fields => `socket:[${fields[9]}]`)
}

function holdsAny(pid: string, inodes: readonly string[]): boolean {
  let names: string[]
  try {
    names = readdirSync(`/proc/${pid}/fd`)
  } catch {
    return false
  }
  return names.some(name => {
    try {
      return inodes.includes(readlinkSync(`/proc/${pid}/fd/${name}`))
    } catch {
      return false
    }
  })
}

import { readFileSync } from 'node:fs'
import { url as inspectorUrl } from 'node:inspector'

/** What could open the memory of this process to others, or write it to a disk. */
export type Exposure = {
  readonly execArgv: readonly string[]
  /** Where an inspector listens, if one does. */
  readonly inspector: string | null
  /** Does Node write a report of itself on a signal or an error? */
  readonly reports: boolean
  /** /proc/self/limits; null elsewhere than on Linux. */
  readonly limits: string | null
}

export function readExposure(): Exposure {
  const { report } = process
  return {
    execArgv: process.execArgv,
    inspector: inspectorUrl() ?? null,
    reports: report.reportOnSignal || report.reportOnUncaughtException || report.reportOnFatalError,
    limits: readLimits(),
  }
}

function readLimits(): string | null {
  try {
    return readFileSync('/proc/self/limits', 'latin1')
  } catch {
    return null
  }
}

/**
 * Loose ends, each a line for the log with its remedy; empty under `bin/coffer`, which turns all of them off. The server
 * tells them at start: the machine's root can read our memory anyway, but nothing shall open it by accident.
 */
export function looseEnds(exposure: Exposure): string[] {
  const ends: string[] = []
  if (exposure.inspector !== null) ends.push(`an inspector listens on ${exposure.inspector}: start without --inspect`)
  if (!exposure.execArgv.includes('--disable-sigusr1')) {
    ends.push('SIGUSR1 opens an inspector: start Node with --disable-sigusr1')
  }
  const snapshots = exposure.execArgv.find(flag => /^--heapsnapshot-(signal|near-heap-limit)/.test(flag))
  if (snapshots) ends.push(`${snapshots} writes secrets to a file: start without it`)
  if (exposure.reports) ends.push('diagnostic reports hold the environment: start without --report-*')
  const core = /^Max core file size\s+(\S+)/m.exec(exposure.limits ?? '')?.[1]
  if (core !== undefined && core !== '0') ends.push('a crash writes memory to a core file: start with `ulimit -c 0`')
  return ends
}

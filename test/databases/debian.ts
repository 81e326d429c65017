import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Artifact, obtain, type Say } from '../cluster/cache.ts'
import { debianEnv, debianPackages } from '../cluster/debian.ts'

// MariaDB and Redis of Debian, unpacked and not installed: no service is started, the machine stays as it is.
const packages = [
  'mariadb-server-core',
  'mariadb-client-core',
  'redis-server',
  'redis-tools',
  // their libraries
  'libaio1',
  'libatomic1',
  'libjemalloc2',
  'liblzf1',
  'libnuma1',
  'libpcre2-8-0',
  'liburing2',
]

const isOnPath = (name: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some(folder => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/** Why this machine can't run MariaDB and Redis; false when it can. */
export const debianUnable = (): string | false => {
  const missing = ['apt-get', 'dpkg'].filter(name => !isOnPath(name))
  return missing.length === 0 ? false : `needs ${missing.join(' and ')} (a Debian)`
}

const artifact = (): Promise<Artifact> =>
  debianPackages({ name: 'databases', packages, says: 'downloading MariaDB and Redis from Debian (once, 10 MB)' })

/** Makes what is missing. Call it where no time limit runs. */
export async function prepareDebianDatabases(say?: Say, signal?: AbortSignal): Promise<void> {
  if (debianUnable() === false) await obtain(await artifact(), say, signal)
}

/** Where the unpacked programs lie, and the environment in which they find their libraries. */
export async function debianDatabases(): Promise<{ folder: string; env: Record<string, string> }> {
  const folder = await obtain(await artifact())
  return { folder, env: { ...debianEnv(folder), LC_ALL: 'C' } }
}

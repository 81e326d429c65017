import { mkdir, readdir, readFile } from 'node:fs/promises'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Artifact, keyOf, obtain, type Say } from '../cluster/cache.ts'
import { must } from '../cluster/process.ts'

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

async function artifact(): Promise<Artifact> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return {
    name: 'databases',
    key: keyOf([release, process.arch, ...packages]),
    async make(folder, say, signal) {
      say('downloading MariaDB and Redis from Debian (once, 10 MB)')
      const downloads = join(folder, 'downloads')
      await mkdir(downloads)
      const options = { cwd: downloads, inheritEnv: true as const, timeoutMs: 300_000, ...(signal && { signal }) }
      // Without it apt tries to become another user, who can't write here.
      const apt = ['apt-get', '-o', 'APT::Sandbox::User=root', '-qq']
      const download = (): Promise<unknown> => must([...apt, 'download', ...packages], options)
      await download().catch(async () => {
        say('updating the package lists')
        await must([...apt, 'update'], options)
        await download()
      })
      for (const file of await readdir(downloads)) await must(['dpkg', '-x', file, folder], options)
      await must(['rm', '-r', downloads])
    },
  }
}

/** Makes what is missing. Call it where no time limit runs. */
export async function prepareDebianDatabases(say?: Say, signal?: AbortSignal): Promise<void> {
  if (debianUnable() === false) await obtain(await artifact(), say, signal)
}

const libraryFolders: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }

/** Where the unpacked programs lie, and the environment in which they find their libraries. */
export async function debianDatabases(): Promise<{ folder: string; env: Record<string, string> }> {
  const folder = await obtain(await artifact())
  const library = libraryFolders[process.arch] ?? process.arch
  const env = {
    PATH: `${join(folder, 'usr/bin')}:${join(folder, 'usr/sbin')}:${process.env['PATH'] ?? ''}`,
    LD_LIBRARY_PATH: `${join(folder, 'usr/lib', library)}:${join(folder, 'lib', library)}`,
    LC_ALL: 'C',
  }
  return { folder, env }
}

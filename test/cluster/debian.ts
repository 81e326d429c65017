import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Artifact, keyOf } from './cache.ts'
import { must } from './process.ts'

// What a node needs of Debian, unpacked and not installed: no service is started, the machine stays as it is.
const packages = [
  'containerd',
  'runc',
  'containernetworking-plugins',
  'busybox-static',
  // runc's library
  'libseccomp2',
  // kube-proxy's tool, and its libraries
  'nftables',
  'libnftables1',
  'libnftnl11',
  'libedit2',
  'libmnl0',
  'libjansson4',
  'libgmp10',
  'libxtables12',
  'libbsd0',
  'libmd0',
]

/** containerd, runc, the CNI plugins, nft and busybox: 150 MB. Needs Debian's `apt-get` and `dpkg`, and root. */
export const debian = (): Promise<Artifact> =>
  debianPackages({ name: 'debian', packages, says: `downloading ${packages.length} Debian packages (once)` })

/** Packages of this machine's Debian, downloaded and unpacked into one folder. */
export async function debianPackages(what: {
  readonly name: string
  readonly packages: readonly string[]
  readonly says: string
}): Promise<Artifact> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return {
    name: what.name,
    key: keyOf([release, process.arch, ...what.packages]),
    async make(folder, say, signal) {
      say(what.says)
      const downloads = join(folder, 'downloads')
      await mkdir(downloads)
      const options = { cwd: downloads, inheritEnv: true as const, timeoutMs: 300_000, ...(signal && { signal }) }
      // Without it apt tries to become another user, who can't write here.
      const apt = ['apt-get', '-o', 'APT::Sandbox::User=root', '-qq']
      const download = (): Promise<unknown> => must([...apt, 'download', ...what.packages], options)
      await download().catch(async () => {
        // A new machine has no package lists yet, an old one has stale ones.
        say('updating the package lists')
        await must([...apt, 'update'], options)
        await download()
      })
      for (const file of await readdir(downloads)) await must(['dpkg', '-x', file, folder], options)
      await must(['rm', '-r', downloads])
    },
  }
}

const libraryFolders: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }

/** The environment in which the unpacked programs find each other and their libraries. */
export function debianEnv(folder: string): { PATH: string; LD_LIBRARY_PATH: string } {
  const library = libraryFolders[process.arch] ?? process.arch
  return {
    PATH: [join(folder, 'usr/bin'), join(folder, 'usr/sbin'), join(folder, 'bin'), process.env['PATH']].join(':'),
    LD_LIBRARY_PATH: [join(folder, 'usr/lib', library), join(folder, 'lib', library)].join(':'),
  }
}

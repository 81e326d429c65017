import type { TarEntry } from '#ground/base/tar.ts'
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { nodeFlags } from './bundle.ts'
import { licenceFiles } from './licence-files.ts'
import { ImageError, type Tool } from './tool.ts'

export type RootFiles = {
  /** Libraries, shell and accounts; changes with the distribution only. */
  readonly system: readonly TarEntry[]
  /** Node, the largest; shared by all versions of the program. */
  readonly node: readonly TarEntry[]
  readonly app: readonly TarEntry[]
}

export type RootFilesInput = {
  /** Path of Node. */
  readonly node: string
  /** Path of a static busybox. */
  readonly busybox: string
  /** Folder that `bundleForImage` wrote. */
  readonly bundle: string
  readonly tool: Tool
  readonly say: (line: string) => void
}

/** What runs a command line of the injector's (`/bin/sh -ec 'echo … | base64 -d > … && vault agent …'`) and of users' hooks. */
const shellCommands = [
  'base64',
  'cat',
  'cp',
  'echo',
  'env',
  'false',
  'id',
  'kill',
  'ls',
  'mkdir',
  'mv',
  'rm',
  'sh',
  'sleep',
  'stat',
  'test',
  'touch',
  'true',
]

export const entryPoint = ['/bin/coffer'] as const

const program = ['/usr/local/bin/node', ...nodeFlags, '/app/load.cjs', '/app/coffer.cjs'] as const
// As the launcher of a checkout: what may change how Node runs isn't the pod's.
const unwanted = [
  'NODE_OPTIONS',
  'NODE_PATH',
  'NODE_DEBUG',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'NODE_V8_COVERAGE',
  'NODE_REPL_EXTERNAL_MODULE',
  'NODE_COMPILE_CACHE',
]

const file = (path: string, data: Uint8Array | string, mode = 0o644): TarEntry => ({
  kind: 'file',
  path,
  mode,
  data: typeof data === 'string' ? Buffer.from(data) : data,
})

const folder = (path: string, mode = 0o755): TarEntry => ({ kind: 'folder', path, mode })

/**
 * The whole root file system of the image: Node with the libraries that it is linked with, a static shell, the program.
 * Nothing in it needs to be written, and no account needs to exist.
 */
export async function rootFiles(input: RootFilesInput): Promise<RootFiles> {
  const licences = licenceFiles({ ...input, root: '/' })
  if (licences.missing.length > 0) {
    input.say(`no licence found here for ${licences.missing.join(', ')}: add it before you pass the image on`)
  }
  return {
    system: [
      ...['bin', 'etc', 'home', 'lib64', 'usr', 'usr/lib', libraryFolder()].map(path => folder(path)),
      folder('tmp', 0o1777),
      // Any account may run the image; where the root is writable, so is its home.
      folder('home/vault', 0o777),
      { kind: 'link', path: 'lib', target: 'usr/lib' },
      ...(await libraries(input)),
      file('bin/busybox', readFileSync(input.busybox), 0o755),
      ...shellCommands.map((name): TarEntry => ({ kind: 'link', path: `bin/${name}`, target: 'busybox' })),
      file(
        'etc/passwd',
        'root:x:0:0:root:/:/bin/sh\nvault:x:100:1000::/home/vault:/bin/sh\ncoffer:x:65532:65532::/home/vault:/bin/sh\n',
      ),
      file('etc/group', 'root:x:0:\nvault:x:1000:\ncoffer:x:65532:\n'),
      file('etc/nsswitch.conf', 'hosts: files dns\n'),
      ...licences.files,
    ],
    node: [folder('usr/local'), folder('usr/local/bin'), file('usr/local/bin/node', await stripped(input), 0o755)],
    app: [
      folder('app'),
      ...readdirSync(input.bundle)
        .sort()
        .map(name => file(`app/${name}`, readFileSync(join(input.bundle, name)))),
      ...['coffer', 'vault'].map(name => file(`bin/${name}`, launcher(name), 0o755)),
    ],
  }
}

// `exec`: node becomes the first process and gets the kubelet's SIGTERM.
const launcher = (name: string): string =>
  `#!/bin/sh\nunset ${unwanted.join(' ')}\nulimit -c 0\nCOFFER_CALLED_AS=${name} exec ${program.join(' ')} "$@"\n`

const libraryFolder = (): string => `usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`

async function libraries({ node, tool }: RootFilesInput): Promise<TarEntry[]> {
  const listed = await tool(['ldd', node])
  if (!listed.isOk) throw new ImageError(`ldd can not read ${node}: the image is built on Linux, with glibc`)
  const paths = [...listed.output.matchAll(/(\/\S+)/g)].map(found => found[1]!)
  return paths.sort().map(path => {
    const isLoader = basename(path).startsWith('ld-linux')
    const place = isLoader ? (process.arch === 'arm64' ? 'usr/lib' : 'lib64') : libraryFolder()
    return file(`${place}/${basename(path)}`, readFileSync(realpathSync(path)), 0o755)
  })
}

/** Node without its symbols, a fifth smaller; as it is where the machine has no `strip`. */
async function stripped({ node, bundle, tool }: RootFilesInput): Promise<Uint8Array> {
  const out = join(bundle, '..', 'node-stripped')
  const strip = ['/usr/bin/strip', '/usr/local/bin/strip'].find(path => existsSync(path))
  if (strip === undefined) return readFileSync(node)
  return readFileSync((await tool([strip, '-o', out, node])).isOk ? out : node)
}

import { readFileSync } from 'node:fs'
import { copyFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type Artifact, keyOf, type Say } from './cache.ts'
import { capture } from './process.ts'

const source = join(import.meta.dirname, 'go')
const version = 'v1.34.4'
const versionPackage = 'k8s.io/component-base/version'

/** The programs in the one binary of `go/main.go`. */
export const programs = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
] as const

const flags = ['-mod=readonly', '-p', '2', '-trimpath', '-buildvcs=false', '-tags', 'grpcnotrace']
// No debug information: the linker throws it away anyway (-s -w), and making it costs a tenth of the build.
const compiler = '-gcflags=all=-dwarf=false'
const linker = {
  // Without these three every program says that it is v0.0.0-master.
  kubernetes: `-s -w -X ${versionPackage}.gitVersion=${version} -X ${versionPackage}.gitMajor=1 -X ${versionPackage}.gitMinor=34`,
  plain: '-s -w',
}

const sourceFiles = (folder: string, names: readonly string[]): string[] =>
  names.map(name => readFileSync(join(folder, name), 'utf8'))

/** Kubernetes 1.34.4 and etcd: one program with a link for each name. Five to eight minutes from an empty Go cache. */
export function kubernetes(): Artifact {
  return {
    name: 'kubernetes',
    key: keyOf([...flags, compiler, linker.kubernetes, ...sourceFiles(source, ['go.mod', 'go.sum', 'main.go'])]),
    async make(folder, say, signal) {
      const what = `Kubernetes ${version} and etcd (once, 5 to 8 minutes)`
      await build(
        { what, packages: 2600, cwd: source, ldflags: linker.kubernetes, out: join(folder, 'cluster') },
        say,
        signal,
      )
      for (const name of programs) await symlink('cluster', join(folder, name))
    },
  }
}

/** What only the node needs: CoreDNS as `dns`, and `pause`, which holds a pod's namespaces. */
export function nodeBinaries(): Artifact {
  const dns = join(source, 'dns')
  const pause = join(source, 'pause')
  return {
    name: 'node',
    key: keyOf([
      ...flags,
      compiler,
      linker.plain,
      ...sourceFiles(dns, ['go.mod', 'go.sum', 'main.go']),
      ...sourceFiles(pause, ['go.mod', 'main.go']),
    ]),
    async make(folder, say, signal) {
      const common = { ldflags: linker.plain }
      await build({ ...common, what: 'pause', packages: 60, cwd: pause, out: join(folder, 'pause') }, say, signal)
      await build(
        { ...common, what: 'CoreDNS (once, about a minute)', packages: 700, cwd: dns, out: join(folder, 'dns') },
        say,
        signal,
      )
    },
  }
}

type PlainProgram = { name: string; folder: string; what: string; packages: number }

/** One Go program of the tests, from a folder with `go.mod`, `go.sum` and `main.go`; the binary has the artifact's name. */
export function plainProgram({ name, folder: cwd, what, packages }: PlainProgram): Artifact {
  const ldflags = linker.plain
  return {
    name,
    key: keyOf([...flags, compiler, ldflags, ...sourceFiles(cwd, ['go.mod', 'go.sum', 'main.go'])]),
    make: (folder, say, signal) => build({ what, packages, cwd, ldflags, out: join(folder, name) }, say, signal),
  }
}

type Build = {
  what: string
  /** How many packages a build from nothing compiles, about. Only for the progress lines. */
  packages: number
  cwd: string
  ldflags: string
  out: string
}

async function build(task: Build, say: Say, signal?: AbortSignal): Promise<void> {
  const startedAt = performance.now()
  let compiled = 0
  say(`building ${task.what}`)
  const beat = setInterval(() => {
    const elapsed = Math.round((performance.now() - startedAt) / 1000)
    say(`building ${task.what}: ${compiled} of about ${task.packages} packages, ${elapsed} s`)
  }, 10_000)
  try {
    const { code, stderr } = await capture(
      ['nice', '-n', '5', 'go', 'build', '-v', ...flags, compiler, '-ldflags', task.ldflags, '-o', task.out, '.'],
      {
        cwd: task.cwd,
        inheritEnv: true,
        env: {
          // Where Go's own installer puts it, which isn't on everybody's PATH.
          PATH: `${process.env['PATH'] ?? ''}:/usr/local/go/bin`,
          CGO_ENABLED: '0',
          GOTOOLCHAIN: 'local',
          GOFLAGS: '',
          GOWORK: 'off',
        },
        timeoutMs: 45 * 60_000,
        // -v prints the name of each package that is compiled, one a line.
        onStderr: text => {
          compiled += text.split('\n').length - 1
        },
        ...(signal && { signal }),
      },
    )
    if (code !== 0) throw new Error(`go build of ${task.what} failed:\n${complaints(stderr)}`)
  } finally {
    clearInterval(beat)
  }
  say(`built ${task.what.replace(/ \(.*/, '')} in ${Math.round((performance.now() - startedAt) / 1000)} s`)
}

/** What `go build -v` wrote beside names of packages and downloads. */
function complaints(stderr: string): string {
  const lines = stderr.split('\n').filter(line => line.includes(' ') && !line.startsWith('go: downloading '))
  return lines.slice(-20).join('\n') || stderr.slice(-2000)
}

/** Copies the pause program to where an image is put together. */
export function copyPause(folder: string, target: string): Promise<void> {
  return copyFile(join(folder, 'pause'), target)
}

import { readFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { nodeBinaries } from './binaries.ts'
import { type Artifact, keyOf, obtain } from './cache.ts'
import { debian, debianEnv } from './debian.ts'
import { imageArchive } from '#apps/image/archive.ts'
import type { TarEntry } from '#ground/base/tar.ts'
import { net } from './layout.ts'
import { openNamespaces } from './namespaces.ts'
import { capture, children, must, type Running, start, tail } from './process.ts'
import { openRun } from './run.ts'

/** Reference of the image for test pods: busybox, all its commands in /bin. Use with `imagePullPolicy: Never`. */
export const boxImage = 'localhost/box:test'
const pauseImage = 'localhost/pause:test'

export type Containerd = {
  running: Running
  socket: string
  /** Imports an archive (`docker save` or OCI layout) for pods. @returns the references in it. */
  importImage: (archive: string) => Promise<string[]>
}

export type ContainerdParts = { folder: string; debian: string; initPid: number }

/**
 * Starts containerd in the node's namespaces, and waits until it answers.
 * @param parts.folder the run's; a store of images may lie in its `containerd/root` already.
 */
export async function startContainerd({ folder, debian, initPid }: ContainerdParts): Promise<Containerd> {
  const socket = join(folder, 'containerd', 'c.sock')
  const config = join(folder, 'containerd', 'config.toml')
  const cni = join(folder, 'cni')
  await Promise.all([mkdir(join(folder, 'containerd', 'root'), { recursive: true }), mkdir(cni)])
  await writeFile(config, containerdConfig(folder, debian, socket))
  await writeFile(join(cni, '10-pods.conflist'), JSON.stringify(podNetwork(folder)))
  const env = debianEnv(debian)
  const running = await start('containerd', [join(debian, 'usr/bin/containerd'), '-c', config], {
    folder,
    initPid,
    env,
  })
  const ctr = [join(debian, 'usr/bin/ctr'), '--address', socket, '--namespace', 'k8s.io']
  for (let tries = 0; (await capture([...ctr, 'version'], { initPid })).code !== 0; tries++) {
    if (tries > 200 || !running.isRunning()) throw new Error(`containerd does not answer:\n${tail(running.log)}`)
    await sleep(25)
  }
  return {
    running,
    socket,
    async importImage(archive) {
      const { stdout } = await must([...ctr, 'images', 'import', archive], { initPid, env })
      return [...stdout.matchAll(/^unpacking (\S+)/gm)].map(([, reference = '']) => reference)
    },
  }
}

function containerdConfig(folder: string, debian: string, socket: string): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"'
  const unused = [
    ...['aufs', 'btrfs', 'devmapper', 'zfs'].map(name => `io.containerd.snapshotter.v1.${name}`),
    // Would make /opt/containerd.
    'io.containerd.internal.v1.opt',
    'io.containerd.internal.v1.tracing',
    'io.containerd.tracing.processor.v1.otlp',
  ]
  return `version = 2
root = "${folder}/containerd/root"
state = "${folder}/containerd/state"
disabled_plugins = ${JSON.stringify(unused)}
[grpc]
  address = "${socket}"
[${cri}]
  sandbox_image = "${pauseImage}"
  # Lowering a score needs CAP_SYS_RESOURCE, which a container's root lacks; runc then fails without saying why.
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [${cri}.containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [${cri}.containerd.runtimes.runc.options]
        BinaryName = "${debian}/usr/sbin/runc"
        Root = "${folder}/containerd/runc"
        SystemdCgroup = false
  [${cri}.cni]
    bin_dir = "${debian}/usr/lib/cni"
    conf_dir = "${folder}/cni"
`
}

function podNetwork(folder: string): object {
  const ipam = {
    type: 'host-local',
    dataDir: `${folder}/addresses`,
    ranges: [[{ subnet: net.podCidr, gateway: net.nodeIp }]],
    routes: [{ dst: '0.0.0.0/0' }],
  }
  const bridge = { type: 'bridge', bridge: 'cni0', isGateway: true, hairpinMode: true, ipam }
  return { cniVersion: '0.4.0', name: 'pods', plugins: [bridge] }
}

/** containerd's root folder with the test images in it; a run gets a copy. */
export async function imageStore(): Promise<Artifact> {
  const unpacked = await debian()
  const binaries = nodeBinaries()
  const source = await readFile(import.meta.filename)
  return {
    name: 'images',
    key: keyOf([unpacked.key, binaries.key, source]),
    async make(folder, say, signal) {
      const [debianFolder, nodeFolder] = [await obtain(unpacked, say, signal), await obtain(binaries, say, signal)]
      say('importing the test images (once)')
      await using run = await openRun()
      await using namespaces = await openNamespaces(run)
      const parts = { folder: run.folder, debian: debianFolder, initPid: namespaces.initPid }
      const containerd = await startContainerd(parts)
      for (const [name, archive] of [
        ['pause', await pauseArchive(nodeFolder)],
        ['box', await boxArchive(debianFolder)],
      ] as const) {
        const path = join(run.folder, `${name}.tar`)
        await writeFile(path, archive)
        await containerd.importImage(path)
      }
      // Its databases are whole only after an orderly end.
      for (const pid of children(containerd.running.pid)) process.kill(pid, 'SIGTERM')
      await containerd.running.exited
      await must(['cp', '-a', join(run.folder, 'containerd', 'root'), join(folder, 'root')])
    },
  }
}

async function pauseArchive(nodeFolder: string): Promise<Buffer> {
  const data = await readFile(join(nodeFolder, 'pause'))
  const entries: TarEntry[] = [{ kind: 'file', path: 'pause', mode: 0o755, data }]
  return imageArchive(pauseImage, { Entrypoint: ['/pause'], User: '65535:65535' }, [entries])
}

async function boxArchive(debianFolder: string): Promise<Buffer> {
  const busybox = join(debianFolder, 'bin/busybox')
  const commands = (await must([busybox, '--list'])).stdout
    .split('\n')
    .filter(name => name !== '' && name !== 'busybox')
  const folders = ['bin', 'dev', 'etc', 'proc', 'sys'].map(path => ({ kind: 'folder', path, mode: 0o755 }) as const)
  const text = (path: string, data: string): TarEntry => ({ kind: 'file', path, mode: 0o644, data: Buffer.from(data) })
  const entries: TarEntry[] = [
    ...folders,
    { kind: 'folder', path: 'tmp', mode: 0o1777 },
    { kind: 'file', path: 'bin/busybox', mode: 0o755, data: await readFile(busybox) },
    ...commands.map(name => ({ kind: 'link', path: `bin/${name}`, target: 'busybox' }) as const),
    text('etc/passwd', 'root:x:0:0:root:/:/bin/sh\n'),
    text('etc/group', 'root:x:0:\n'),
  ]
  return imageArchive(boxImage, { Env: ['PATH=/bin'], Cmd: ['/bin/sh'] }, [entries])
}

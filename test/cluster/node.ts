import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openApi } from './api.ts'
import { kubernetes, nodeBinaries } from './binaries.ts'
import { obtain, type Say } from './cache.ts'
import { type Plan, scheduler } from './components.ts'
import { imageStore, startContainerd } from './containerd.ts'
import { startCore } from './controlplane.ts'
import { debian, debianEnv } from './debian.ts'
import { exposeToCluster, type HostAddress, startApiRelay } from './expose.ts'
import { type Handle, makeHandle } from './handle.ts'
import { kubeconfig } from './kubeconfig.ts'
import { dnsConfig, kubeletConfig, kubeletRoot, proxyConfig } from './kubelet.ts'
import { net, writeCredentials } from './layout.ts'
import { openNamespaces } from './namespaces.ts'
import { capture, type CaptureOptions, must, type Output, type Running, start, stop, tail } from './process.ts'
import { openRun, type Run } from './run.ts'
import { addVolumes } from './volumes.ts'

/** A cluster of one node in namespaces of its own: pods run, names resolve, `local` volumes bind. Needs root. */
export type Cluster = Handle &
  AsyncDisposable & {
    /** Process id, outside, of the first process in the node's namespaces; for `nsenter -t`. */
    initPid: number
    /** Name of the cgroup that pods run below, in each hierarchy. */
    cgroup: string
    /** Folder of the kubelet. A CSI driver registers in its `plugins_registry`. */
    kubeletRoot: string
    /** Logs of containers as files: `NAMESPACE_POD_UID/CONTAINER/0.log`. */
    podLogs: string
    /** Runs a command in the node's namespaces: it reaches pods, Services (by IP) and the API server. Working folder is /. */
    exec(argv: readonly string[], options?: ExecOptions): Promise<Output>
    /** Starts a process there; it ends with the cluster, or when disposed. Its log is `log/NAME.log`. */
    start(name: string, argv: readonly string[], env?: Record<string, string>): Promise<Running & AsyncDisposable>
    /** Imports an image archive. @returns its references; pods use them with `imagePullPolicy: Never`. */
    importImage(archive: string): Promise<string[]>
    /**
     * Lets pods reach a service of this machine as `10.244.0.1:PORT`.
     * @param port any free one on the node; pods see it as an address outside the cluster.
     */
    expose(port: number, target: HostAddress): Promise<void>
    /** Makes further `local` volumes of 1Gi; three are there from the start. @returns their folders. */
    addVolumes(count: number): Promise<string[]>
    /** Kills the API server; pods and kubelet go on. */
    stopApiServer: () => Promise<void>
    startApiServer: () => Promise<void>
  }

export type ExecOptions = Pick<CaptureOptions, 'input' | 'env' | 'timeoutMs' | 'signal'> & { mayFail?: true }

export type ClusterOptions = {
  /** Archives to import, beside the box image (`containerd.ts`). */
  images?: readonly string[]
  apiServerFlags?: readonly string[]
  say?: Say
  signal?: AbortSignal
}

/** The node's address, on which `expose` listens. */
export const nodeIp = net.nodeIp

type Prepared = { kubernetes: string; node: string; debian: string; images: string }

/** Builds, downloads and imports what is missing in the cache: minutes at first, later milliseconds. */
export async function prepareNode(say?: Say, signal?: AbortSignal): Promise<Prepared> {
  return {
    kubernetes: await obtain(kubernetes(), say, signal),
    node: await obtain(nodeBinaries(), say, signal),
    debian: await obtain(await debian(), say, signal),
    images: await obtain(await imageStore(), say, signal),
  }
}

// The network namespace is the node's own, so a fixed port is free.
const apiPort = 16443

/** Starts the cluster, until node, name server and default ServiceAccount are ready: about five seconds. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const prepared = await prepareNode(options.say, options.signal)
  await using stack = new AsyncDisposableStack()
  const run = stack.use(await openRun())
  const { initPid } = stack.use(await openNamespaces(run))
  const { folder } = run
  const where = { folder, initPid }
  const credentials = await writeCredentials(folder, `https://127.0.0.1:${apiPort}`)
  const plan: Plan = { binaries: prepared.kubernetes, folder, port: apiPort, credentials, withNode: true }
  const core = await startCore(plan, { initPid }, options.apiServerFlags ?? [])
  const relay = await startApiRelay(where, apiPort)
  const { caPem, admin, saKey } = credentials
  const api = stack.use(openApi({ host: '127.0.0.1', port: relay.port, caPem, identity: admin }))
  await mkdir(join(folder, 'containerd'))
  await must(['cp', '-a', join(prepared.images, 'root'), join(folder, 'containerd')])
  const containerd = await startContainerd({ folder, debian: prepared.debian, initPid })
  const imported = importAll(containerd.importImage, options.images ?? [])
  await core.ready(api, options.signal)
  const url = `https://127.0.0.1:${relay.port}`
  const adminKubeconfig = kubeconfig(url, caPem, admin)
  const kubeconfigPath = join(folder, 'kubeconfig')
  await writeFile(kubeconfigPath, adminKubeconfig, { mode: 0o600 })
  const described = { folder, url, caPem, kubeconfig: kubeconfigPath, adminKubeconfig, admin, saKey }
  const handle = makeHandle({ ...described, binaries: prepared.kubernetes }, api)
  const processes = await startNode({ run, initPid, plan, prepared, socket: containerd.socket })
  await imported
  await Promise.all([nodeReady(handle, processes), namesResolve(prepared.debian, initPid), addVolumes(handle, 3)])
  const all = stack.move()
  return {
    ...handle,
    initPid,
    cgroup: run.cgroup,
    kubeletRoot: kubeletRoot(folder),
    podLogs: join(folder, 'podlogs'),
    exec: (argv, { mayFail, ...rest } = {}) => (mayFail ? capture : must)(argv, { ...rest, initPid }),
    async start(name, argv, env) {
      const running = await start(name, argv, { ...where, ...(env && { env }) })
      return { ...running, [Symbol.asyncDispose]: () => stop(running) }
    },
    importImage: containerd.importImage,
    expose: async (port, target) => {
      all.use(await exposeToCluster(where, port, target))
    },
    addVolumes: count => addVolumes(handle, count),
    stopApiServer: core.stopApiServer,
    startApiServer: () => core.startApiServer(api),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

type NodeParts = { run: Run; initPid: number; plan: Plan; prepared: Prepared; socket: string }

/** Scheduler, kubelet, kube-proxy and CoreDNS. Nothing disposes of them: they die with the namespaces. */
async function startNode({ run, initPid, plan, prepared, socket }: NodeParts): Promise<Running[]> {
  const { folder, cgroup } = run
  const { credentials, binaries } = plan
  const file = async (name: string, content: string | object): Promise<string> => {
    const path = join(folder, name)
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    return path
  }
  const options = { folder, initPid, env: debianEnv(prepared.debian) }
  await mkdir(kubeletRoot(folder))
  await file('resolv.conf', '')
  const kubelet = [
    join(binaries, 'kubelet'),
    `--config=${await file('kubelet.json', kubeletConfig({ folder, cgroup, socket, credentials }))}`,
    `--kubeconfig=${credentials.kubeconfig('kubelet')}`,
    `--hostname-override=${net.nodeName}`,
    `--node-ip=${net.nodeIp}`,
    `--root-dir=${kubeletRoot(folder)}`,
    `--cert-dir=${folder}/kubelet-pki`,
  ]
  const proxy = [join(binaries, 'kube-proxy'), `--config=${await file('proxy.json', proxyConfig({ credentials }))}`]
  const dns = [join(prepared.node, 'dns'), '-conf', await file('Corefile', dnsConfig({ credentials }))]
  return [
    await start('kubelet', kubelet, options),
    await start('kube-proxy', proxy, options),
    await start('kube-scheduler', scheduler(plan), options),
    await start('dns', dns, options),
  ]
}

async function importAll(
  importImage: (archive: string) => Promise<string[]>,
  archives: readonly string[],
): Promise<void> {
  for (const archive of archives) await importImage(archive)
}

type NodeObject = { status?: { conditions?: { type: string; status: string }[] } }

async function nodeReady(handle: Handle, processes: readonly Running[]): Promise<void> {
  const isReady = ({ status }: NodeObject): boolean =>
    status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
  const ended = processes.map(async one => {
    await one.exited
    throw new Error(`${one.name} ended at its start:\n${tail(one.log)}`)
  })
  const ready = async (): Promise<void> => {
    await handle.until<NodeObject>(`/api/v1/nodes/${net.nodeName}`, isReady)
    await handle.until('/api/v1/namespaces/default/serviceaccounts/default', () => true)
  }
  for (const one of ended) one.catch(() => undefined)
  await Promise.race([ready(), ...ended])
}

async function namesResolve(debianFolder: string, initPid: number): Promise<void> {
  const ask = [join(debianFolder, 'bin/busybox'), 'nslookup', 'kubernetes.default.svc.cluster.local', net.nodeIp]
  for (let tries = 0; ; tries++) {
    const { code, stdout } = await capture(ask, { initPid })
    if (code === 0 && stdout.includes(net.serviceIp)) return
    if (tries === 200) throw new Error(`names don't resolve:\n${stdout}`)
    await sleep(50)
  }
}

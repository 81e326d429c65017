import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, openApi } from './api.ts'
import { kubernetes } from './binaries.ts'
import { obtain, type Say } from './cache.ts'
import { apiServer, controllerManager, etcd, type Plan } from './components.ts'
import { type Handle, makeHandle } from './handle.ts'
import { kubeconfig } from './kubeconfig.ts'
import { writeCredentials } from './layout.ts'
import { type Running, start, stop, tail, type Where } from './process.ts'
import { openRun } from './run.ts'

/** etcd, API server and controller manager on 127.0.0.1: rootless, everything real but kubelet and pods. */
export type ControlPlane = Handle &
  AsyncDisposable & {
    /** Kills the API server; etcd keeps its state. */
    stopApiServer: () => Promise<void>
    /** Starts it again on the same port, and waits until it is ready. */
    startApiServer: () => Promise<void>
  }

export type ControlPlaneOptions = {
  say?: Say
  signal?: AbortSignal
  /** Further flags of the API server, such as `--feature-gates=…`. */
  apiServerFlags?: readonly string[]
}

/**
 * Starts a control plane in about four seconds; the first time on a machine it is built before (minutes; call
 * `obtain(kubernetes())` from what has no time limit). Disposing leaves nothing behind, nor does the death of this
 * process.
 * @throws Error with the end of the log of what didn't start.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const binaries = await obtain(kubernetes(), options.say, options.signal)
  // Between the choice of a free port and its use somebody else may take it: then anew, with another.
  for (let attemptsLeft = 2; ; attemptsLeft--) {
    try {
      return await attempt(binaries, await freePort(), options)
    } catch (error) {
      if (attemptsLeft === 0 || !(error instanceof PortTaken)) throw error
    }
  }
}

async function attempt(binaries: string, port: number, options: ControlPlaneOptions): Promise<ControlPlane> {
  await using stack = new AsyncDisposableStack()
  const { folder } = stack.use(await openRun())
  const url = `https://127.0.0.1:${port}`
  const credentials = await writeCredentials(folder, url)
  const { caPem, admin, saKey } = credentials
  const plan: Plan = { binaries, folder, port, credentials, withNode: false }
  const core = stack.use(await startCore(plan, {}, options.apiServerFlags ?? []))
  const api = stack.use(openApi({ host: '127.0.0.1', port, caPem, identity: admin }))
  await core.ready(api, options.signal)
  await api.until('/api/v1/namespaces/default/serviceaccounts/default', () => true)
  const adminKubeconfig = kubeconfig(url, caPem, admin)
  const path = join(folder, 'kubeconfig')
  await writeFile(path, adminKubeconfig, { mode: 0o600 })
  const all = stack.move()
  return {
    ...makeHandle({ folder, url, caPem, kubeconfig: path, adminKubeconfig, admin, saKey, binaries }, api),
    stopApiServer: core.stopApiServer,
    startApiServer: () => core.startApiServer(api),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

class PortTaken extends Error {
  override readonly name = 'PortTaken'
}

/** The processes of a control plane. */
export type Core = AsyncDisposable & {
  /** Waits until the API server answers `/readyz`. @throws Error when a process ends instead. */
  ready: (api: Api, signal?: AbortSignal) => Promise<void>
  stopApiServer: () => Promise<void>
  startApiServer: (api: Api) => Promise<void>
}

/** Starts the three processes side by side; they wait for each other. */
export async function startCore(plan: Plan, where: Where, apiServerFlags: readonly string[]): Promise<Core> {
  const { folder } = plan
  const options = { ...where, folder }
  const startApi = (): Promise<Running> => start('kube-apiserver', [...apiServer(plan), ...apiServerFlags], options)
  const database = await start('etcd', etcd(plan), options)
  let server = await startApi()
  const controllers = await start('kube-controller-manager', controllerManager(plan), options)
  const ready = (api: Api, signal?: AbortSignal): Promise<void> => awaitReady(api, [database, server], signal)
  return {
    ready,
    stopApiServer: () => stop(server),
    async startApiServer(api) {
      server = await startApi()
      await ready(api)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([database, server, controllers].map(stop))
    },
  }
}

const readyMsMax = 60_000

async function awaitReady(api: Api, needed: readonly Running[], signal?: AbortSignal): Promise<void> {
  const deadline = performance.now() + readyMsMax
  let last = 'no answer'
  while (performance.now() < deadline) {
    signal?.throwIfAborted()
    for (const one of needed) if (!one.isRunning()) throw ended(one)
    try {
      const { status, body } = await api.request('GET', '/readyz', { timeoutMs: 5000 })
      if (status === 200) return
      last = `${status} ${String(body)}`
    } catch (error) {
      last = String(error)
    }
    await sleep(25)
  }
  const logs = needed.map(one => `${one.name}:\n${tail(one.log)}`).join('\n')
  throw new Error(`the API server is not ready after ${readyMsMax / 1000} s (${last})\n${logs}`)
}

function ended(running: Running): Error {
  const log = tail(running.log)
  const text = `${running.name} ended at its start:\n${log}`
  return log.includes('address already in use') ? new PortTaken(text) : new Error(text)
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

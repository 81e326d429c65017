import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { net } from './layout.ts'
import { bound, children, kill, tail } from './process.ts'
import type { Run } from './run.ts'
import { cgroupRoots } from './sweep.ts'

/** Mount, PID and network namespaces of a node. Disposing kills everything in them and waits until it is gone. */
export type Namespaces = AsyncDisposable & { initPid: number }

// These are empty inside (`node-init.sh`).
const hidden = /^\/(run|var\/lib|var\/log)(\/|$)/

/**
 * Makes the namespaces, and the cgroup that the kubelet asks for. Needs root.
 * @throws Error when this machine or container doesn't allow it.
 */
export async function openNamespaces({ folder, cgroup }: Run): Promise<Namespaces> {
  for (const path of [folder, import.meta.dirname, process.execPath]) {
    if (hidden.test(path))
      throw new Error(`${path} can't be seen by a test node: move it (or TMPDIR) out of /run, /var/lib, /var/log`)
  }
  for (const root of cgroupRoots()) mkdirSync(join(root, cgroup))
  const log = join(folder, 'log', 'init.log')
  const output = openSync(log, 'a', 0o600)
  const unshare = ['unshare', '--mount', '--pid', '--net', '--fork', '--kill-child', '--propagation', 'private']
  const init = ['bash', join(import.meta.dirname, 'node-init.sh'), net.nodeIp, net.serviceCidr]
  const [program = '', ...args] = bound([...unshare, ...init])
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', output], cwd: '/' })
  closeSync(output)
  const exited = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const ready = new Promise<void>(resolve => {
    createInterface({ input: child.stdout as Readable }).once('line', () => resolve())
  })
  const failed = exited.then(() => {
    throw new Error(`the node's namespaces could not be made:\n${tail(log)}`)
  })
  failed.catch(() => undefined)
  await Promise.race([ready, failed])
  // setpriv becomes unshare, and that has one child.
  const [initPid] = children(child.pid ?? -1)
  if (initPid === undefined) throw new Error(`the node's first process is gone:\n${tail(log)}`)
  return {
    initPid,
    async [Symbol.asyncDispose]() {
      // --kill-child: the first process of the PID namespace dies with unshare, and with it all others there. The
      // kernel lets it end only when they have.
      if (child.exitCode === null && child.signalCode === null) kill(initPid)
      await exited
    },
  }
}

/**
 * Clusters for people: `bin/pinned test/cluster/main.ts COMMAND`. Tests call `startControlPlane` and `startCluster`
 * themselves.
 */
import { spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startControlPlane } from './controlplane.ts'
import type { Handle } from './handle.ts'
import { startCluster } from './node.ts'
import { type Kind, prepare } from './prepare.ts'
import { startTime, tail } from './process.ts'

const usage = `usage: bin/pinned test/cluster/main.ts COMMAND [NAME]

  build [api]   build what is missing in the cache; api: only what the control plane needs
  api           start a control plane (etcd, API server, controller manager) in the background; needs Go
  up            start a one-node cluster in the background; needs Go, root and Debian's apt-get
  kubeconfig    print the path of the administrator's kubeconfig
  run           print the run's folder (logs are in log/)
  down          stop what api or up started

NAME (default: default) tells several clusters apart.
`

/** What is known of a cluster in the background; a file below $TMPDIR. */
type State = { pid: number; startTime: string; folder: string; kubeconfig: string; kind: Kind }

const stateFolder = join(tmpdir(), `coffer-up-${process.getuid?.() ?? 0}`)
const stateFile = (name: string): string => join(stateFolder, `${name}.json`)
const logFile = (name: string): string => join(stateFolder, `${name}.log`)

function readState(name: string): State | null {
  if (!existsSync(stateFile(name))) return null
  const state = JSON.parse(readFileSync(stateFile(name), 'utf8')) as State
  return startTime(state.pid) === state.startTime ? state : null
}

function required(name: string): State {
  const state = readState(name)
  if (!state) throw new Error(`no cluster "${name}" is up; start one with: bin/pinned test/cluster/main.ts api ${name}`)
  return state
}

/** Starts the process that holds the cluster, and returns when that is ready. */
async function hold(kind: Kind, name: string): Promise<State> {
  const running = readState(name)
  if (running) throw new Error(`"${name}" is up already (${running.kind}, process ${running.pid}); take it down first`)
  await prepare(kind)
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 })
  rmSync(stateFile(name), { force: true })
  const log = openSync(logFile(name), 'w', 0o600)
  const child = spawn(process.execPath, ['--no-warnings', import.meta.filename, 'hold', name, kind], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const watcher = watch(stateFolder)
  const ended = new Promise<never>((_resolve, reject) => {
    child.once('exit', () => reject(new Error(`"${name}" did not start:\n${tail(logFile(name), 40)}`)))
    child.once('error', reject)
  })
  const written = new Promise<State>(resolve => {
    watcher.on('change', () => {
      const state = readState(name)
      if (state) resolve(state)
    })
  })
  try {
    return await Promise.race([written, ended])
  } finally {
    watcher.close()
    child.removeAllListeners('exit')
    child.unref()
  }
}

/** The background process: holds the cluster until it is told to end. */
async function holder(kind: Kind, name: string): Promise<void> {
  const told = new Promise<void>(resolve => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
  await using cluster: Handle & AsyncDisposable = kind === 'up' ? await startCluster() : await startControlPlane()
  const state: State = {
    pid: process.pid,
    startTime: startTime(process.pid) ?? '',
    folder: cluster.folder,
    kubeconfig: cluster.kubeconfig,
    kind,
  }
  // Written beside and renamed: a reader sees all of it or nothing.
  writeFileSync(`${stateFile(name)}.new`, JSON.stringify(state), { mode: 0o600 })
  renameSync(`${stateFile(name)}.new`, stateFile(name))
  const alive = setInterval(() => undefined, 2 ** 30)
  await told
  clearInterval(alive)
}

async function down(name: string): Promise<void> {
  const state = required(name)
  process.kill(state.pid, 'SIGTERM')
  for (let tries = 0; tries < 300 && startTime(state.pid) === state.startTime; tries++) await sleep(50)
  if (startTime(state.pid) === state.startTime) throw new Error(`process ${state.pid} has not ended after 15 s`)
  rmSync(stateFile(name), { force: true })
}

async function main([command = '', name = 'default', kind]: string[]): Promise<void> {
  const print = (text: string): void => console.log(text)
  switch (command) {
    case 'build':
      await prepare(name === 'api' ? 'api' : 'up')
      return
    case 'api':
    case 'up': {
      const state = await hold(command, name)
      print(
        `export KUBECONFIG=${state.kubeconfig}\n# run folder: ${state.folder}\n# end it: bin/pinned test/cluster/main.ts down ${name}`,
      )
      return
    }
    case 'hold':
      await holder(kind === 'up' ? 'up' : 'api', name)
      return
    case 'kubeconfig':
      print(required(name).kubeconfig)
      return
    case 'run':
      print(required(name).folder)
      return
    case 'down':
      await down(name)
      return
    default:
      process.stderr.write(usage)
      process.exitCode = 2
  }
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`cluster: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

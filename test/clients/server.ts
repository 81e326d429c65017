import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** A server that isn't initialised yet, with a folder and a port of its own. */
export type Server = AsyncDisposable & {
  readonly address: string
  /** Its `audit_directory`, and whatever else a test wants to put somewhere; removed with the server. */
  readonly folder: string
}

/** Starts `coffer server` with SQLite below a temporary folder. @throws Error with what it said when it ends. */
export async function startServer(): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'coffer-clients-'))
  const config = join(folder, 'server.json')
  const settings = {
    listener: { tcp: { address: '127.0.0.1:0', tls_disable: true } },
    storage: { sqlite: { path: join(folder, 'data') } },
    audit_directory: folder,
  }
  writeFileSync(config, JSON.stringify(settings))
  const child = spawn(join(root, 'bin/coffer'), ['server', `-config=${config}`], { stdio: ['ignore', 'pipe', 'pipe'] })
  const dispose = async (): Promise<void> => {
    await end(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const address = await addressOf(child)
    return { address, folder, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    child.stdout?.on('data', chunk => {
      said += String(chunk)
      const address = /Api Address: (\S+)/.exec(said)?.[1]
      if (address !== undefined && said.includes('server started')) resolve(address)
    })
    child.stderr?.on('data', chunk => (said += String(chunk)))
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`the server ended with ${code}: ${said}`)))
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

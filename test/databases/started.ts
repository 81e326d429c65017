import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { missing } from '../../tools/tier.ts'

/** It ends when we do, also when we are killed. */
export const withUs = missing('setpriv') === false ? ['setpriv', '--pdeathsig', 'KILL', '--'] : []

/** A database server of a test's own; its data go with it. */
export type Started = AsyncDisposable & {
  readonly port: number
  readonly folder: string
  /** SIGKILL, as a crash would. */
  kill(): Promise<void>
  /** Starts it again on the same data. */
  start(): Promise<void>
}

export type StartOptions = {
  readonly name: string
  readonly env: Record<string, string>
  /** Makes the data, before the first start. */
  initialise?(folder: string): Promise<void>
  argv(folder: string, port: number): readonly string[]
  /** What it says, on either output, when it takes connections. */
  readonly readyText: string
}

/** @throws Error with what the server said when it doesn't come up */
export async function startServer(options: StartOptions): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), `coffer-${options.name}-`))
  const port = await freePort()
  let child: ChildProcess | null = null
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  const start = async (): Promise<void> => {
    const [program = '', ...args] = [...withUs, ...options.argv(folder, port)]
    child = spawn(program, args, { cwd: folder, env: options.env, stdio: ['ignore', 'pipe', 'pipe'] })
    await said(child, options)
  }
  try {
    await options.initialise?.(folder)
    await start()
  } catch (error) {
    await end('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return {
    port,
    folder,
    kill: () => end('SIGKILL'),
    start,
    async [Symbol.asyncDispose]() {
      await end('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function said(child: ChildProcess, { name, readyText }: StartOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    const onData = (chunk: unknown): void => {
      text = (text + String(chunk)).slice(-65_536)
      if (text.includes(readyText)) resolve()
    }
    child.stdout!.on('data', onData)
    child.stderr!.on('data', onData)
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`${name} ended with ${code}: ${text}`)))
  })
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

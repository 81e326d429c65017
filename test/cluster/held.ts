import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, watch } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Kind } from './prepare.ts'

/** A harness in a process of its own that can be killed; its cluster is below a TMPDIR of its own. */
export type Held = Disposable & { pid: number; folder: string; kubeconfig: string; kill(): Promise<void> }

/** Starts `main.ts hold` and waits until its cluster is up. */
export async function holdInProcess(kind: Kind): Promise<Held> {
  const scratch = mkdtempSync(join(tmpdir(), 'coffer-held-'))
  const states = join(scratch, `coffer-up-${process.getuid?.() ?? 0}`)
  mkdirSync(states)
  const program = [join(import.meta.dirname, 'main.ts'), 'hold', 'held', kind]
  const child = spawn(process.execPath, ['--no-warnings', ...program], {
    env: { ...process.env, TMPDIR: scratch },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const exited = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const watcher = watch(states)
  const state = await new Promise<{ folder: string; kubeconfig: string }>((resolve, reject) => {
    watcher.on('change', (_event, name) => {
      // Renamed into place when it is whole.
      if (name === 'held.json') resolve(JSON.parse(readFileSync(join(states, 'held.json'), 'utf8')))
    })
    child.once('exit', code => reject(new Error(`the harness ended with ${code} before its cluster was up`)))
  }).finally(() => watcher.close())
  return {
    ...state,
    pid: child.pid ?? -1,
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    [Symbol.dispose]() {
      child.kill('SIGKILL')
      rmSync(scratch, { recursive: true, force: true })
    },
  }
}

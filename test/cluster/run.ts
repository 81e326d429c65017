import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, realpath, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cgroupPrefix, owner, runFolderPrefix, sweep } from './sweep.ts'

/** The state of one cluster on disk. Disposing removes it; processes must have ended before. */
export type Run = AsyncDisposable & {
  folder: string
  /** Name of the cgroup that pods run below. It is made by whoever needs it, and removed with the run. */
  cgroup: string
}

/** Makes a run's folder, after removing what dead runs left. */
export async function openRun(): Promise<Run> {
  sweep()
  const folder = await realpath(await mkdtemp(join(tmpdir(), runFolderPrefix)))
  const by = owner()
  const cgroup = `${cgroupPrefix}${by.pid}-${by.startTime}-${folder.slice(-6)}`
  // Others may enter it (a pod's process that runs as another user reads volumes below), but not list it.
  await chmod(folder, 0o711)
  await writeFile(join(folder, 'owner.json'), JSON.stringify(by))
  await mkdir(join(folder, 'log'))
  // In a session of its own: whoever kills our process group must not get the one that cleans up after us.
  const guard = spawn('/bin/sh', [join(import.meta.dirname, 'guard.sh'), folder, cgroup], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
  })
  const code = new Promise<number | null>((resolve, reject) => {
    guard.once('exit', resolve)
    guard.once('error', reject)
  })
  code.catch(() => undefined)
  guard.unref()
  guard.stdin.on('error', () => undefined)
  return {
    folder,
    cgroup,
    async [Symbol.asyncDispose]() {
      guard.ref()
      guard.stdin.end()
      if ((await code) !== 0)
        throw new Error(`cluster: could not remove ${folder} or the cgroup ${cgroup}; still in use?`)
    },
  }
}

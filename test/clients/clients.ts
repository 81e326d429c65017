import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { missing } from '../../tools/tier.ts'
import { plainProgram } from '../cluster/binaries.ts'
import { type Artifact, folderOf, keyOf, obtain, type Say } from '../cluster/cache.ts'
import { capture } from '../cluster/process.ts'

/** A client that we didn't write, and a program of ours that calls a server through it. */
export type Client = {
  /** What is downloaded or built, once: it lies in the cache of `test/cluster`, and anew when a pin changes. */
  readonly artifact: () => Artifact
  /** Why this machine can't make or run it; false when it can. */
  readonly unable: () => string | false
  /** The program, without its arguments. */
  readonly command: (folder: string) => { readonly argv: readonly string[]; readonly env?: Record<string, string> }
}

const at = (...names: string[]): string => join(import.meta.dirname, ...names)
const textOf = (...names: string[]): string => readFileSync(at(...names), 'utf8')
// `capture` ties what it starts to our life.
const needsLinux = (): string | false => (process.platform === 'linux' ? missing('setpriv') : 'needs Linux')

/** `github.com/hashicorp/vault/api`: what the Vault CLI, vault-secrets-operator, external-secrets and others call. */
export const goClient: Client = {
  artifact: () =>
    plainProgram({ name: 'client-go', folder: at('go'), what: 'a Go client (once, a minute)', packages: 330 }),
  unable: () => needsLinux() || (existsSync(folderOf(goClient.artifact())) ? false : missing('go')),
  command: folder => ({ argv: [join(folder, 'client-go')] }),
}

/** hvac, the Python client. */
export const pythonClient: Client = {
  artifact: () => ({
    name: 'client-python',
    key: keyOf([textOf('python', 'requirements.txt')]),
    make(folder, say, signal) {
      const quiet = ['--quiet', '--disable-pip-version-check', '--no-input']
      // Only wheels, and only these: nothing of what is downloaded runs at installation.
      const pinned = [
        '--no-deps',
        '--only-binary=:all:',
        '--require-hashes',
        '--requirement',
        at('python/requirements.txt'),
      ]
      const argv = ['python3', '-m', 'pip', 'install', ...quiet, ...pinned, '--target', folder]
      return install('hvac', say, signal, argv)
    },
  }),
  unable: () => needsLinux() || missing('python3') || oldPython(),
  command: folder => ({
    argv: [python('sys') ?? 'python3', '-B', '-s', at('python/walk.py')],
    env: { PYTHONPATH: folder },
  }),
}

/** node-vault, the client of JavaScript programs. */
export const nodeClient: Client = {
  artifact: () => ({
    name: 'client-javascript',
    key: keyOf([textOf('node', 'package.json'), textOf('node', 'package-lock.json')]),
    async make(folder, say, signal) {
      for (const name of ['package.json', 'package-lock.json']) await copyFile(at('node', name), join(folder, name))
      const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
      await install('node-vault', say, signal, ['npm', 'ci', '--ignore-scripts', ...quiet, '--prefix', folder])
    },
  }),
  unable: needsLinux,
  command: folder => ({
    argv: [process.execPath, '--no-warnings', at('node/walk.cjs')],
    env: { NODE_PATH: join(folder, 'node_modules') },
  }),
}

/** Makes what is missing of the clients that this machine can run. Call it where no time limit runs. */
export async function prepareClients(say?: Say, signal?: AbortSignal): Promise<void> {
  for (const client of [goClient, pythonClient, nodeClient]) {
    if (client.unable() === false) await obtain(client.artifact(), say, signal)
  }
}

async function install(
  what: string,
  say: Say,
  signal: AbortSignal | undefined,
  argv: readonly string[],
): Promise<void> {
  say(`installing ${what} (once, seconds)`)
  const options = { inheritEnv: true, timeoutMs: 10 * 60_000, ...(signal && { signal }) } as const
  const { code, stdout, stderr } = await capture(argv, options)
  if (code !== 0) throw new Error(`installing ${what} failed: ${argv.join(' ')}\n${stderr || stdout}`)
}

/** The pinned packages want 3.10; pip is needed only to install them. */
function oldPython(): string | false {
  const isThere = existsSync(folderOf(pythonClient.artifact()))
  return python(isThere ? 'sys' : 'sys, pip') === null ? 'needs Python 3.10 or later with pip' : false
}

/** The interpreter itself: what is on the PATH may be a version manager's script, which looks into HOME. */
function python(imports: string): string | null {
  const program = `import ${imports}; print(sys.executable); sys.exit(sys.version_info < (3, 10))`
  try {
    return execFileSync('python3', ['-c', program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return null
  }
}

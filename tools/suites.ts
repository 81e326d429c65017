import { globSync } from 'node:fs'
import { prepareClients } from '../test/clients/clients.ts'
import { prepareDebianDatabases } from '../test/databases/debian.ts'
import { preparePostgres } from '../test/databases/postgres.ts'
import { type Kind, prepare, unable as unableTo } from '../test/cluster/prepare.ts'

export type SuiteName = 'unit' | 'isolated' | 'pods' | 'crash'

export type Suite = {
  readonly name: SuiteName
  /** Arguments for `node --test`. */
  readonly flags: readonly string[]
  /** The process group is killed after so long without an event or output, ms. */
  readonly silenceMs: number
  /** Why this machine can't run it, or null. */
  readonly unable: () => string | null
  /** Builds and downloads what the tests need and the cache lacks: minutes at first, and under no test's time limit. */
  readonly prepare: (say: (line: string) => void) => Promise<void>
}

const nobody = (): null => null
const nothing = async (): Promise<void> => undefined
/** The clusters that tests start; nothing where this machine can't, since such tests then say so themselves. */
const cluster = (kind: Kind) => async (say: (line: string) => void) => {
  if (unableTo(kind) === null) await prepare(kind, say)
}
const needsRoot = (): string | null =>
  process.getuid?.() === 0 ? null : 'needs root (starts a kubelet with real pods)'

/** Timeouts of a single test are shorter than the silence, so that a hanging test is named and a hanging process ends. */
export const suites: Readonly<Record<SuiteName, Suite>> = {
  unit: {
    name: 'unit',
    flags: ['--test-isolation=none', '--test-timeout=20000'],
    silenceMs: 30_000,
    unable: nobody,
    prepare: nothing,
  },
  isolated: {
    name: 'isolated',
    flags: ['--test-isolation=process', '--test-force-exit', '--test-concurrency=2', '--test-timeout=120000'],
    silenceMs: 150_000,
    unable: nobody,
    async prepare(say) {
      await cluster('api')(say)
      await prepareClients(say)
      await preparePostgres(say)
      await prepareDebianDatabases(say)
    },
  },
  pods: {
    name: 'pods',
    flags: ['--test-isolation=process', '--test-force-exit', '--test-concurrency=1', '--test-timeout=900000'],
    silenceMs: 960_000,
    unable: needsRoot,
    async prepare(say) {
      await cluster('up')(say)
      await preparePostgres(say)
    },
  },
  crash: {
    name: 'crash',
    flags: ['--test-isolation=process', '--test-force-exit', '--test-concurrency=1', '--test-timeout=300000'],
    silenceMs: 330_000,
    unable: nobody,
    prepare: preparePostgres,
  },
}

export const isSuiteName = (name: string): name is SuiteName => Object.hasOwn(suites, name)

/** Which suite a test file belongs to, by its name; null for what is no test. */
export function suiteOf(path: string): SuiteName | null {
  if (!path.endsWith('.test.ts')) return null
  const marked = /\.(isolated|pods|crash)\.test\.ts$/.exec(path)
  return marked ? (marked[1] as SuiteName) : 'unit'
}

/**
 * Files of a suite, sorted.
 * @param under only paths that begin with one of these; empty means all.
 */
export function filesOf(suite: SuiteName, root: string, under: readonly string[] = []): string[] {
  return globSync('{src,test,tools,bench}/**/*.test.ts', { cwd: root })
    .filter(path => suiteOf(path) === suite && (under.length === 0 || under.some(start => path.startsWith(start))))
    .sort()
}

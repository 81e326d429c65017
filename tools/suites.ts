import { globSync } from 'node:fs'

export type SuiteName = 'unit' | 'isolated' | 'pods' | 'crash'

export type Suite = {
  readonly name: SuiteName
  /** Arguments for `node --test`. */
  readonly flags: readonly string[]
  /** The process group is killed after so long without an event or output, ms. */
  readonly silenceMs: number
  /** Why this machine can't run it, or null. */
  readonly unable: () => string | null
}

const nobody = (): null => null
const needsRoot = (): string | null =>
  process.getuid?.() === 0 ? null : 'needs root (starts a kubelet with real pods)'

/** Timeouts of a single test are shorter than the silence, so that a hanging test is named and a hanging process ends. */
export const suites: Readonly<Record<SuiteName, Suite>> = {
  unit: {
    name: 'unit',
    flags: ['--test-isolation=none', '--test-timeout=20000'],
    silenceMs: 30_000,
    unable: nobody,
  },
  isolated: {
    name: 'isolated',
    flags: ['--test-isolation=process', '--test-force-exit', '--test-concurrency=2', '--test-timeout=120000'],
    silenceMs: 150_000,
    unable: nobody,
  },
  pods: {
    name: 'pods',
    flags: ['--test-isolation=process', '--test-force-exit', '--test-concurrency=1', '--test-timeout=900000'],
    silenceMs: 960_000,
    unable: needsRoot,
  },
  crash: {
    name: 'crash',
    flags: ['--test-isolation=process', '--test-force-exit', '--test-concurrency=1', '--test-timeout=300000'],
    silenceMs: 330_000,
    unable: nobody,
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

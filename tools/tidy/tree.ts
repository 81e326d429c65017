import { globSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { readSource, type Source } from './source.ts'

/** What the rules see: a value, so that their tests need no files. */
export type Tree = {
  readonly sources: ReadonlyMap<string, Source>
  /** `test/ledger/*.tsv`, path → text. */
  readonly ledgers: ReadonlyMap<string, string>
  readonly packageJson: PackageJson
  /** `docs/dependencies.md`; null when it isn't there. */
  readonly dependenciesPage: string | null
}

export type PackageJson = {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export type Finding = { readonly rule: string; readonly path: string; readonly line: number; readonly text: string }

export function readTree(root: string): Tree {
  const read = (path: string): string => readFileSync(join(root, path), 'utf8')
  const sources = new Map<string, Source>()
  for (const path of globSync('{src,test,tools,bench}/**/*.ts', { cwd: root }).sort()) {
    if (!path.includes('node_modules/')) sources.set(path, readSource(path, read(path)))
  }
  const ledgers = new Map(globSync('test/ledger/*.tsv', { cwd: root }).map(path => [path, read(path)]))
  let dependenciesPage: string | null = null
  try {
    dependenciesPage = read('docs/dependencies.md')
  } catch {
    // The rule says that it is missing.
  }
  return { sources, ledgers, packageJson: JSON.parse(read('package.json')) as PackageJson, dependenciesPage }
}

/** The path that an import names, or null for a package. */
export function resolveImport(from: string, specifier: string): string | null {
  if (specifier.startsWith('#')) return `src/${specifier.slice(1)}`
  if (specifier.startsWith('.')) return posix.normalize(posix.join(posix.dirname(from), specifier))
  return null
}

export const isTest = (path: string): boolean => path.endsWith('.test.ts') || path.startsWith('test/')
export const isContract = (path: string): boolean => path.endsWith('.contract.ts')
/** What several tests of a room stand on. */
export const isLab = (path: string): boolean => path.endsWith('.lab.ts')
export const isProduct = (path: string): boolean =>
  path.startsWith('src/') && !isTest(path) && !isContract(path) && !isLab(path)

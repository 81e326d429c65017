import { readFile } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import { parse } from 'yaml'
import { KubeConfigError } from './errors.ts'

/** One of the three lists of a kubeconfig, by name, with where each entry came from. */
export type Entry = {
  /** `cluster "prod" in /home/a/.kube/config`, for messages. */
  readonly label: string
  /** Paths in the entry are relative to this folder. */
  readonly folder: string
  readonly fields: Fields
}

/** Several files merged into one. */
export type MergedKubeconfig = {
  readonly files: readonly string[]
  readonly currentContext: string | null
  readonly clusters: ReadonlyMap<string, Entry>
  readonly users: ReadonlyMap<string, Entry>
  readonly contexts: ReadonlyMap<string, Entry>
}

/** A mapping of the file, read field by field; each error says where the field stands. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>
  readonly #label: string

  constructor(values: unknown, label: string) {
    if (typeof values !== 'object' || values === null || Array.isArray(values)) {
      throw new KubeConfigError(`${label} must be a mapping`)
    }
    this.#values = values as Record<string, unknown>
    this.#label = label
  }

  has(name: string): boolean {
    const value = this.#values[name]
    return value !== undefined && value !== null && value !== ''
  }

  raw(name: string): unknown {
    return this.#values[name]
  }

  /** Null when it is absent, null or empty: kubectl writes `namespace: ""`. */
  text(name: string): string | null {
    const value = this.#values[name]
    if (value === undefined || value === null || value === '') return null
    if (typeof value === 'string') return value
    throw new KubeConfigError(`${this.#label}: ${name} must be a string (put it in quotes)`)
  }

  flag(name: string): boolean {
    const value = this.#values[name]
    if (value === undefined || value === null || value === false) return false
    if (value === true) return true
    throw new KubeConfigError(`${this.#label}: ${name} must be true or false`)
  }

  fields(name: string): Fields | null {
    const value = this.#values[name]
    return value === undefined || value === null ? null : new Fields(value, `${this.#label}: ${name}`)
  }

  list(name: string): readonly unknown[] {
    const value = this.#values[name]
    if (value === undefined || value === null) return []
    if (Array.isArray(value)) return value
    throw new KubeConfigError(`${this.#label}: ${name} must be a list`)
  }

  texts(name: string): readonly string[] {
    return this.list(name).map((value, index) => {
      if (typeof value === 'string') return value
      throw new KubeConfigError(`${this.#label}: ${name}[${index}] must be a string (put it in quotes)`)
    })
  }
}

const fileBytesMax = 8 * 1024 * 1024
const filesMax = 64

/**
 * Reads and merges: the first file that has a cluster, user or context of some name gives it whole, the first that
 * has a current-context gives that.
 * @param isOptional a missing file is skipped (KUBECONFIG, the home folder), else it is an error (`--kubeconfig`).
 * @throws KubeConfigError that names file and field
 * @source client-go tools/clientcmd/loader.go
 */
export async function readKubeconfigs(
  paths: readonly string[],
  options: { isOptional: boolean },
): Promise<MergedKubeconfig> {
  const unique = [...new Set(paths.map(path => resolve(path)))]
  if (unique.length > filesMax) throw new KubeConfigError(`KUBECONFIG names more than ${filesMax} files`)
  const files: string[] = []
  const clusters = new Map<string, Entry>()
  const users = new Map<string, Entry>()
  const contexts = new Map<string, Entry>()
  let currentContext: string | null = null
  for (const path of unique) {
    const text = await readText(path, options.isOptional)
    if (text === null) continue
    files.push(path)
    const file = parseFile(path, text)
    if (file === null) continue
    currentContext ??= file.text('current-context')
    collect(clusters, file, path, 'clusters', 'cluster')
    collect(users, file, path, 'users', 'user')
    collect(contexts, file, path, 'contexts', 'context')
  }
  return { files, currentContext, clusters, users, contexts }
}

/** A path of an entry, made absolute from its file's folder. */
export function pathOf(entry: Pick<Entry, 'folder'>, path: string): string {
  return isAbsolute(path) ? path : resolve(entry.folder, path)
}

async function readText(path: string, isOptional: boolean): Promise<string | null> {
  try {
    const bytes = await readFile(path)
    if (bytes.length > fileBytesMax) {
      throw new KubeConfigError(`kubeconfig ${path} is larger than ${fileBytesMax} bytes`)
    }
    return bytes.toString('utf8')
  } catch (cause) {
    if (cause instanceof KubeConfigError) throw cause
    const code = (cause as NodeJS.ErrnoException).code
    if (isOptional && (code === 'ENOENT' || code === 'ENOTDIR')) return null
    throw new KubeConfigError(`cannot read kubeconfig ${path}: ${(cause as Error).message}`, { cause })
  }
}

function parseFile(path: string, text: string): Fields | null {
  let value: unknown
  try {
    value = parse(text, { merge: true, prettyErrors: false, logLevel: 'error' })
  } catch (cause) {
    throw new KubeConfigError(`kubeconfig ${path} is not YAML or JSON: ${(cause as Error).message}`, { cause })
  }
  if (value === null || value === undefined) return null
  const file = new Fields(value, `kubeconfig ${path}`)
  const version = file.text('apiVersion')
  if (version !== null && version !== 'v1') {
    throw new KubeConfigError(`kubeconfig ${path}: apiVersion is ${JSON.stringify(version)}; only v1 is known`)
  }
  const kind = file.text('kind')
  if (kind !== null && kind !== 'Config') {
    throw new KubeConfigError(`kubeconfig ${path}: kind is ${JSON.stringify(kind)}; a kubeconfig says Config`)
  }
  return file
}

function collect(into: Map<string, Entry>, file: Fields, path: string, list: string, member: string): void {
  const seen = new Set<string>()
  for (const [index, item] of file.list(list).entries()) {
    const outer = new Fields(item, `kubeconfig ${path}: ${list}[${index}]`)
    const name = outer.text('name') ?? ''
    const label = `${member} ${JSON.stringify(name)} in ${path}`
    // Of two entries of one name in one file, the first counts, as between files.
    if (seen.has(name) || into.has(name)) continue
    seen.add(name)
    into.set(name, { label, folder: dirname(path), fields: new Fields(outer.raw(member) ?? {}, label) })
  }
}

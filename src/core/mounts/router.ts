import type { AnyEngine, Row } from '#backend/engine.ts'

/** The row that a path within a mount means, and what its pattern captured. */
export type Match = { readonly row: Row<unknown>; readonly captures: Readonly<Record<string, string>> }

type Pattern = { readonly row: Row<unknown>; readonly expression: RegExp; readonly names: readonly string[] }

const noCaptures: Readonly<Record<string, string>> = {}
// Vault's GenericNameRegex, and the variant that takes an `@`. @source openbao sdk/framework/path.go
const namePattern = '\\w(?:[\\w.-]*\\w)?'
const nameWithAtPattern = '\\w(?:[\\w.@-]*\\w)?'
/** By the last character of a segment; `+`: anything in one segment, serial numbers with colons above all. */
const patterns: Readonly<Record<string, string>> = { '@': nameWithAtPattern, '+': '[^/]+' }

/**
 * Finds rows by path. Literal paths by a look-up; the others are grouped by their first segment and tried in the order
 * of the table.
 */
export class Router {
  readonly #literal = new Map<string, Row<unknown>>()
  readonly #byFirst = new Map<string, Pattern[]>()
  readonly #others: Pattern[] = []

  constructor(rows: readonly Row<unknown>[]) {
    for (const row of rows) {
      if (!/[:*]/.test(row.path)) {
        this.#literal.set(row.path, row)
        continue
      }
      const pattern = compile(row)
      const first = row.path.split('/')[0]!
      if (/^[:*]/.test(first)) this.#others.push(pattern)
      else this.#byFirst.set(first, [...(this.#byFirst.get(first) ?? []), pattern])
    }
  }

  /** @param path below the mount; LIST and SCAN paths end in `/`, which counts as no segment. */
  match(path: string, isListing: boolean): Match | null {
    const bare = isListing && path.endsWith('/') ? path.slice(0, -1) : path
    const literal = this.#literal.get(bare)
    if (literal !== undefined) return { row: literal, captures: noCaptures }
    const slash = path.indexOf('/')
    const first = slash < 0 ? bare : path.slice(0, slash)
    return this.#among(this.#byFirst.get(first), path, bare) ?? this.#among(this.#others, path, bare)
  }

  #among(patterns: readonly Pattern[] | undefined, path: string, bare: string): Match | null {
    if (patterns === undefined) return null
    for (const { row, expression, names } of patterns) {
      // A rest keeps the slash of a listing: it names the folder.
      const found = expression.exec(path) ?? (path === bare ? null : expression.exec(bare))
      if (found === null) continue
      const captures: Record<string, string> = {}
      for (let i = 0; i < names.length; i++)
        captures[names[i]!] = row.foldCase ? found[i + 1]!.toLowerCase() : found[i + 1]!
      return { row, captures }
    }
    return null
  }
}

function compile(row: Row<unknown>): Pattern {
  const names: string[] = []
  const parts = row.path.split('/').map(segment => {
    if (segment.startsWith('*')) {
      names.push(segment.slice(1))
      return '(.*)'
    }
    if (segment.startsWith(':')) {
      const pattern = patterns[segment.at(-1)!]
      names.push(pattern === undefined ? segment.slice(1) : segment.slice(1, -1))
      return `(${pattern ?? namePattern})`
    }
    return segment.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
  })
  return { row, expression: new RegExp(`^${parts.join('/')}$`, 's'), names }
}

const routers = new WeakMap<readonly Row<unknown>[], Router>()

/** One router per engine, whatever the number of its mounts. */
export function routerOf(engine: AnyEngine): Router {
  const known = routers.get(engine.rows)
  if (known) return known
  const made = new Router(engine.rows)
  routers.set(engine.rows, made)
  return made
}

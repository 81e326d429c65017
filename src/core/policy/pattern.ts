import { compareUtf8 } from '#ground/text/compare.ts'

/**
 * How a pattern matches: `exact` text; `prefix`, text before a `*` at the end; `segments`, where a `+` that fills the
 * space between slashes stands for any one segment, and a `*` at the end makes the last segment a prefix. A `*`
 * elsewhere, and a `+` beside other letters, is itself.
 */
export type Pattern =
  | { readonly kind: 'exact'; readonly text: string }
  | { readonly kind: 'prefix'; readonly text: string; readonly rank: Rank }
  | {
      readonly kind: 'segments'
      readonly parts: readonly string[]
      readonly isPrefix: boolean
      /** What stands before the first `+`: a quick test. */
      readonly head: string
      readonly rank: Rank
    }

/** What decides between two patterns that both match and aren't exact; see `compareRanks`. */
export type Rank = {
  readonly firstWildcard: number
  readonly isPrefix: boolean
  readonly wildcards: number
  readonly bytes: number
  readonly text: string
}

/** @source openbao vault/policy/policy.go parsePaths */
export function parsePattern(path: string): Pattern {
  const isPrefix = path.endsWith('*')
  const text = isPrefix ? path.slice(0, -1) : path
  if (path === '+' || path.includes('/+') || path.startsWith('+/')) {
    const parts = text.split('/')
    const wildcards = parts.filter(part => part === '+').length
    const first = path.indexOf('+')
    const rank = { firstWildcard: first, isPrefix, wildcards, bytes: Buffer.byteLength(text), text }
    return { kind: 'segments', parts, isPrefix, head: path.slice(0, first), rank }
  }
  if (!isPrefix) return { kind: 'exact', text }
  const rank = { firstWildcard: text.length, isPrefix, wildcards: 0, bytes: Buffer.byteLength(text), text }
  return { kind: 'prefix', text, rank }
}

/**
 * Above 0 when `a` is the more specific: its first wildcard comes later; it doesn't end in `*`; it has fewer `+`
 * segments; it is longer; it is the greater by bytes.
 * @source openbao vault/policy/acl.go CheckAllowedFromNonExactPaths; Vault docs/concepts/policies
 */
export function compareRanks(a: Rank, b: Rank): number {
  if (a.firstWildcard !== b.firstWildcard) return a.firstWildcard - b.firstWildcard
  if (a.isPrefix !== b.isPrefix) return a.isPrefix ? -1 : 1
  if (a.wildcards !== b.wildcards) return b.wildcards - a.wildcards
  if (a.bytes !== b.bytes) return a.bytes - b.bytes
  return compareUtf8(a.text, b.text)
}

/** Does a path, cut at its slashes, match? */
export function matchesSegments(pattern: Pattern & { kind: 'segments' }, path: readonly string[]): boolean {
  const { parts, isPrefix } = pattern
  if (path.length < parts.length || (!isPrefix && path.length !== parts.length)) return false
  const last = parts.length - 1
  for (let i = 0; i <= last; i++) {
    const part = parts[i]!
    if (part === '+' || part === path[i]) continue
    if (!(isPrefix && i === last && path[i]!.startsWith(part))) return false
  }
  return true
}

/**
 * Could the pattern match something below `mount` (ending in `/`)? For the question whether to show a mount at all.
 * @source openbao vault/policy/acl.go CheckAllowedFromNonExactPaths with bareMount
 */
export function reachesBelow(pattern: Pattern, mount: string): boolean {
  if (pattern.kind === 'exact') return pattern.text.startsWith(mount)
  if (pattern.kind === 'prefix') return pattern.text.startsWith(mount) || mount.startsWith(pattern.text)
  const asked = mount.split('/').slice(0, -1)
  const { parts, isPrefix } = pattern
  for (let i = 0; i < asked.length; i++) {
    const part = parts[i]
    if (part === undefined) return isPrefix
    if (part === '+' || part === asked[i]) continue
    return isPrefix && i === parts.length - 1 && asked[i]!.startsWith(part)
  }
  return parts.length > asked.length
}

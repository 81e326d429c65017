import { jsonBytes } from '#ground/fields/codec.ts'
import type { Codec } from '#backend/storage.ts'

/** A lease-count quota as it is kept. */
export type Rule = {
  readonly name: string
  /** Of the mount, as requests name it, ending in `/`; empty: everything. */
  readonly mount: string
  /** Below the mount: a whole path, or the beginning of one and `*`; empty: all of the mount. */
  readonly suffix: string
  /** Only what is made under this role; empty: under any, or none. */
  readonly role: string
  readonly maxLeases: number
  /** Counts for child namespaces, too. */
  readonly isInheritable: boolean
}

export const ruleCodec: Codec<Rule> = { prefix: 'lease-count/', encode: jsonBytes.encode, decode: jsonBytes.decode }

/** What a rule is asked about: where something with a lease is made, and under which role. */
export type Place = {
  /** null: its mount is gone. */
  readonly mount: string | null
  readonly path: string
  readonly role: string | null
}

/** As clients write and read it. */
export const rulePath = ({ mount, suffix }: Pick<Rule, 'mount' | 'suffix'>): string => mount + suffix

/** The more of these a rule has over another, the more it says; the order is that of the original. */
function rank({ mount, suffix, role }: Rule): readonly number[] {
  const isWhole = suffix !== '' && !suffix.endsWith('*')
  return [role === '' ? 0 : 1, isWhole ? 1 : 0, suffix.length, mount.length]
}

function isBefore(a: Rule, b: Rule): boolean {
  const [of, than] = [rank(a), rank(b)]
  const at = of.findIndex((value, i) => value !== than[i])
  return at >= 0 && of[at]! > than[at]!
}

function covers({ mount, suffix, role }: Rule, place: Place): boolean {
  if (role !== '' && role !== place.role) return false
  if (mount === '') return true
  if (mount !== place.mount) return false
  if (suffix === '') return true
  const rest = place.path.slice(mount.length)
  return suffix.endsWith('*') ? rest.startsWith(suffix.slice(0, -1)) : rest === suffix
}

/**
 * The one rule that counts a place: that of its role before that of its path, its mount, and all.
 * @source hv docs/enterprise/lease-count-quotas: precedence
 */
export function ruleFor(rules: Iterable<Rule>, place: Place): Rule | null {
  let found: Rule | null = null
  for (const rule of rules) {
    if (covers(rule, place) && (found === null || isBefore(rule, found))) found = rule
  }
  return found
}

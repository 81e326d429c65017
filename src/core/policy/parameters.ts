import { matchEndStars } from '#ground/text/glob.ts'
import { isJsonObject, type Json, NumberLiteral } from '#ground/text/json.ts'
import type { Rule } from './merge.ts'
import type { ParameterValues } from './policy.ts'

export type Values = Readonly<Record<string, Json>>
export type ListMatching = 'elements' | 'whole'

/**
 * Which constraint of a rule the parameters of a request break; null when none. Names only, never values: the text is
 * kept for explanations.
 * @source openbao vault/policy/acl.go AllowOperation; Vault docs/concepts/policies for lists (1.21)
 */
export function brokenConstraint(rule: Rule, values: Values, matching: ListMatching): string | null {
  for (const name of rule.required) {
    if (!Object.hasOwn(values, name)) return `the parameter "${name}" is required`
  }
  const names = Object.keys(values)
  if (names.length === 0) return null
  if (rule.denied !== null && rule.denied.size > 0) {
    const broken = deniedParameter(rule.denied, values, names, matching)
    if (broken !== null) return broken
  }
  if (rule.allowed === null || rule.allowed.size === 0) return null
  return unlistedParameter(rule.allowed, values, names, matching)
}

function deniedParameter(
  denied: ParameterValues,
  values: Values,
  names: readonly string[],
  matching: ListMatching,
): string | null {
  if (denied.has('*')) return 'all parameters are denied'
  for (const name of names) {
    const listed = denied.get(name.toLowerCase())
    if (listed === undefined) continue
    const value = values[name]!
    if (listed.length === 0) return `the parameter "${name}" is denied`
    const isHit =
      isListed(value, listed) || (matching === 'elements' && elementsOf(value).some(one => isListed(one, listed)))
    if (isHit) return `the value of the parameter "${name}" is denied`
  }
  return null
}

function unlistedParameter(
  allowed: ParameterValues,
  values: Values,
  names: readonly string[],
  matching: ListMatching,
): string | null {
  const allowsOthers = allowed.has('*')
  if (allowsOthers && allowed.size === 1) return null
  for (const name of names) {
    const listed = allowed.get(name.toLowerCase())
    if (listed === undefined) {
      if (allowsOthers) continue
      return `the parameter "${name}" is not allowed`
    }
    const value = values[name]!
    if (listed.length === 0 || isListed(value, listed)) continue
    const elements = matching === 'elements' ? elementsOf(value) : []
    if (elements.length > 0 && elements.every(one => isListed(one, listed))) continue
    return `the value of the parameter "${name}" is not allowed`
  }
  return null
}

// A list's elements, or those of the text that engines would split into one.
function elementsOf(value: Json): readonly Json[] {
  if (Array.isArray(value)) return value as readonly Json[]
  return typeof value === 'string' && value.includes(',') ? value.split(',').map(part => part.trim()) : []
}

function isListed(value: Json, listed: readonly Json[]): boolean {
  return listed.some(item => {
    if (typeof item === 'string' && typeof value === 'string') return matchEndStars(item, value)
    return equals(item, value)
  })
}

// A number never equals one: upstream compares a literal of the request with a number of the policy, and they are of
// different types there. Administrators write an empty list for numeric parameters.
function equals(a: Json, b: Json): boolean {
  if (a === null || b === null || typeof a === 'string' || typeof a === 'boolean') return a === b
  if (typeof a === 'number' || a instanceof NumberLiteral) return false
  if (Array.isArray(a)) {
    const [x, y] = [a as readonly Json[], b]
    return (
      Array.isArray(y) && x.length === y.length && x.every((element, i) => equals(element, (y as readonly Json[])[i]!))
    )
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every(key => Object.hasOwn(b, key) && equals(a[key]!, b[key]!))
}

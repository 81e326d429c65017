import { parse as parseYaml } from 'yaml'
import type { PolicyRule } from '#kube/objects.ts'

/** Characters; a role of RBAC with hundreds of rules has less. */
const rulesCharactersMax = 64 * 1024

const members: readonly string[] = ['apiGroups', 'resources', 'resourceNames', 'nonResourceURLs', 'verbs']

/** The text is no set of rules. */
export class RulesProblem extends Error {
  override readonly name = 'RulesProblem'
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Rules of a Role from JSON or YAML, `{ rules: […] }`. Stricter than the original, which drops members that it doesn't
 * know: a rule whose `resourceNames` is mistyped would grant every name.
 * @throws RulesProblem which part is wrong
 * @source openbao builtin/logical/kubernetes/client.go makeRules
 */
export function parseRules(text: string): readonly PolicyRule[] {
  if (text.length > rulesCharactersMax) throw new RulesProblem(`it is longer than ${rulesCharactersMax} characters`)
  let parsed: unknown
  try {
    parsed = parseYaml(text, { maxAliasCount: 0 })
  } catch {
    throw new RulesProblem('it is neither JSON nor YAML')
  }
  if (!isObject(parsed)) throw new RulesProblem('it is no object with a member "rules"')
  const { rules, ...others } = parsed
  const [stray] = Object.keys(others)
  if (stray !== undefined) throw new RulesProblem(`it has a member ${JSON.stringify(stray)} beside "rules"`)
  if (rules === undefined || rules === null) return []
  if (!Array.isArray(rules)) throw new RulesProblem('"rules" is no list')
  return rules.map((rule, at) => checkedRule(rule, `rules[${at}]`))
}

function checkedRule(rule: unknown, where: string): PolicyRule {
  if (!isObject(rule)) throw new RulesProblem(`${where} is no object`)
  for (const [name, value] of Object.entries(rule)) {
    if (!members.includes(name)) {
      throw new RulesProblem(`${where} has a member ${JSON.stringify(name)}: it may have ${members.join(', ')}`)
    }
    if (!Array.isArray(value) || !value.every(one => typeof one === 'string')) {
      throw new RulesProblem(`${where}.${name} is no list of texts`)
    }
  }
  return rule as PolicyRule
}

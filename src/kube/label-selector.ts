import { parse as parseYaml } from 'yaml'
import type { Labels, LabelSelector } from './objects.ts'

/** The text is no label selector. */
export class SelectorProblem extends Error {
  override readonly name = 'SelectorProblem'
}

type Requirement = NonNullable<LabelSelector['matchExpressions']>[number]

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * A selector of meta/v1 from JSON or YAML.
 * @throws SelectorProblem which member is wrong
 */
export function parseLabelSelector(text: string): LabelSelector {
  let parsed: unknown
  try {
    parsed = parseYaml(text, { maxAliasCount: 0 })
  } catch {
    throw new SelectorProblem('it is neither JSON nor YAML')
  }
  if (!isObject(parsed)) throw new SelectorProblem('it is no object')
  const { matchLabels, matchExpressions, ...others } = parsed
  const [stray] = Object.keys(others)
  if (stray !== undefined) throw new SelectorProblem(`it has a member ${JSON.stringify(stray)}`)
  return {
    ...(matchLabels != null && { matchLabels: labelsOf(matchLabels) }),
    ...(matchExpressions != null && { matchExpressions: requirementsOf(matchExpressions) }),
  }
}

function labelsOf(value: unknown): Record<string, string> {
  if (!isObject(value) || !Object.values(value).every(one => typeof one === 'string')) {
    throw new SelectorProblem('matchLabels is no object of texts')
  }
  return value as Record<string, string>
}

function requirementsOf(value: unknown): Requirement[] {
  if (!Array.isArray(value)) throw new SelectorProblem('matchExpressions is no list')
  return value.map((one: unknown) => {
    if (!isObject(one) || typeof one['key'] !== 'string') throw new SelectorProblem('an expression has no key')
    const { key, operator, values = [] } = one
    if (!Array.isArray(values) || !values.every(item => typeof item === 'string')) {
      throw new SelectorProblem(`the values of ${key} are no list of texts`)
    }
    // @source apimachinery pkg/apis/meta/v1/helpers.go, LabelSelectorAsSelector, and pkg/labels/selector.go
    switch (operator) {
      case 'In':
      case 'NotIn':
        if (values.length === 0) throw new SelectorProblem(`${operator} of ${key} needs values`)
        break
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0) throw new SelectorProblem(`${operator} of ${key} takes no values`)
        break
      default:
        throw new SelectorProblem(`${JSON.stringify(operator)} is no operator: In, NotIn, Exists, DoesNotExist`)
    }
    return { key, operator, values: values as string[] }
  })
}

/** All of it must hold; an empty selector takes everything. */
export function matchesSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector, labels: Labels): boolean {
  const valueOf = (key: string): string | undefined => (Object.hasOwn(labels, key) ? labels[key] : undefined)
  return (
    Object.entries(matchLabels).every(([key, value]) => valueOf(key) === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = valueOf(key)
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value)
        case 'NotIn':
          return value === undefined || !values.includes(value)
        case 'Exists':
          return value !== undefined
        case 'DoesNotExist':
          return value === undefined
      }
    })
  )
}

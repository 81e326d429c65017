import assert from 'node:assert/strict'

/** What is expected of a value: see `check`. */
export type Expected =
  | string
  | number
  | boolean
  | null
  | RegExp
  | ((value: unknown) => boolean)
  | readonly Expected[]
  | { readonly [member: string]: Expected }

/**
 * Objects may have members that aren't expected, since clients show much that doesn't matter; lists are as long as
 * expected. A pattern is for texts, a function says whether it likes the value; all else must be equal.
 * @throws AssertionError that says where
 */
export function check(actual: unknown, expected: Expected, where = 'detail'): void {
  const said = `${where} is ${JSON.stringify(actual)}`
  if (typeof expected === 'function') assert(expected(actual), said)
  else if (expected instanceof RegExp)
    assert(typeof actual === 'string' && expected.test(actual), `${said}: ${expected}`)
  else if (isList(expected)) {
    assert(Array.isArray(actual) && actual.length === expected.length, `${said}, not ${JSON.stringify(expected)}`)
    for (const [index, one] of expected.entries()) check(actual[index], one, `${where}[${index}]`)
  } else if (typeof expected === 'object' && expected !== null) {
    assert(typeof actual === 'object' && actual !== null, said)
    for (const [member, one] of Object.entries(expected)) {
      assert(Object.hasOwn(actual, member), `${where} has no ${member}: ${JSON.stringify(actual)}`)
      check((actual as Record<string, unknown>)[member], one, `${where}.${member}`)
    }
  } else assert.equal(actual, expected, said)
}

const isList = (expected: Expected): expected is readonly Expected[] => Array.isArray(expected)

/** Any text but the empty one: for what a server makes anew each time. */
export const filled = (value: unknown): boolean => typeof value === 'string' && value !== ''

/** A number of seconds that have begun to pass: a minute less at most. */
export const upTo =
  (seconds: number) =>
  (value: unknown): boolean =>
    typeof value === 'number' && value <= seconds && value > seconds - 60

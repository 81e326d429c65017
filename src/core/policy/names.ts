/** The policy that grants everything; it has no text, and a token that carries it carries no other. */
export const rootPolicyName = 'root'
/** The policy that every token gets unless it asks for none. */
export const defaultPolicyName = 'default'
/** Policies that the server makes for tokens of its own: hidden from lists, not to be written or assigned. */
export const internalPolicyNames: readonly string[] = ['response-wrapping', 'control-group']

export class PolicyNameError extends Error {
  override readonly name = 'PolicyNameError'
}

/**
 * The one form of a policy's name that is compared, stored and assigned: without outer blanks, lower case. It is made
 * before any check for `root`, so that no spelling of it slips through after one (CVE-2025-5999).
 * @throws PolicyNameError when nothing is left, or with control characters, dot segments, or more than 512 characters
 */
export function parsePolicyName(text: string): string {
  const name = normalPolicyName(text)
  if (name === '') throw new PolicyNameError('a policy needs a name')
  if (name.length > 512) throw new PolicyNameError('a policy name has at most 512 characters')
  if (/\p{C}/u.test(name)) throw new PolicyNameError('a policy name has no control characters')
  if (name.split('/').some(part => part === '.' || part === '..')) {
    throw new PolicyNameError('a policy name has no "." or ".." between slashes')
  }
  return name
}

/** As `parsePolicyName`, for names in a list that need not exist: nothing is refused. */
export function normalPolicyName(text: string): string {
  return text.toWellFormed().trim().toLowerCase()
}

/** Is it the root policy, in whatever spelling? */
export function isRootPolicy(name: string): boolean {
  return normalPolicyName(name) === rootPolicyName
}

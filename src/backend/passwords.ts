import type { Entropy } from '#ground/base/entropy.ts'

/** Characters that a password may hold, and how many of them it holds at least. */
export type CharsetRule = { readonly charset: string; readonly charactersMin: number }

/** How passwords are made. @source openbao helper/random/parser.go */
export type PasswordRules = {
  /** In characters, 4 to 100. */
  readonly length: number
  readonly charsets: readonly CharsetRule[]
}

/** What engines get as the service `passwords`: the policies below `sys/policies/password`. */
export type PasswordPolicies = {
  /** @throws Fault when there is no such policy. */
  generate(policy: string): Promise<string>
}

/** Without a policy: letters, digits and `-`, one of each kind at least. @source openbao sdk/helper/random */
export const defaultPasswordRules: PasswordRules = {
  length: 20,
  charsets: [
    { charset: 'abcdefghijklmnopqrstuvwxyz', charactersMin: 1 },
    { charset: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', charactersMin: 1 },
    { charset: '0123456789', charactersMin: 1 },
    { charset: '-', charactersMin: 1 },
  ],
}

/**
 * A password by the rules, which must be possible: the least counts together fit into the length. What is asked for is
 * drawn first, the rest from all charsets, and then all is shuffled: no rule makes it try again without end.
 */
export function generatePassword(entropy: Entropy, { length, charsets }: PasswordRules): string {
  const draw = (from: readonly string[]): string => from[entropy.below(from.length)]!
  const drawn = charsets.flatMap(({ charset, charactersMin }) => {
    const from = Array.from(charset)
    return Array.from({ length: charactersMin }, () => draw(from))
  })
  const all = [...new Set(charsets.flatMap(({ charset }) => Array.from(charset)))]
  while (drawn.length < length) drawn.push(draw(all))
  for (let i = drawn.length - 1; i > 0; i--) {
    const other = entropy.below(i + 1)
    const kept = drawn[i]!
    drawn[i] = drawn[other]!
    drawn[other] = kept
  }
  return drawn.join('')
}

import { HclReader } from '#ground/hcl/decode.ts'
import { parseHcl } from '#ground/hcl/parse.ts'
import { HclError } from '#ground/hcl/tree.ts'
import type { CharsetRule, PasswordRules } from '#backend/passwords.ts'

/** What is wrong with a password policy, for `invalid password policy: …`. */
export class PasswordPolicyError extends Error {
  override readonly name = 'PasswordPolicyError'
}

const lengthMin = 4
const lengthMax = 100
const policyCharactersMax = 16_384
// Go's unicode.IsPrint.
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u

/**
 * Reads `length = 20 rule "charset" { charset = "abc" min-chars = 1 }`.
 * @throws PasswordPolicyError
 * @source openbao helper/random/parser.go, rules.go
 */
export function parsePasswordPolicy(text: string): PasswordRules {
  if (text.length > policyCharactersMax) throw new PasswordPolicyError(`longer than ${policyCharactersMax} characters`)
  try {
    const reader = new HclReader(parseHcl(text))
    const length = reader.integer('length') ?? 0
    const charsets = reader.blocks('rule', 1).map(({ labels, body, at }) => {
      if (labels[0] !== 'charset')
        throw body.error(at, `unrecognized rule type "${labels[0]}": only "charset" is known`)
      return readCharset(body)
    })
    reader.finish()
    return checked({ length, charsets })
  } catch (error) {
    if (error instanceof HclError) throw new PasswordPolicyError(error.message, { cause: error })
    throw error
  }
}

function readCharset(body: HclReader): CharsetRule {
  const charset = body.string('charset') ?? ''
  const charactersMin = body.integer('min-chars') ?? 0
  body.finish()
  if (charset === '') throw new PasswordPolicyError('charset must not be empty')
  if (!printable.test(charset)) throw new PasswordPolicyError('non-printable character in charset')
  if (charactersMin < 0) throw new PasswordPolicyError('min-chars must not be negative')
  return { charset: [...new Set(charset)].join(''), charactersMin }
}

function checked(rules: PasswordRules): PasswordRules {
  const { length, charsets } = rules
  if (length < lengthMin || length > lengthMax)
    throw new PasswordPolicyError(`passwords must be between ${lengthMin} and ${lengthMax} characters`)
  if (charsets.length === 0) throw new PasswordPolicyError('at least one rule "charset" is needed')
  const needed = charsets.reduce((sum, { charactersMin }) => sum + charactersMin, 0)
  if (needed > length)
    throw new PasswordPolicyError(`the rules ask for ${needed} characters, the password has ${length}`)
  return rules
}

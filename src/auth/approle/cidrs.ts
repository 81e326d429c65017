import { cidrContains, cidrCovers, CidrError, parseCidr } from '#ground/text/cidr.ts'
import { goQuote } from '#ground/text/quote.ts'
import { fault } from '#protocol/fault.ts'

const isBlock = (text: string): boolean => {
  try {
    parseCidr(text)
    return text.includes('/')
  } catch (error) {
    if (error instanceof CidrError) return false
    throw error
  }
}

/** Blocks with their length, as the original wants them: a bare address is none. */
export function requireBlocks(blocks: readonly string[], refusal: string): void {
  if (!blocks.every(isBlock)) throw fault('request.invalid', refusal)
}

/** Does one of the blocks hold the address? Without blocks every address is in. */
export const holdsAddress = (blocks: readonly string[], address: string): boolean =>
  blocks.length === 0 || blocks.some(block => cidrContains(parseCidr(block), address))

const shown = (blocks: readonly string[]): string => `[${blocks.map(block => goQuote(block)).join(' ')}]`

/**
 * A secret id may narrow its role, not widen it. Vault's bare error, which is a 500.
 * @source openbao builtin/credential/approle/validation.go verifyCIDRRoleSecretIDSubset
 */
export function subsetProblem(ofRole: readonly string[], ofSecretId: readonly string[]): string | null {
  if (ofRole.length === 0) return null
  const outer = ofRole.map(parseCidr)
  if (ofSecretId.every(block => outer.some(one => cidrCovers(one, parseCidr(block))))) return null
  return `failed to verify subset relationship between CIDR blocks on the role ${shown(ofRole)} and CIDR blocks on the secret ID ${shown(ofSecretId)}: %!w(<nil>)`
}

import { type Json, NumberLiteral } from '#ground/text/json.ts'
import type { Rule } from './merge.ts'

/** What becomes of the `limit` of a list: refused with a reason, replaced, or (null) left as it is. */
export type PageLimit = { readonly broken: string } | { readonly limit: number | null }

/**
 * Holds the `limit` parameter of a list or scan against the rule's `pagination_limit`.
 * @param sent undefined when the request has no `limit`
 * @source openbao vault/policy/acl.go AllowOperation
 */
export function pageLimit(rule: Rule, sent: Json | undefined): PageLimit {
  const most = rule.paginationLimit
  if (most <= 0) return { limit: sent === 'max' ? 0 : null }
  if (sent === undefined) {
    return rule.required.includes('limit') ? { broken: 'the parameter "limit" is required' } : { limit: most }
  }
  if (sent === 'max') return { limit: most }
  const text = typeof sent === 'string' || typeof sent === 'number' || sent instanceof NumberLiteral ? String(sent) : ''
  if (!/^[+-]?\d{1,15}$/.test(text)) return { broken: 'the parameter "limit" must be a whole number or "max"' }
  const asked = Number(text)
  if (asked < 0 || asked > most) return { broken: `the parameter "limit" must be from 1 to ${most}` }
  return { limit: asked === 0 ? most : null }
}

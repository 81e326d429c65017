import { type Seconds, seconds } from '#ground/base/clock.ts'
import type { Input } from '#ground/fields/field.ts'
import { bool, commaList, durationSeconds, int, text } from '#ground/fields/kit.ts'
import { CidrError, parseCidr } from '#ground/text/cidr.ts'
import type { Json } from '#ground/text/json.ts'
import { fault } from '#protocol/fault.ts'
import type { TokenParameters, TokenType } from './login.ts'

/**
 * The fields that every role-like object takes for its tokens, with their old names. One definition for all methods.
 * @source openbao sdk/helper/tokenutil
 */
export const tokenFields = {
  token_policies: commaList({ description: 'Policies of the tokens.' }),
  token_ttl: durationSeconds({ description: 'How long a token lives first; 0 = as the mount says.' }),
  token_max_ttl: durationSeconds({ description: 'How long it lives at most; 0 = as the mount says.' }),
  token_explicit_max_ttl: durationSeconds({ description: 'An end that no renewal passes, periodic ones included.' }),
  token_period: durationSeconds({ description: 'Periodic tokens: each renewal gives this long again.' }),
  token_num_uses: int({ description: 'Requests a token is good for; 0 = without limit.' }),
  token_no_default_policy: bool({ description: 'Leave the default policy out.' }),
  token_bound_cidrs: commaList({ description: 'Addresses that may log in and use the token.' }),
  token_type: text({ description: 'default, service or batch; default: as the mount says.' }),
  policies: commaList({ description: 'Old name of token_policies.', isDeprecated: true }),
  ttl: durationSeconds({ description: 'Old name of token_ttl.', isDeprecated: true }),
  max_ttl: durationSeconds({ description: 'Old name of token_max_ttl.', isDeprecated: true }),
  period: durationSeconds({ description: 'Old name of token_period.', isDeprecated: true }),
  num_uses: int({ description: 'Old name of token_num_uses.', isDeprecated: true }),
  bound_cidrs: commaList({ description: 'Old name of token_bound_cidrs.', isDeprecated: true }),
} as const

export type TokenInput = Input<typeof tokenFields>

/** What a request gives that sends none of them: for paths that take only some. */
export const noTokenInput = Object.fromEntries(
  Object.entries(tokenFields).map(([name, field]) => [name, field.fallback]),
) as TokenInput

const oldNames = {
  token_policies: 'policies',
  token_ttl: 'ttl',
  token_max_ttl: 'max_ttl',
  token_period: 'period',
  token_num_uses: 'num_uses',
  token_bound_cidrs: 'bound_cidrs',
} as const

/** Parameters, and which old names were the ones set: reads echo those. */
export type StoredParameters = { readonly parameters: TokenParameters; readonly oldNames: readonly string[] }

export const noParameters: StoredParameters = {
  parameters: {
    policies: [],
    ttl: seconds(0),
    maxTtl: seconds(0),
    explicitMaxTtl: seconds(0),
    period: seconds(0),
    numUses: 0,
    noDefaultPolicy: false,
    boundCidrs: [],
    type: 'default',
  },
  oldNames: [],
}

/**
 * Applies what was sent to what is kept.
 * @throws Fault with Vault's texts when the result can't be.
 */
export function applyTokenInput(now: StoredParameters, input: TokenInput, sent: ReadonlySet<string>): StoredParameters {
  const aliases = new Set(now.oldNames)
  const pick = <T>(name: keyof typeof oldNames, kept: T): T => {
    const old = oldNames[name]
    // Of both, the new name's value counts and both are shown.
    if (sent.has(old)) aliases.add(old)
    else if (sent.has(name)) aliases.delete(old)
    if (sent.has(name)) return input[name] as T
    return sent.has(old) ? (input[old] as T) : kept
  }
  const before = now.parameters
  const parameters: TokenParameters = {
    policies: policyNames(pick('token_policies', before.policies)),
    ttl: pick('token_ttl', before.ttl),
    maxTtl: pick('token_max_ttl', before.maxTtl),
    explicitMaxTtl: sent.has('token_explicit_max_ttl') ? input.token_explicit_max_ttl : before.explicitMaxTtl,
    period: pick('token_period', before.period),
    numUses: pick('token_num_uses', before.numUses),
    noDefaultPolicy: sent.has('token_no_default_policy') ? input.token_no_default_policy : before.noDefaultPolicy,
    boundCidrs: pick('token_bound_cidrs', before.boundCidrs).map(wholeCidr),
    type: sent.has('token_type') ? readType(input.token_type) : before.type,
  }
  check(parameters)
  return { parameters, oldNames: [...aliases] }
}

const policyNames = (names: readonly string[]): readonly string[] =>
  [...new Set(names.map(name => name.trim().toLowerCase()).filter(name => name !== ''))].sort()

function wholeCidr(text: string): string {
  try {
    const { bits } = parseCidr(text)
    return text.includes('/') ? text : `${text}/${bits}`
  } catch (error) {
    if (error instanceof CidrError) throw fault('request.invalid', `token_bound_cidrs: ${error.message}`)
    throw error
  }
}

const types: readonly string[] = ['default', 'service', 'batch', 'default-service', 'default-batch']

function readType(value: string): TokenType {
  if (value === '') return 'default'
  if (types.includes(value)) return value as TokenType
  throw fault('request.invalid', `invalid 'token_type' value "${value}"`)
}

function check({ type, period, numUses, ttl, maxTtl }: TokenParameters): void {
  const refuse = (text: string): never => {
    throw fault('request.invalid', text)
  }
  if (maxTtl > 0 && ttl > maxTtl) refuse("'token_ttl' cannot be greater than 'token_max_ttl'")
  if (type === 'batch' || type === 'default-batch') {
    const batch = "'token_type' cannot be 'batch' or 'default_batch' when set to generate"
    if (period > 0) refuse(`${batch} periodic tokens`)
    if (numUses !== 0) refuse(`${batch} tokens with limited use count`)
  }
  if (numUses < 0) refuse("'token_num_uses' cannot be negative")
}

/** All of them, for reads: seconds as integers, empty lists as `[]`, old names where they were the ones set. */
export function showTokenParameters({ parameters, oldNames: aliases }: StoredParameters): {
  readonly [name: string]: Json
} {
  const shown = {
    token_bound_cidrs: parameters.boundCidrs,
    token_explicit_max_ttl: parameters.explicitMaxTtl as Seconds,
    token_max_ttl: parameters.maxTtl,
    token_no_default_policy: parameters.noDefaultPolicy,
    token_num_uses: parameters.numUses,
    token_period: parameters.period,
    token_policies: parameters.policies,
    token_ttl: parameters.ttl,
    token_type: parameters.type,
  }
  const old: Record<string, Json> = {}
  for (const [name, alias] of Object.entries(oldNames)) {
    const value = shown[name as keyof typeof shown]
    const isSet = Array.isArray(value) ? value.length > 0 : value !== 0
    if (isSet && aliases.includes(alias)) old[alias] = value
  }
  return { ...shown, ...old }
}

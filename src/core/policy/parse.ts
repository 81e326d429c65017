import { instant, type Instant } from '#ground/base/clock.ts'
import { Base64Error, decodeBase64 } from '#ground/text/base64.ts'
import { type Json, NumberLiteral } from '#ground/text/json.ts'
import { nearestWord } from '#ground/text/nearest.ts'
import { goQuote } from '#ground/text/quote.ts'
import { parseRfc3339 } from '#ground/text/time.ts'
import { type HclBlock, HclReader } from '#ground/hcl/decode.ts'
import { parseHcl } from '#ground/hcl/parse.ts'
import { HclError, type HclValue } from '#ground/hcl/tree.ts'
import { type Capability, capabilities as capabilityWords, type ControlGroup } from '#protocol/verdict.ts'
import { bits } from './capability.ts'
import { type ParameterValues, type ParsedPolicy, type PathRule, PolicyError } from './policy.ts'
import { templateFault } from './template.ts'

/**
 * What a client may send as a policy: HCL, JSON, or base64 of either (the UI and old scripts do). HCL holds braces and
 * blanks, so it is never valid base64.
 */
export function policyText(sent: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(decodeBase64(sent))
  } catch (error) {
    if (error instanceof Base64Error || error instanceof TypeError) return sent
    throw error
  }
}

const prefix = 'failed to parse policy: '

/**
 * Reads a policy's text; knows the keys of both Vault and OpenBao.
 * @throws PolicyError naming line, path and key
 * @source openbao vault/policy/policy.go ParseACLPolicy; Vault docs/concepts/policies
 */
export function parsePolicy(text: string): ParsedPolicy {
  try {
    const reader = new HclReader(parseHcl(text))
    reader.string('name')
    const rules = reader.blocks('path', 1).map(readRule)
    reader.finish()
    return { rules, isTemplated: rules.some(rule => rule.isTemplated) }
  } catch (error) {
    if (error instanceof HclError || error instanceof PolicyError) {
      throw new PolicyError(`${prefix}${error.message}`, { cause: error })
    }
    throw error
  }
}

function readRule({ labels, body, at }: HclBlock): PathRule {
  const [written = ''] = labels
  const pattern = written.startsWith('/') ? written.slice(1) : written
  const title = `path ${goQuote(written)}`
  const fault = templateFault(pattern)
  if (fault !== null) throw body.error(at, `failed to validate policy templating: ${fault}`)
  if (pattern.includes('+*')) throw new PolicyError(`${title}: invalid use of wildcards ('+*' is forbidden)`)
  const { minWrapTtl, maxWrapTtl } = wrapBounds(body, title)
  const keysFilter = body.string('list_scan_response_keys_filter_path') || null
  const paginationLimit = body.integer('pagination_limit') ?? 0
  const expiry = body.value('expiration')
  body.ignore('comment')
  const rule: PathRule = {
    pattern,
    isTemplated: pattern.includes('{{'),
    capabilities: readCapabilities(body, title),
    allowed: readParameters(body, 'allowed_parameters'),
    denied: readParameters(body, 'denied_parameters'),
    required: (body.strings('required_parameters') ?? []).map(name => name.toLowerCase()),
    minWrapTtl,
    maxWrapTtl,
    paginationLimit,
    expiresAt: expiry === null ? null : absoluteTime(expiry, title),
    mfaMethods: body.strings('mfa_methods') ?? [],
    controlGroup: readControlGroup(body),
    keysFilter,
    subscribeEventTypes: body.strings('subscribe_event_types') ?? [],
  }
  if (keysFilter !== null && (rule.capabilities & (bits.list | bits.scan)) === 0) {
    throw new PolicyError('list_scan_response_keys_filter_path needs to be used on a path with the list capability')
  }
  body.finish()
  return rule
}

const legacy: Readonly<Record<string, readonly Capability[]>> = {
  deny: ['deny'],
  read: ['read', 'list'],
  write: ['create', 'read', 'update', 'delete', 'list'],
  sudo: ['create', 'read', 'update', 'delete', 'list', 'sudo'],
}

function readCapabilities(body: HclReader, title: string): number {
  const old = body.string('policy')
  const words = body.strings('capabilities') ?? []
  let set = 0
  if (old !== null && old !== '') {
    const stands = Object.hasOwn(legacy, old) ? legacy[old] : undefined
    if (stands === undefined) throw new PolicyError(`${title}: invalid policy ${goQuote(old)}`)
    for (const word of stands) set |= bits[word]
  }
  for (const word of words) {
    if (!(capabilityWords as readonly string[]).includes(word)) {
      const near = nearestWord(word, capabilityWords)
      const hint = near === null ? '' : `, did you mean ${goQuote(near)}?`
      throw new PolicyError(`${title}: invalid capability ${goQuote(word)}${hint}`)
    }
    set |= bits[word as Capability]
  }
  return (set & bits.deny) === 0 ? set : bits.deny
}

function wrapBounds(body: HclReader, title: string): { minWrapTtl: number; maxWrapTtl: number } {
  const minWrapTtl = body.duration('min_wrapping_ttl') ?? 0
  const maxWrapTtl = body.duration('max_wrapping_ttl') ?? 0
  if (minWrapTtl < 0 || maxWrapTtl < 0) throw new PolicyError(`${title}: a wrapping TTL can't be negative`)
  if (minWrapTtl !== 0 && maxWrapTtl !== 0 && maxWrapTtl < minWrapTtl) {
    throw new PolicyError('max_wrapping_ttl cannot be less than min_wrapping_ttl')
  }
  return { minWrapTtl, maxWrapTtl }
}

function readParameters(body: HclReader, name: string): ParameterValues | null {
  const entries = body.entries(name)
  if (entries === null) return null
  const parameters = new Map<string, readonly Json[]>()
  for (const item of entries) {
    if (item.value.kind !== 'list')
      throw body.error(item.value.at, `${name}: ${goQuote(item.name)} must be a list of values`)
    const key = item.name.toLowerCase()
    const before = parameters.get(key)
    const values = item.value.values.map(plainValue)
    // Two spellings of one name: what either lists is listed, and any value stays any value.
    const isAny = values.length === 0 || before?.length === 0
    parameters.set(key, before === undefined ? values : isAny ? [] : [...before, ...values])
  }
  return parameters
}

function plainValue(value: HclValue): Json {
  switch (value.kind) {
    case 'string':
    case 'bool':
      return value.value
    case 'null':
      return null
    case 'number':
      return new NumberLiteral(value.text)
    case 'list':
      return value.values.map(plainValue)
    case 'object':
      break
  }
  return Object.fromEntries(value.items.map(item => [item.name, plainValue(item.value)]))
}

function absoluteTime(value: HclValue, title: string): Instant {
  const text = value.kind === 'string' ? value.value : value.kind === 'number' ? value.text : ''
  const ms = /^\d{1,12}$/.test(text) ? Number(text) * 1000 : parseRfc3339(text)
  if (ms === null) {
    throw new PolicyError(
      `${title}: invalid expiration time: want RFC 3339, such as 2027-01-31T00:00:00Z, or seconds since 1970`,
    )
  }
  return instant(ms)
}

function readControlGroup(body: HclReader): ControlGroup | null {
  const group = body.block('control_group')?.body
  if (group === undefined) return null
  const ttlSeconds = group.duration('ttl') ?? 0
  group.duration('max_ttl')
  const isSelfAuthorizationAllowed = group.bool('self_auth_allowed') ?? false
  const factors = group.blocks('factor', 1).map(factor => {
    const identity = factor.body.block('identity')?.body
    const read = {
      name: factor.labels[0]!,
      groupNames: identity?.strings('group_names') ?? [],
      groupIds: identity?.strings('group_ids') ?? [],
      approvals: identity?.integer('approvals') ?? 0,
      controlledCapabilities: factor.body.strings('controlled_capabilities') ?? [],
    }
    identity?.finish()
    factor.body.finish()
    return read
  })
  group.finish()
  return { ttlSeconds, isSelfAuthorizationAllowed, factors }
}

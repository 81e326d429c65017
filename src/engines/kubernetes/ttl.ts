import { type Seconds, seconds } from '#ground/base/clock.ts'
import { formatGoDuration } from '#ground/text/duration.ts'

type TtlAsk = {
  /** 0 = not said. */
  readonly asked: Seconds
  readonly role: { readonly defaultTtl: Seconds; readonly maxTtl: Seconds }
  readonly mountDefault: Seconds
  readonly mountMax: Seconds
}

type TtlDecision = { readonly ttl: Seconds; readonly warnings: readonly string[] }

/**
 * How long the token is to live. Bounded here as the lease will be, so that token and lease end together.
 * @source openbao builtin/logical/kubernetes/path_creds.go createCreds
 */
export function decideTtl({ asked, role, mountDefault, mountMax }: TtlAsk): TtlDecision {
  const warnings: string[] = []
  let ttl = asked || role.defaultTtl || mountDefault
  const cap = (most: Seconds, what: string): void => {
    if (ttl <= most) return
    warnings.push(
      `ttl of ${formatGoDuration(ttl)} is greater than ${what} ${formatGoDuration(most)}; capping accordingly`,
    )
    ttl = most
  }
  if (role.maxTtl > 0) cap(role.maxTtl, "the role's token_max_ttl of")
  cap(mountMax, "Vault's max lease ttl")
  return { ttl, warnings }
}

/**
 * Whole seconds from a token's `iat` to its `exp`; null when it tells none. The API server made it: nothing is
 * verified.
 */
export function tokenTtl(token: string): Seconds | null {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    const { exp, iat } = claims as { exp?: unknown; iat?: unknown }
    return typeof exp === 'number' && typeof iat === 'number' ? seconds(exp - iat) : null
  } catch {
    return null
  }
}

/** The lease follows a token that ends earlier; one that ends later is told of. The texts are Vault's as they are. */
export function judgeTokenTtl(token: Seconds, lease: Seconds): TtlDecision {
  const [has, wanted] = [formatGoDuration(token), formatGoDuration(lease)]
  const begin = `the created Kubernetes service accout token TTL ${has} is`
  if (token > lease) return { ttl: lease, warnings: [`${begin} greater than the Vault lease TTL ${wanted}`] }
  if (token === lease) return { ttl: lease, warnings: [] }
  return {
    ttl: token,
    warnings: [`${begin} less than the Vault lease TTL ${wanted}; capping the lease TTL accordingly`],
  }
}

import { type Instant, type Seconds, seconds } from '#ground/base/clock.ts'
import { formatCompactDuration } from '#ground/text/duration.ts'

export type TtlAsk = {
  /** What the caller asked for; 0 = nothing. */
  readonly increment: Seconds
  /** The role's or method's own; 0 = none. */
  readonly backendTtl: Seconds
  readonly backendMaxTtl: Seconds
  readonly period: Seconds
  readonly explicitMaxTtl: Seconds
  readonly mountDefaultTtl: Seconds
  readonly mountMaxTtl: Seconds
  readonly issuedAt: Instant
  readonly now: Instant
}

export type TtlGrant =
  | { readonly kind: 'granted'; readonly ttl: Seconds; readonly warnings: readonly string[] }
  /** The bound has passed already. */
  | { readonly kind: 'past' }

/** 0 bounds nothing. */
export const least = (...values: readonly Seconds[]): Seconds =>
  values.reduce((low, value) => (value > 0 && (low === 0 || value < low) ? value : low), seconds(0))

/**
 * How long a token or lease lives from now, in whole seconds.
 *
 * A period is bounded by the mount's maximum each time and by the explicit maximum from the issue time on; any other
 * TTL by issue time plus the least of the maxima. @source openbao sdk/framework/lease.go CalculateTTL
 */
export function calculateTtl(ask: TtlAsk): TtlGrant {
  const warnings: string[] = []
  const max = least(ask.mountMaxTtl, ask.backendMaxTtl, ask.explicitMaxTtl)
  let ttl: Seconds
  let bound: number
  if (ask.period > 0) {
    const periodMax = least(ask.mountMaxTtl, ask.backendMaxTtl)
    ttl = ask.period
    if (periodMax > 0 && ttl > periodMax) {
      warnings.push(exceeded('period', ttl, periodMax))
      ttl = periodMax
    }
    bound = ask.explicitMaxTtl > 0 ? ask.issuedAt + ask.explicitMaxTtl * 1000 : Number.POSITIVE_INFINITY
  } else {
    ttl = ask.increment || ask.backendTtl || ask.mountDefaultTtl
    bound = max > 0 ? ask.issuedAt + max * 1000 : Number.POSITIVE_INFINITY
  }
  const left = seconds(Math.floor((bound - ask.now) / 1000 + 1e-9))
  if (bound !== Number.POSITIVE_INFINITY && left <= 0) return { kind: 'past' }
  if (ttl > left) {
    warnings.push(exceeded('TTL', ttl, max))
    ttl = left
  }
  return { kind: 'granted', ttl, warnings }
}

/** A TTL that is only shown, since nothing ends with it: within the mount's maximum. */
export function bounded(
  ttl: Seconds,
  { maxTtl }: { readonly maxTtl: Seconds },
): { readonly ttl: Seconds; readonly warnings: readonly string[] } {
  return ttl > maxTtl ? { ttl: maxTtl, warnings: [exceeded('TTL', ttl, maxTtl)] } : { ttl, warnings: [] }
}

function exceeded(what: 'TTL' | 'period', asked: Seconds, max: Seconds): string {
  const compact = formatCompactDuration
  return `${what} of "${compact(asked)}" exceeded the effective max_ttl of "${compact(max)}"; ${what} value is capped accordingly`
}

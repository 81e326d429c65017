import type { Clock } from '#ground/base/clock.ts'
import type { Entropy } from '#ground/base/entropy.ts'
import { backoffMs } from '#ground/base/retry.ts'

/** What a server said of a token or a lease. */
export type Lifetime = {
  /** Seconds from now; 0 means that it never expires. */
  readonly ttlSeconds: number
  readonly isRenewable: boolean
}

/**
 * Why a watch ended.
 * - `near-expiry`: what is left is within the grace; get a new one now, the old one still works for that long.
 * - `gone`: the server doesn't know it any more; get a new one, the old one works nowhere.
 * - `failed`: a renewal failed and `onError` is `end`.
 * - `stopped`: the signal was aborted.
 */
export type LifetimeEnd =
  | { readonly kind: 'near-expiry'; readonly remainingMs: number; readonly lastError: unknown }
  | { readonly kind: 'gone'; readonly error: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'stopped' }

export type LifetimeOptions = {
  readonly lifetime: Lifetime
  /** When it was granted, ms since 1970; default now. */
  readonly grantedAtMs?: number
  /** Asks the server for more. Its answer is what was granted, which may be less than asked. */
  readonly renew: (incrementSeconds: number, signal: AbortSignal) => Promise<Lifetime>
  /** Seconds to ask for; 0 leaves it to the server (a small number shortens a lease). */
  readonly incrementSeconds?: number
  /** `ignore` tries again until the grace (tokens); `end` gives the error back (leases in templates). Default `ignore`. */
  readonly onError?: 'ignore' | 'end'
  /** Is it lost for good? Then waiting for its expiry helps nobody. */
  readonly isGone?: (error: unknown) => boolean
  readonly onRenewed?: (lifetime: Lifetime) => void
  readonly onRetry?: (error: unknown, waitMs: number) => void
  readonly signal: AbortSignal
}

const firstRetryMs = 10_000
const longestRetryMs = 300_000
// A server that answers a renewal with a lease of a second would otherwise be asked again at once, for ever.
const shortestWaitMs = 500

/**
 * Part of a lease that must be left, ms: 10 to 20 %, by chance, so that a thousand pods started together don't come back
 * together.
 * @source OpenBao api/lifetime_watcher.go calculateGrace
 */
export function graceMs(entropy: Entropy, leaseMs: number, incrementMs: number): number {
  const shorter = incrementMs > 0 && incrementMs < leaseMs ? incrementMs : leaseMs
  return shorter <= 0 ? 0 : 0.1 * shorter * (1 + entropy.fraction())
}

/** Two thirds of what remains plus a third of the grace, ms. */
export function renewalDelayMs(remainingMs: number, grace: number): number {
  return (remainingMs * 2) / 3 + grace / 3
}

/**
 * Keeps a token or lease alive: renews at once, then sleeps and renews, until what remains can't grow any more. One
 * that isn't renewable is only watched. Never throws; the end says what to do next.
 * @source OpenBao api/lifetime_watcher.go, with its back-off after errors made real (vault issues 20645, 26382)
 */
export async function keepAlive(
  world: { readonly clock: Clock; readonly entropy: Entropy },
  options: LifetimeOptions,
): Promise<LifetimeEnd> {
  const { clock, entropy } = world
  const incrementMs = (options.incrementSeconds ?? 0) * 1000
  let { ttlSeconds, isRenewable } = options.lifetime
  if (ttlSeconds <= 0) return untilStopped(options.signal)

  let expiresAtMs = (options.grantedAtMs ?? clock.now()) + ttlSeconds * 1000
  let priorMs = ttlSeconds * 1000
  let grace = graceMs(entropy, priorMs, incrementMs)
  let failures = 0
  let lastError: unknown = null

  for (;;) {
    if (options.signal.aborted) return { kind: 'stopped' }
    if (isRenewable) {
      const outcome = await tryRenewal(options)
      if (options.signal.aborted) return { kind: 'stopped' }
      if (outcome.ok) {
        ;({ ttlSeconds, isRenewable } = outcome.lifetime)
        if (ttlSeconds <= 0) return untilStopped(options.signal)
        expiresAtMs = clock.now() + ttlSeconds * 1000
        failures = 0
        lastError = null
      } else {
        if (options.isGone?.(outcome.error)) return { kind: 'gone', error: outcome.error }
        if (options.onError === 'end') return { kind: 'failed', error: outcome.error }
        failures++
        lastError = outcome.error
      }
    }
    const remainingMs = expiresAtMs - clock.now()
    // The grace is drawn anew only while the lease grows; once it stops growing, the old one ends the watch.
    if (failures === 0 && remainingMs > priorMs) grace = graceMs(entropy, remainingMs, incrementMs)
    const waitMs =
      failures > 0 ? retryWaitMs(entropy, failures, remainingMs - grace) : renewalDelayMs(remainingMs, grace)
    if (failures === 0) priorMs = remainingMs
    if (remainingMs <= grace || (failures === 0 && remainingMs - waitMs <= grace)) {
      return { kind: 'near-expiry', remainingMs: Math.max(0, remainingMs), lastError }
    }
    if (failures > 0) options.onRetry?.(lastError, waitMs)
    if (!(await slept(clock, Math.max(waitMs, shortestWaitMs), options.signal))) return { kind: 'stopped' }
  }
}

type Outcome = { readonly ok: true; readonly lifetime: Lifetime } | { readonly ok: false; readonly error: unknown }

async function tryRenewal(options: LifetimeOptions): Promise<Outcome> {
  try {
    const lifetime = await options.renew(options.incrementSeconds ?? 0, options.signal)
    options.onRenewed?.(lifetime)
    return { ok: true, lifetime }
  } catch (error) {
    return { ok: false, error }
  }
}

function retryWaitMs(entropy: Entropy, failures: number, leftMs: number): number {
  const waitMs = backoffMs({ waitMs: firstRetryMs, waitMsMax: longestRetryMs }, failures) * (0.5 + entropy.fraction())
  return Math.min(waitMs, Math.max(leftMs, 0))
}

async function slept(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(ms, signal)
    return true
  } catch {
    return false
  }
}

function untilStopped(signal: AbortSignal): Promise<LifetimeEnd> {
  return new Promise(resolve => {
    if (signal.aborted) resolve({ kind: 'stopped' })
    else signal.addEventListener('abort', () => resolve({ kind: 'stopped' }), { once: true })
  })
}

import type { Entropy } from '#ground/base/entropy.ts'

const waitMsMin = 1000
const waitMsMax = 1500
// A server that says "come back tomorrow" would hold a client for that long; give up after a minute instead.
const retryAfterMsMax = 60_000

/**
 * Is an answer with this status worth another try? 412 (a replica that is behind), 429 and what the server couldn't do,
 * but not 501 (an uninitialised server).
 * @source openbao api/client.go DefaultRetryPolicy, go-retryablehttp client.go baseRetryPolicy
 */
export function isRetryableStatus(status: number): boolean {
  return status === 412 || status === 429 || (status >= 500 && status !== 501)
}

/**
 * How long to wait before the next try, ms: 1 to 1.5 s by chance, times the number of the failure; a Retry-After of 429
 * and 503 beats it.
 * @param failure how many tries have failed, from 1.
 * @param retryAfter the header, whole seconds; dates are not sent by any such server and count as absent.
 * @source go-retryablehttp client.go RateLimitLinearJitterBackoff
 */
export function retryDelayMs(
  entropy: Entropy,
  failure: number,
  status: number,
  retryAfter: string | undefined,
): number {
  if ((status === 429 || status === 503) && retryAfter !== undefined && /^\d{1,9}$/.test(retryAfter)) {
    return Math.min(Number(retryAfter) * 1000, retryAfterMsMax)
  }
  return (waitMsMin + entropy.fraction() * (waitMsMax - waitMsMin)) * failure
}

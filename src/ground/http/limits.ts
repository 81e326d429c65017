import type { HttpLimits } from './message.ts'

/** What Vault's listener uses where it has a setting; the rest is ours. */
export const defaultHttpLimits: HttpLimits = {
  headBytesMax: 16_384 + 8_192,
  headerCountMax: 100,
  headTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  idleTimeoutMs: 300_000,
  connectionsMax: 10_000,
  unsentBytesMax: 1024 * 1024,
}

/** @throws RangeError naming the limit that is no positive number. */
export function httpLimits(asked: Partial<HttpLimits> = {}): HttpLimits {
  const limits = { ...defaultHttpLimits, ...asked }
  for (const [name, value] of Object.entries(limits)) {
    if (!(value > 0)) throw new RangeError(`http limit ${name} must be above 0, not ${value}`)
  }
  return limits
}

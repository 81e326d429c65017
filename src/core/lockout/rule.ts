import { type Seconds, seconds } from '#ground/base/clock.ts'
import type { LockoutTune } from '#core/mounts/entry.ts'

/** When a name is locked out, and for how long. */
export type LockoutRule = {
  /** Refused logins in a row. */
  readonly threshold: number
  readonly duration: Seconds
  /** After so long without a refused login it counts anew. */
  readonly counterReset: Seconds
  readonly isDisabled: boolean
}

/** What the server's configuration says: stanzas by type, and the one for `all`. */
export type LockoutSettings = {
  /** Of the environment: nobody is locked out, whatever else says so. */
  readonly isDisabled: boolean
  readonly stanzas: ReadonlyMap<string, LockoutTune>
}

export const noLockoutSettings: LockoutSettings = { isDisabled: false, stanzas: new Map() }

/** Types of auth methods whose logins name somebody with a password, or with what is as good as one. */
export const lockoutTypes: ReadonlySet<string> = new Set(['approle', 'ldap', 'userpass'])

const byDefault: LockoutRule = {
  threshold: 5,
  duration: seconds(900),
  counterReset: seconds(900),
  isDisabled: false,
}

/**
 * Of each setting the nearest says: the mount's, then the stanza of its type, then that for `all`; 0 says nothing.
 * @source openbao vault/request_handling.go getUserLockoutConfiguration
 */
export function lockoutRule(type: string, tuned: LockoutTune | undefined, settings: LockoutSettings): LockoutRule {
  let rule = byDefault
  for (const one of [settings.stanzas.get('all'), settings.stanzas.get(type), tuned]) {
    if (one === undefined) continue
    rule = {
      threshold: one.threshold || rule.threshold,
      duration: one.duration || rule.duration,
      counterReset: one.counterReset || rule.counterReset,
      isDisabled: one.isDisabled ?? rule.isDisabled,
    }
  }
  return settings.isDisabled ? { ...rule, isDisabled: true } : rule
}

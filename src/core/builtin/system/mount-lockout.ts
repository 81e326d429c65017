import { type Seconds, seconds } from '#ground/base/clock.ts'
import { bool } from '#ground/fields/kit.ts'
import { FieldProblem } from '#ground/fields/field.ts'
import { parseDurationSeconds } from '#ground/text/duration.ts'
import { goQuote } from '#ground/text/quote.ts'
import { isJsonObject, type Json, NumberLiteral } from '#ground/text/json.ts'
import { lockoutTypes } from '#core/lockout/rule.ts'
import type { LockoutTune, MountConfig } from '#core/mounts/entry.ts'
import { fault } from '#protocol/fault.ts'

/**
 * `user_lockout_config` of enable and tune: only what is sent changes.
 * @throws Fault with Vault's texts: for another type of method, and for what can't be read.
 * @source openbao vault/logical_system.go handleTuneWriteCommon
 */
export function applyLockout(config: MountConfig, sent: Json | undefined, type: string): MountConfig {
  if (sent === undefined || sent === null) return config
  if (!isJsonObject(sent)) throw fault('request.invalid', 'unable to convert given user lockout config information')
  if (Object.keys(sent).length === 0) return config
  if (!lockoutTypes.has(type)) {
    throw fault('request.invalid', `tuning of user lockout configuration for auth type ${goQuote(type)} not allowed`)
  }
  const now = config.lockout ?? nothing
  const disable = sent['lockout_disable']
  const lockout: LockoutTune = {
    threshold: whole(sent['lockout_threshold'], now.threshold),
    duration: span(sent['lockout_duration'], 'duration', now.duration),
    counterReset: span(sent['lockout_counter_reset_duration'], 'counter reset duration', now.counterReset),
    ...(now.isDisabled !== undefined && { isDisabled: now.isDisabled }),
    ...(disable !== undefined && disable !== null && { isDisabled: truth(disable) }),
  }
  return { ...config, lockout }
}

const nothing: LockoutTune = { threshold: 0, duration: seconds(0), counterReset: seconds(0) }

const textOf = (value: Json): string =>
  typeof value === 'string' ? value : value instanceof NumberLiteral ? value.text : JSON.stringify(value)

// Nothing, and the empty text that Go's client sends for it, changes nothing.
const isGiven = (value: Json | undefined): value is Json => value !== undefined && value !== null && value !== ''

function whole(value: Json | undefined, kept: number): number {
  if (!isGiven(value)) return kept
  const text = textOf(value)
  if (!/^\d{1,9}$/.test(text)) {
    const quoted = goQuote(text.slice(0, 64))
    throw fault(
      'request.invalid',
      `unable to parse user lockout threshold: strconv.ParseUint: parsing ${quoted}: invalid syntax`,
    )
  }
  return Number(text)
}

function span(value: Json | undefined, what: string, kept: Seconds): Seconds {
  if (!isGiven(value)) return kept
  try {
    const parsed = parseDurationSeconds(typeof value === 'number' ? value : textOf(value))
    if (parsed >= 0) return seconds(parsed)
  } catch {
    // Told below.
  }
  throw fault('request.invalid', `unable to parse user lockout ${what}: ${goQuote(textOf(value).slice(0, 64))}`)
}

function truth(value: Json): boolean {
  try {
    return bool({ description: '' }).parse(value)
  } catch (error) {
    if (!(error instanceof FieldProblem)) throw error
    throw fault('request.invalid', 'unable to convert given user lockout config information')
  }
}

/** How it shows, once it was tuned. */
export function showLockout({ lockout }: MountConfig): { readonly user_lockout_config?: Json } {
  if (lockout === undefined) return {}
  return {
    user_lockout_config: {
      lockout_counter_reset_duration: lockout.counterReset,
      lockout_disable: lockout.isDisabled ?? false,
      lockout_duration: lockout.duration,
      lockout_threshold: lockout.threshold,
    },
  }
}
